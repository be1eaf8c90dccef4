// The pairwise kernels on the processor and on a device (compiled for the processor, cuda_emulation.h): every result
// is within its bound of plain sums in long double, and the bounds are worth something.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "clouds.h"
#include "core/cpu.h"
#include "cuda_library_emulated.h"
#include "pairwise/kernels.h"

namespace coregain {
namespace {

using namespace pairwise;
using Real = long double;

struct Way {
  Precision precision;
  bool device;
  double gross;  // most that a distance's bound may be, as a share of (radius + radius)^2
};
const std::vector<Way> kWays = {
    {Precision::kFp32, false, 3e-5}, {Precision::kInt8, false, 0.06}, {Precision::kFp32, true, 3e-5},
    {Precision::kTf32, true, 2e-3},  {Precision::kBf16, true, 1e-2},  {Precision::kInt8, true, 0.1},
};
std::string name_of(const Way& way) {
  static const char* const names[] = {"fp32", "tf32", "bf16", "int8"};
  return std::string(way.device ? "device " : "processor ") + names[static_cast<int>(way.precision)];
}

struct Setup {
  Setup(const Matrix& x, const Way& way, bool normalize = false, unsigned threads = 1)
      : points({.x = x,
                .normalize = normalize,
                .precision = way.precision,
                .threads = threads,
                .simd = {},
                .library = way.device ? coregain_cuda_table() : nullptr},
               control) {}
  const StandardArithmetic standard;
  Control control;
  Points points;
};

Real value(const Matrix& x, size_t i, size_t j) {
  return x.is_double ? x.f64(i)[j] : static_cast<Real>(x.f32(i)[j]);
}
Real true_square(const Matrix& x, size_t p, size_t q) {
  Real sum = 0;
  for (size_t j = 0; j < x.cols; ++j) sum += (value(x, p, j) - value(x, q, j)) * (value(x, p, j) - value(x, q, j));
  return sum;
}
Real true_product(const Matrix& x, size_t p, size_t q) {
  Real sum = 0;
  for (size_t j = 0; j < x.cols; ++j) sum += value(x, p, j) * value(x, q, j);
  return sum;
}

bool usable(const std::string& kind) {
  return kind != "huge" && kind != "mixed scales";
}

void expect_within(double got, Real want, double error, const std::string& what) {
  if (!(std::abs(static_cast<Real>(got) - want) <= static_cast<Real>(error)))
    check::fail(__FILE__, __LINE__,
                what + ": " + std::to_string(got) + " is not within " + std::to_string(error) + " of " +
                    std::to_string(static_cast<double>(want)));
}

// For every way, kind and shape.
template <typename F>
void everywhere(bool normalize, const F& f) {
  Random random{7};
  for (const Way& way : kWays)
    for (const std::string& kind : kKinds) {
      if (!usable(kind)) continue;
      for (const size_t d : {size_t{1}, size_t{19}, size_t{150}}) {
        const size_t n = d == 19 ? 141 : 37;
        Data data(make(kind, n, d, random), n, d, d == 1);
        Setup setup(data.problem.x, way, normalize, d == 19 ? 2 : 1);
        f(setup, random, name_of(way) + ", " + kind + ", d = " + std::to_string(d));
      }
    }
}

TEST("squared distances are within their bounds, lists and all rows alike") {
  everywhere(false, [](Setup& setup, Random& random, const std::string& what) {
    const Points& points = setup.points;
    const size_t n = points.rows();
    std::vector<int32_t> some;
    for (size_t i = 0; i < 11; ++i) some.push_back(static_cast<int32_t>(random.below(n)));
    const Chosen list = {some.data(), some.size()};
    for (const bool by_list : {false, true}) {
      const Chosen queries = by_list ? list : all_of(points), rows = by_list ? all_of(points) : list;
      std::vector<float> out(queries.count * rows.count);
      std::vector<double> errors(queries.count);
      distances(points, queries, rows, out.data(), errors.data(), setup.control);
      for (size_t q = 0; q < queries.count; ++q)
        for (size_t r = 0; r < rows.count; ++r) {
          EXPECT(out[q * rows.count + r] >= 0);
          expect_within(out[q * rows.count + r], true_square(points.x(), queries[q], rows[r]), errors[q], what);
        }
    }
  });
}

TEST("bounds are not gross: on isotropic rows they are near the precision's unit of rounding") {
  Random random{8};
  const size_t n = 100, d = 256;
  Data data(make("isotropic", n, d, random), n, d, false);
  for (const Way& way : kWays) {
    Setup setup(data.problem.x, way);
    std::vector<float> out(n * n);
    std::vector<double> errors(n);
    distances(setup.points, all_of(setup.points), all_of(setup.points), out.data(), errors.data(), setup.control);
    const double radius = setup.points.left(0).radius;
    if (errors[0] > way.gross * 4 * radius * radius)
      check::fail(__FILE__, __LINE__, name_of(way) + ": " + std::to_string(errors[0] / (4 * radius * radius)));
  }
}

TEST("gains are those of their definition, by both forms") {
  for (const bool cosine : {false, true}) {
    everywhere(cosine, [&](Setup& setup, Random& random, const std::string& what) {
      const Points& points = setup.points;
      const size_t n = points.rows();
      std::vector<int32_t> members, chosen;
      for (size_t i = 0; i < n; ++i) {
        if (random.below(4) == 0) continue;
        members.push_back(static_cast<int32_t>(i));
        if (random.below(3) == 0) chosen.push_back(static_cast<int32_t>(i));
      }
      // S in two parts, as a caller makes it that adds rows
      const size_t half = chosen.size() / 2;
      const RowSum first = sum_rows(points, {chosen.data(), half}, setup.control);
      const RowSum s = sum_rows(points, {chosen.data() + half, chosen.size() - half}, first, setup.control);
      EXPECT(s.count == chosen.size());
      const RowSum d = sum_rows(points, {members.data(), members.size()}, setup.control);
      const Gains got = gains(points, s, d, cosine, setup.control);
      for (size_t x = 0; x < n; ++x) {
        Real want = 0;
        for (const int32_t p : members) {
          const auto row = static_cast<size_t>(p);
          const bool in = std::binary_search(chosen.begin(), chosen.end(), p);
          if (cosine)
            want += (in ? -1 : 1) * (Real{1} / 2 + true_product(points.x(), row, x) / 2);
          else
            want += (in ? 1 : -1) * true_square(points.x(), row, x);
        }
        expect_within(got.values[x], want, got.errors[x], what);
      }
    });
  }
}

TEST("facility-location gains are within their bounds") {
  everywhere(true, [](Setup& setup, Random& random, const std::string& what) {
    const Points& points = setup.points;
    const size_t n = points.rows();
    std::vector<float> reached(n);
    for (float& r : reached) r = static_cast<float>(random.uniform());
    std::vector<int32_t> candidates;
    for (size_t i = 0; i < 70; ++i) candidates.push_back(static_cast<int32_t>(random.below(n)));
    const Gains got = coverage_gains(points, {candidates.data(), candidates.size()}, reached.data(), setup.control);
    for (size_t c = 0; c < candidates.size(); ++c) {
      Real want = 0;
      for (size_t v = 0; v < n; ++v)
        want += std::max<Real>(0, Real{1} / 2 + true_product(points.x(), v, static_cast<size_t>(candidates[c])) / 2 -
                                      static_cast<Real>(reached[v]));
      expect_within(got.values[c], want, got.errors[c], what);
    }
  });
}

TEST("centres: the nearest of old and new, and the farthest row") {
  everywhere(false, [](Setup& setup, Random& random, const std::string& what) {
    const Points& points = setup.points;
    const size_t n = points.rows();
    std::vector<int32_t> centres;
    for (size_t i = 0; i < 75; ++i) centres.push_back(static_cast<int32_t>(random.below(n)));
    std::vector<float> nearest(n, std::numeric_limits<float>::infinity());
    nearest[0] = 0;
    std::vector<double> errors(n);
    const size_t far =
        update_centres(points, {centres.data(), centres.size()}, nearest.data(), errors.data(), setup.control);
    EXPECT(nearest[0] == 0);
    for (size_t i = 1; i < n; ++i) {
      Real want = std::numeric_limits<Real>::infinity();
      for (const int32_t c : centres) want = std::min(want, true_square(points.x(), i, static_cast<size_t>(c)));
      expect_within(nearest[i], want, errors[i], what);
    }
    EXPECT(far == static_cast<size_t>(std::max_element(nearest.begin(), nearest.end()) - nearest.begin()));
  });
}

TEST("nearest rows are the exact ones in every precision, ties to the lower row") {
  everywhere(false, [](Setup& setup, Random&, const std::string& what) {
    const Points& points = setup.points;
    const size_t n = points.rows(), k = 5;
    const reduce::Neighbours got = nearest(points, points, k, setup.control, [](size_t) {});
    for (size_t i = 0; i < n; ++i) {
      std::vector<std::pair<double, int32_t>> want;
      for (size_t j = 0; j < n; ++j)
        if (j != i) want.emplace_back(reduce::distance(points.x(), i, points.x(), j), static_cast<int32_t>(j));
      std::sort(want.begin(), want.end());
      for (size_t r = 0; r < k; ++r)
        if (got.row[i * k + r] != want[r].second || got.distance[i * k + r] != want[r].first)
          check::fail(__FILE__, __LINE__, what + ": query " + std::to_string(i));
    }
  });
}

TEST("queries of another matrix, with the rows' origin") {
  Random random{9};
  const size_t n = 300, m = 40, d = 24, k = 7;
  Data rows(make("mixture", n, d, random), n, d, false), queries(make("mixture", m, d, random), m, d, true);
  for (const Way& way : kWays) {
    Setup setup(rows.problem.x, way);
    Control control;
    const Points other({.x = queries.problem.x,
                        .precision = way.precision,
                        .threads = 1,
                        .simd = {},
                        .library = way.device ? coregain_cuda_table() : nullptr,
                        .origin = setup.points.origin().data()},
                       control);
    const reduce::Neighbours got = nearest(other, setup.points, k, control, [](size_t) {});
    const reduce::Neighbours want =
        reduce::nearest(queries.problem.x, rows.problem.x, false, k, setup.points.pool(), control, "", [](size_t) {});
    EXPECT(got.row == want.row);
    EXPECT(got.distance == want.distance);
  }
}

TEST("hundreds of nearest rows of thousands: the kept ones are sorted more than once") {
  Random random{10};
  const size_t n = 3000, d = 8, k = 300;
  Data data(make("isotropic", n, d, random), n, d, false);
  Setup device(data.problem.x, {Precision::kBf16, true, 0}, false, 2);
  Setup processor(data.problem.x, {Precision::kFp32, false, 0}, false, 2);
  const reduce::Neighbours got = nearest(device.points, device.points, k, device.control, [](size_t) {});
  const reduce::Neighbours want = nearest(processor.points, processor.points, k, processor.control, [](size_t) {});
  EXPECT(got.row == want.row);
  EXPECT(got.distance == want.distance);
}

TEST("the same bits for every number of threads") {
  Random random{11};
  const size_t n = 700, d = 50;
  Data data(make("mixture", n, d, random), n, d, false);
  for (const Way& way : kWays) {
    std::vector<float> reached(n, 0.5F), first(n * n), second(n * n);
    std::vector<double> errors(n);
    Setup one(data.problem.x, way, true, 1), three(data.problem.x, way, true, 3);
    distances(one.points, all_of(one.points), all_of(one.points), first.data(), errors.data(), one.control);
    distances(three.points, all_of(one.points), all_of(one.points), second.data(), errors.data(), three.control);
    EXPECT(first == second);
    EXPECT(coverage_gains(one.points, all_of(one.points), reached.data(), one.control).values ==
           coverage_gains(three.points, all_of(one.points), reached.data(), three.control).values);
    const auto gains_of = [](const Setup& setup) {
      const Chosen half = {nullptr, setup.points.rows() / 2};
      return gains(setup.points, sum_rows(setup.points, half, setup.control),
                   sum_rows(setup.points, all_of(setup.points), setup.control), true, setup.control);
    };
    EXPECT(gains_of(one).values == gains_of(three).values);
  }
}

TEST("rows of numbers that only float64 has, down to the smallest") {
  const size_t n = 40, d = 20;
  Random random{15};
  std::vector<double> values(n * d);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < d; ++j) values[i * d + j] = std::ldexp(random.normal(), -static_cast<int>(1074 - 25 * i));
  const std::vector<double> zero(d, 0.0);
  for (const Way& way : kWays) {
    const StandardArithmetic standard;
    Control control;
    const Points points({.x = {values.data(), true, n, d},
                         .precision = way.precision,
                         .threads = 1,
                         .simd = {},
                         .library = way.device ? coregain_cuda_table() : nullptr,
                         .origin = zero.data()},
                        control);
    std::vector<float> out(n * n);
    std::vector<double> errors(n);
    distances(points, all_of(points), all_of(points), out.data(), errors.data(), control);
    for (size_t p = 0; p < n; ++p)
      for (size_t q = 0; q < n; ++q)
        expect_within(out[p * n + q], true_square(points.x(), p, q), errors[p], name_of(way));
    const Gains got = gains(points, sum_rows(points, {nullptr, n / 2}, control),
                            sum_rows(points, all_of(points), control), false, control);
    for (size_t x = 0; x < n; ++x) {
      Real want = 0;
      for (size_t p = 0; p < n; ++p) want += (p < n / 2 ? 1 : -1) * true_square(points.x(), p, x);
      expect_within(got.values[x], want, got.errors[x], name_of(way));
    }
  }
}

std::string code_of(const Matrix& x, const Way& way, std::string* message = nullptr) {
  try {
    const Setup setup(x, way);
    return "";
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code;
  }
}

TEST("what cannot be computed is refused in words") {
  Random random{12};
  Data data(make("huge", 10, 4, random), 10, 4, false);
  EXPECT(code_of(data.problem.x, kWays[0]) == "ERR_RANGE");
  Data sound(make("isotropic", 4000, 64, random), 4000, 64, false);
  EXPECT(code_of(sound.problem.x, {Precision::kTf32, false, 0}) == "ERR_PRECISION");
  const size_t before = cuda::emulated().memory;
  cuda::emulated().memory = (size_t{64} << 20) + (size_t{1} << 20);
  std::string message;
  EXPECT(code_of(sound.problem.x, kWays[2], &message) == "ERR_MEMORY");
  EXPECT(message ==
         "This matrix needs 0.00 GB on the device, and 0.00 GB are free. Use fewer rows, a precision of fewer "
         "bits, or the device \"cpu\".");
  cuda::emulated().memory = before;
  EXPECT(cuda::emulated().used == 0);
}

TEST("a thread that never chose a device may close points: a garbage collector does") {
  Random random{14};
  const Data data(make("isotropic", 40, 5, random), 40, 5, false);
  auto setup = std::make_unique<Setup>(data.problem.x, kWays[2]);
  std::thread([&] { setup.reset(); }).join();
  EXPECT(cuda::emulated().used == 0);
}

TEST("a cancelled call says so and leaves the points usable") {
  Random random{13};
  const size_t n = 300, d = 20;
  Data data(make("isotropic", n, d, random), n, d, false);
  for (const Way& way : kWays) {
    Setup setup(data.problem.x, way);
    std::vector<float> out(n * n);
    std::vector<double> errors(n);
    Control cancelled;
    cancelled.cancel();
    std::string code;
    try {
      distances(setup.points, all_of(setup.points), all_of(setup.points), out.data(), errors.data(), cancelled);
    } catch (const Error& error) {
      code = error.code;
    }
    EXPECT(code == "ERR_CANCELLED");
    distances(setup.points, all_of(setup.points), all_of(setup.points), out.data(), errors.data(), setup.control);
    expect_within(out[1], true_square(data.problem.x, 0, 1), errors[0], name_of(way));
  }
}

TEST("the rate of copies within the device, which leave no memory behind") {
  const size_t before = cuda::emulated().memory;
  cuda::emulated().memory = size_t{1} << 20;
  double rate = 0;
  CudaFailure failure;
  EXPECT(coregain_cuda_table()->copy_rate(0, &rate, &failure) == CudaCode::kOk);
  EXPECT(rate > 0 && std::isfinite(rate));
  EXPECT(cuda::emulated().used == 0);
  cuda::emulated().memory = before;
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
