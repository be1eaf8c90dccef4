// The bounds of products on tensor cores, for every way to add that has been measured on one and some that are worse,
// on rows that make the most of it: sums that swamp, cancel, span all exponents or underflow.
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "clouds.h"
#include "core/cpu.h"
#include "cuda_library_emulated.h"
#include "pairwise/kernels.h"

namespace coregain {
namespace {

using namespace pairwise;
using cuda::TensorUnit;
using Real = long double;

// One product at a time; V100; A100 with tf32 and bfloat16; H100 with tf32 and bfloat16.
const std::vector<TensorUnit> kUnits = {{1, 23}, {4, 23}, {4, 24}, {8, 24}, {8, 25}, {16, 25}};
const std::vector<Precision> kPrecisions = {Precision::kTf32, Precision::kBf16};

// Emulates with a unit for as long as it lives.
class Using {
 public:
  explicit Using(const TensorUnit& unit) : before_(cuda::emulated().tensor) { cuda::emulated().tensor = unit; }
  ~Using() { cuda::emulated().tensor = before_; }
  Using(const Using&) = delete;
  Using& operator=(const Using&) = delete;

 private:
  TensorUnit before_;
};

// Cut off to what a precision holds, so that rounding loses nothing and only the sums can.
double representable(double value, Precision precision) {
  const auto narrow = static_cast<float>(value);
  uint32_t word = 0;
  std::memcpy(&word, &narrow, 4);
  word &= precision == Precision::kBf16 ? 0xffff0000U : 0xffffe000U;
  float cut = 0;
  std::memcpy(&cut, &word, 4);
  return static_cast<double>(cut);
}

struct Operands {
  std::vector<double> a, b;
};

const std::vector<std::string> kCases = {"cancelling", "all exponents", "subnormals", "zeros beside the largest",
                                         "small"};

Operands operands(const std::string& kind, size_t d, Precision precision, Random& random) {
  Operands out{std::vector<double>(d), std::vector<double>(d)};
  const auto number = [&](int least, int most) {
    const int exponent = least + static_cast<int>(random.below(static_cast<size_t>(most - least + 1)));
    return std::ldexp((random.below(2) == 0 ? -1 : 1) * (1 + random.uniform()), exponent);
  };
  for (size_t j = 0; j < d; ++j) {
    double &a = out.a[j], &b = out.b[j];
    a = number(-2, 2);
    b = number(-2, 2);
    if (kind == "cancelling" && j % 2 == 1) {
      a = out.a[j - 1];
      b = -out.b[j - 1] * (random.below(4) == 0 ? 1 + 0x1p-6 : 1);
    }
    if (kind == "all exponents") {
      a = number(-55, 55);
      b = number(-55, 55);
    }
    if (kind == "subnormals") {
      a = number(-140, -120);
      b = number(20, 55);
    }
    if (kind == "zeros beside the largest") {
      a = random.below(2) == 0 ? 0 : number(-60, -50);
      b = a == 0 ? number(53, 55) : number(-55, 55);
    }
    if (kind == "small") {
      a = number(-66, -60);
      b = number(-66, -60);
    }
    a = representable(a, precision);
    b = representable(b, precision);
  }
  return out;
}

// a.b on the device as a share of its bound off the exact value.
double off_by(const Operands& of, Precision precision) {
  const size_t d = of.a.size();
  const std::vector<double> zero(d, 0.0);
  const StandardArithmetic standard;
  Control control;
  const Points points({.x = {of.a.data(), true, 1, d},
                       .precision = precision,
                       .threads = 1,
                       .simd = {},
                       .library = coregain_cuda_table(),
                       .origin = zero.data()},
                      control);
  const VectorProducts got = vector_products(points, of.b, control);
  Real want = 0;
  for (size_t j = 0; j < d; ++j) want += static_cast<Real>(of.a[j]) * static_cast<Real>(of.b[j]);
  return static_cast<double>(std::abs(static_cast<Real>(got.values[0]) - want) / static_cast<Real>(got.errors[0]));
}

TEST("the emulated unit adds as measured: aligned to the largest, cut off, not normalized in between") {
  const std::vector<float> ones(16, 1.0F);
  const auto add = [&](const TensorUnit& unit, float sum, const std::vector<float>& terms) {
    return cuda::multiply_add(unit, sum, terms.data(), ones.data(), static_cast<unsigned>(terms.size()));
  };
  // four of half a last place: a sum after the other in IEEE arithmetic would lose them as well, 25 bits do not
  const std::vector<float> halves(4, 0x1p-24F);
  EXPECT(add({4, 23}, 1, halves) == 1);
  EXPECT(add({4, 24}, 1, halves) == 1 + 0x1p-22F);
  // two steps, each cut off to float32
  EXPECT(add({1, 24}, 1, halves) == 1);
  // towards zero on either side
  EXPECT(add({4, 25}, 1, {0x1p-24F, 0x1p-25F}) == 1);
  EXPECT(add({4, 25}, -1, {-0x1p-24F, -0x1p-25F}) == -1);
  EXPECT(add({4, 24}, 0, {1, -1, 0x1p-24F, 0}) == 0x1p-24F);
  EXPECT(add({4, 23}, 0, {1, -1, 0x1p-24F, 0}) == 0);
  // a subnormal is aligned by the least normal exponent, times that of the other
  const float tiny = 0x1p-149F, big = 0x1p60F;
  EXPECT(cuda::multiply_add({4, 23}, 0, &tiny, &big, 1) == 0x1p-89F);
}

TEST("products on tensor cores are within their bounds, whatever the unit and the rows") {
  Random random{21};
  for (const TensorUnit& unit : kUnits) {
    const Using scope(unit);
    for (const Precision precision : kPrecisions)
      for (const std::string& kind : kCases)
        for (const size_t d : {size_t{1}, size_t{7}, size_t{128}, size_t{300}})
          for (int repeat = 0; repeat < 4; ++repeat) {
            const double share = off_by(operands(kind, d, precision, random), precision);
            if (!(share <= 1))
              check::fail(__FILE__, __LINE__,
                          kind + ", d = " + std::to_string(d) + ", steps of " + std::to_string(unit.terms) + ": " +
                              std::to_string(share) + " of the bound");
          }
  }
}

TEST("swamped sums come within a fourth of the bound, beyond what round-to-nearest sums could lose") {
  constexpr size_t d = 256;
  for (const TensorUnit& unit : kUnits)
    for (const Precision precision : kPrecisions) {
      const Using scope(unit);
      // after a 1, products just below the unit's last bit
      const double just_below = representable(2 - 0x1p-7, precision);
      Operands of{std::vector<double>(d, just_below * 0x1p-12), std::vector<double>(d)};
      for (size_t j = 0; j < d; ++j) {
        of.b[j] = just_below * std::ldexp(1.0, 12 - 2 - unit.fraction);
        if (j % 128 == 0) of.a[j] = of.b[j] = 1;
      }
      const double share = off_by(of, precision);
      EXPECT(share <= 1);
      if (unit.fraction > 23) continue;
      EXPECT(share > 0.25);
      // errors of float32 sums rounded to nearest: 128 of 2^-24
      EXPECT(share * 385 * 0x1p-23 > 128 * 0x1p-24);
    }
}

TEST("no subnormal number reaches a tensor core: the bound counts it as lost") {
  const std::vector<double> x = {0x1p-127, 0x1p-126, -0x1p-130};
  const std::vector<double> zero(3, 0.0);
  for (const Precision precision : kPrecisions) {
    const StandardArithmetic standard;
    Control control;
    const Points points({.x = {x.data(), true, 1, 3},
                         .precision = precision,
                         .threads = 1,
                         .simd = {},
                         .library = coregain_cuda_table(),
                         .origin = zero.data()},
                        control);
    EXPECT(points.left(0).residual >= std::hypot(0x1p-127, 0x1p-130));
  }
}

TEST("distances of rows of all sizes are within their bounds, whatever the unit") {
  Random random{22};
  const size_t n = 24;
  for (const TensorUnit& unit : kUnits) {
    const Using scope(unit);
    for (const Precision precision : kPrecisions)
      for (const std::string& kind : kCases) {
        const size_t d = 150;
        std::vector<double> values;
        for (size_t i = 0; i < n / 2; ++i) {
          const Operands of = operands(kind, d, precision, random);
          values.insert(values.end(), of.a.begin(), of.a.end());
          values.insert(values.end(), of.b.begin(), of.b.end());
        }
        const StandardArithmetic standard;
        Control control;
        const Matrix x = {values.data(), true, n, d};
        const Points points(
            {.x = x, .precision = precision, .threads = 1, .simd = {}, .library = coregain_cuda_table()}, control);
        std::vector<float> out(n * n);
        std::vector<double> errors(n);
        distances(points, all_of(points), all_of(points), out.data(), errors.data(), control);
        for (size_t p = 0; p < n; ++p)
          for (size_t q = 0; q < n; ++q) {
            Real want = 0;
            for (size_t j = 0; j < d; ++j) {
              const Real difference = static_cast<Real>(x.f64(p)[j]) - static_cast<Real>(x.f64(q)[j]);
              want += difference * difference;
            }
            if (!(std::abs(static_cast<Real>(out[p * n + q]) - want) <= static_cast<Real>(errors[p])))
              check::fail(__FILE__, __LINE__, kind + ": rows " + std::to_string(p) + " and " + std::to_string(q));
          }
      }
  }
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
