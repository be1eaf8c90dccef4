// The strategies give one result for all instruction sets and thread counts, and neighbours are counted exactly.
#include "strategies/strategies.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "strategies/rows.h"

namespace coregain::strategies {
namespace {

std::vector<float> cloud(size_t n, size_t d, double grid) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  std::vector<float> x(n * d);
  for (float& value : x) {
    const double v = normal(random);
    value = static_cast<float>(grid > 0 ? std::rint(v / grid) * grid : v);
  }
  return x;
}

TEST("one result for all instruction sets and thread counts, ties included") {
  for (const double grid : {0.0, 1.0}) {
    const size_t n = 700, d = 9;
    const std::vector<float> x = cloud(n, d, grid);
    Clusters clusters;
    Herd herd;
    Density near;
    for (const std::string& level : simd_levels()) {
      for (const unsigned threads : {1U, 2U, 7U}) {
        const Task task = {.x = {x.data(), false, n, d}, .seed = 3, .threads = threads, .simd = level};
        Control control;
        const Clusters c = k_means(task, 12, 100, control);
        const Herd h = herding(task, 90, std::vector<uint8_t>(n, 1), {5, 2}, control);
        const Density e = density(task, 0.4, control);
        if (clusters.of.empty()) {
          clusters = c;
          herd = h;
          near = e;
        }
        EXPECT(c.of == clusters.of && c.distance == clusters.distance && c.rounds == clusters.rounds && c.converged);
        EXPECT(h.rows == herd.rows && h.scores == herd.scores && h.rows.size() == 90 && h.rows[0] == 5);
        EXPECT(e.neighbours == near.neighbours && e.order == near.order && e.radius_squared == near.radius_squared);
      }
    }
  }
}

TEST("neighbours within eps: the plain count of all pairs, on a lattice where many are at exactly one distance") {
  const size_t n = 400, d = 3;
  const std::vector<float> x = cloud(n, d, 1);
  const Task task = {.x = {x.data(), false, n, d}, .seed = 1, .threads = 2, .simd = ""};
  Control control;
  ThreadPool pool(1);
  const Rows rows(task.x, pool, control, "");
  for (const double fraction : {0.1, 0.4, 1.0, 2.0}) {
    const Density e = density(task, fraction, control);
    for (size_t i = 0; i < n; ++i) {
      int32_t count = 0;
      for (size_t j = 0; j < n; ++j) {
        const double square = std::max(0.0, rows.square(i) + rows.square(j) - 2 * rows.product(i, rows.row(j)));
        count += i == j || square <= e.radius_squared ? 1 : 0;
      }
      EXPECT(e.neighbours[i] == count);
    }
    std::vector<int32_t> sorted = e.order;
    std::sort(sorted.begin(), sorted.end());
    for (size_t i = 0; i < n; ++i) EXPECT(sorted[i] == static_cast<int32_t>(i));
  }
}

TEST("rows that are not finite or too far out are refused") {
  std::vector<float> x = cloud(50, 4, 0);
  const Task task = {.x = {x.data(), false, 50, 4}, .seed = 0, .threads = 1, .simd = ""};
  Control control;
  x[30] = NAN;
  EXPECT_THROWS(density(task, 0.4, control));
  x[30] = 1e20F;
  EXPECT_THROWS(k_means(task, 3, 10, control));
}

}  // namespace
}  // namespace coregain::strategies

TEST_MAIN()
