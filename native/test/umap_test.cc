// Neighbours are those of the plain search, weights and the curve are UMAP's, and a layout is the same for every number
// of threads and every SIMD level.
#include "reduce/umap.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "cuda_library_emulated.h"
#include "reduce/neighbours.h"
#include "reduce/power.h"

namespace coregain::reduce {
namespace {

// Normal numbers, rounded to multiples of `grid` where it is not 0, around `centre`.
template <typename T>
std::vector<T> cloud(size_t n, size_t d, double grid, double centre = 0) {
  std::mt19937_64 random(7);
  std::normal_distribution<double> normal;
  std::vector<T> x(n * d);
  for (T& value : x) {
    const double v = normal(random);
    value = static_cast<T>((grid > 0 ? std::rint(v / grid) * grid : v) + centre);
  }
  return x;
}

void expect_plain(const Matrix& queries, const Matrix& rows, bool same, size_t k, const Neighbours& found) {
  for (size_t i = 0; i < queries.rows; ++i) {
    std::vector<std::pair<double, int32_t>> all;
    for (size_t j = 0; j < rows.rows; ++j)
      if (!same || i != j) all.push_back({distance(queries, i, rows, j), static_cast<int32_t>(j)});
    std::sort(all.begin(), all.end());
    bool equal = true;
    for (size_t r = 0; r < k; ++r)
      equal = equal && found.row[i * k + r] == all[r].second && found.distance[i * k + r] == all[r].first;
    EXPECT(equal);
  }
}

TEST("neighbours: the plain search, also with ties, duplicates, float64 rows that float32 cannot tell apart") {
  Control control;
  const auto nobody = [](size_t) {};
  for (const std::string& level : simd_levels()) {
    for (const unsigned threads : {1U, 2U, 7U}) {
      ThreadPool pool(threads);
      for (const double grid : {0.0, 1.0, 4.0}) {
        for (const size_t d : {2UL, 37UL, 700UL}) {
          const size_t n = 301;
          const std::vector<float> x = cloud<float>(n, d, grid, 100);
          const Matrix rows = {x.data(), false, n, d};
          expect_plain(rows, rows, true, 14, nearest(rows, rows, true, 14, pool, control, level, nobody));
        }
      }
      std::vector<double> x = cloud<double>(150, 5, 0);
      for (double& value : x) value = 1 + value * 1e-9;
      const Matrix close = {x.data(), true, 150, 5};
      expect_plain(close, close, true, 149, nearest(close, close, true, 149, pool, control, level, nobody));
      const std::vector<float> y = cloud<float>(40, 5, 0);
      const Matrix others = {y.data(), false, 40, 5};
      expect_plain(others, close, false, 3, nearest(others, close, false, 3, pool, control, level, nobody));
    }
  }
}

TEST("memberships of a row sum to log2 of its neighbours; the nearest has 1") {
  Control control;
  ThreadPool pool(1);
  const size_t n = 200, k = 14;
  const std::vector<float> x = cloud<float>(n, 6, 0);
  const Matrix rows = {x.data(), false, n, 6};
  const Neighbours near = nearest(rows, rows, true, k, pool, control, "", [](size_t) {});
  const std::vector<double> weights = memberships(near, k + 1);
  for (size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (size_t j = 0; j < k; ++j) sum += weights[i * k + j];
    EXPECT(std::fabs(sum - std::log2(k + 1.0)) < 1e-4);
    EXPECT(weights[i * k] == 1);
    for (size_t j = 1; j < k; ++j) EXPECT(weights[i * k + j] <= weights[i * k + j - 1]);
  }
}

TEST("the union of edges: both directions, a + b - a b") {
  // 0 -> 1 (0.5), 1 -> 2 (1), 2 -> 1 (0.25)
  const Neighbours near = {1, {1, 2, 1}, {1, 1, 1}};
  const Graph graph = fuzzy_union(near, {0.5, 1, 0.25});
  EXPECT((graph.offset == std::vector<size_t>{0, 1, 3, 4}));
  EXPECT((graph.to == std::vector<int32_t>{1, 0, 2, 1}));
  EXPECT((graph.weight == std::vector<double>{0.5, 0.5, 1, 1}));
  const Graph light = fuzzy_union(near, {0.5, 0.5, 0.25});
  EXPECT(light.weight[2] == 0.625 && light.weight[3] == 0.625);
}

TEST("the curve of umap-learn: a = 1.577, b = 0.8951 for min_dist 0.1 and spread 1") {
  const Curve usual = fit_curve(0.1, 1);
  EXPECT(std::fabs(usual.a - 1.576943460) < 1e-5 && std::fabs(usual.b - 0.8950608780) < 1e-5);
  const Curve tight = fit_curve(0.001, 1);
  EXPECT(std::fabs(tight.a - 1.929) < 1e-3 && std::fabs(tight.b - 0.7915) < 1e-3);
}

TEST("logarithms and exponentials to ten digits") {
  for (double x = 1e-30; x < 1e30; x *= 1.37) EXPECT(std::fabs(log2_of(x) - std::log2(x)) < 1e-10);
  for (double x = -700; x < 700; x += 0.73) EXPECT(std::fabs(exp_of(x) / std::exp(x) - 1) < 1e-10);
  EXPECT(exp_of(-1e9) == 0 && exp_of(0) == 1);
}

TEST("one layout for all thread counts and SIMD levels, and another for another seed") {
  const size_t n = 230, d = 20;
  const std::vector<float> x = cloud<float>(n, d, 0);
  const std::vector<float> y = cloud<float>(60, d, 0.5);
  for (const size_t dims : {2UL, 5UL, 300UL}) {
    Umap task = {.x = {x.data(), false, n, d}, .dims = dims, .epochs = 30, .seed = 5, .simd = ""};
    Layout first;
    std::vector<float> placed;
    for (const std::string& level : simd_levels()) {
      for (const unsigned threads : {1U, 2U, 5U, 7U}) {
        task.threads = threads;
        task.simd = level;
        Control control;
        const Layout layout = fit(task, control);
        const std::vector<float> there = place(task, layout, {y.data(), false, 60, d}, control);
        if (first.points.empty()) {
          first = layout;
          placed = there;
        }
        EXPECT(layout.points == first.points && there == placed);
        EXPECT(std::all_of(there.begin(), there.end(), [](float v) { return std::isfinite(v); }));
      }
    }
    Control control;
    // what is placed does not depend on what is placed with it
    const std::vector<float> few = place(task, first, {y.data(), false, 7, d}, control);
    EXPECT(std::equal(few.begin(), few.end(), placed.begin()));
    task.seed = 6;
    EXPECT(fit(task, control).points != first.points);
  }
}

TEST("a device finds the neighbours of the exact search: the same layout and places, ties and all") {
  const size_t n = 300, d = 12;
  for (const double grid : {0.0, 1.0}) {
    const std::vector<float> x = cloud<float>(n, d, grid, 5), y = cloud<float>(40, d, grid, 5);
    for (const Search search : {Search::exact, Search::automatic}) {
      Umap task = {.x = {x.data(), false, n, d}, .search = search, .epochs = 20, .seed = 3, .threads = 2, .simd = ""};
      Control control;
      const Layout want = fit(task, control);
      const std::vector<float> placed = place(task, want, {y.data(), false, 40, d}, control);
      task.device.library = coregain_cuda_table();
      const size_t before = cuda::emulated().launches;
      const Layout got = fit(task, control);
      EXPECT(got.on_device && got.exact && !want.on_device && cuda::emulated().launches > before);
      EXPECT(got.points == want.points);
      EXPECT(place(task, want, {y.data(), false, 40, d}, control) == placed);
    }
  }
}

TEST("on a device: NN-descent stays on the processor if it is asked for; too many neighbours are refused") {
  const size_t n = 900, d = 4;
  const std::vector<float> x = cloud<float>(n, d, 0);
  Umap task = {.x = {x.data(), false, n, d}, .search = Search::descent, .epochs = 2, .threads = 2, .simd = ""};
  task.device.library = coregain_cuda_table();
  Control control;
  const Layout layout = fit(task, control);
  EXPECT(!layout.on_device && !layout.exact);
  task.neighbours = 800;
  task.search = Search::exact;
  std::string code;
  try {
    fit(task, control);
  } catch (const Error& error) {
    code = error.code;
  }
  EXPECT(code == "ERR_DEVICE");
  task.search = Search::automatic;
  EXPECT(!fit(task, control).on_device);
}

TEST("three rows, one column, all other rows as neighbours, clusters far apart: the layout is finite") {
  for (const Search search : {Search::exact, Search::descent}) {
    for (const size_t n : {3UL, 60UL}) {
      for (const size_t d : {1UL, 6UL}) {
        std::vector<float> x = cloud<float>(n, d, 0);
        for (size_t i = 0; i < n * d; ++i) x[i] += i / d % 2 == 0 ? 0.0F : 1e6F;
        for (const size_t dims : {1UL, 2UL, 9UL}) {
          const Umap task = {.x = {x.data(), false, n, d},
                             .dims = dims,
                             .neighbours = n - 1,
                             .search = search,
                             .epochs = 40,
                             .threads = 2,
                             .simd = ""};
          Control control;
          const Layout layout = fit(task, control);
          EXPECT(layout.points.size() == n * dims);
          EXPECT(std::all_of(layout.points.begin(), layout.points.end(), [](float v) { return std::isfinite(v); }));
        }
      }
    }
  }
}

TEST("equal rows give a finite layout; a row that is not finite is named; a cancelled job ends") {
  std::vector<float> x(50 * 3, 2.5F);
  Umap task = {.x = {x.data(), false, 50, 3}, .epochs = 20, .threads = 2, .simd = ""};
  Control control;
  const Layout layout = fit(task, control);
  EXPECT(std::all_of(layout.points.begin(), layout.points.end(), [](float v) { return std::isfinite(v); }));
  x[31 * 3 + 1] = NAN;
  int64_t row = -1;
  try {
    fit(task, control);
  } catch (const Error& error) {
    row = error.row;
  }
  EXPECT(row == 31);
  control.cancel();
  EXPECT_THROWS(fit(task, control));
}

}  // namespace
}  // namespace coregain::reduce

TEST_MAIN()
