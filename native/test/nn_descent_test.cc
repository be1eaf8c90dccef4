// NN-descent finds what the exact search finds, nearly; the same rows for every number of threads and every SIMD level;
// and always k other rows, whatever the data.
#include "reduce/nn_descent.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "reduce/neighbours.h"
#include "reduce/umap.h"

namespace coregain::reduce {
namespace {

constexpr size_t kMore = 14;

void nobody(size_t) {}

Neighbours descent(const std::vector<float>& x, size_t d, size_t k, unsigned threads = 1, const std::string& simd = "",
                   uint64_t seed = 1) {
  ThreadPool pool(threads);
  const Control control;
  return nn_descent({x.data(), false, x.size() / d, d}, k, kMore, seed, pool, control, simd, nobody);
}

Neighbours exact(const std::vector<float>& x, size_t d, size_t k) {
  ThreadPool pool(2);
  const Control control;
  const Matrix rows = {x.data(), false, x.size() / d, d};
  return nearest(rows, rows, true, k, pool, control, "", nobody);
}

// The share of neighbours that are as near as the exact ones, of all rows.
double share(const Neighbours& found, const Neighbours& wanted) {
  const size_t k = found.k;
  size_t hits = 0;
  for (size_t e = 0; e < found.row.size(); ++e) hits += found.distance[e] <= wanted.distance[e / k * k + k - 1] ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(found.row.size());
}

// k different other rows each, with their distances, ascending.
void expect_neighbours(const std::vector<float>& x, size_t d, const Neighbours& found) {
  const Matrix rows = {x.data(), false, x.size() / d, d};
  bool right = found.row.size() == rows.rows * found.k && found.distance.size() == found.row.size();
  for (size_t i = 0; right && i < rows.rows; ++i) {
    std::set<int32_t> seen = {static_cast<int32_t>(i)};
    for (size_t e = i * found.k; e < (i + 1) * found.k; ++e) {
      const int32_t row = found.row[e];
      right = right && row >= 0 && static_cast<size_t>(row) < rows.rows && seen.insert(row).second &&
              found.distance[e] == distance(rows, i, rows, static_cast<size_t>(row));
      if (e > i * found.k)
        right = right && (found.distance[e - 1] < found.distance[e] ||
                          (found.distance[e - 1] == found.distance[e] && found.row[e - 1] < row));
    }
  }
  EXPECT(right);
}

// Points on a curved surface of ten dimensions in d, with a little noise: what embeddings are like.
std::vector<float> surface(size_t n, size_t d) {
  constexpr size_t kFree = 10, kBent = 32;
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  std::vector<double> bend(kFree * kBent), spread(kBent * d);
  for (double& value : bend) value = normal(random) / 3;
  for (double& value : spread) value = normal(random) / 6;
  std::vector<float> x(n * d);
  for (size_t i = 0; i < n; ++i) {
    double bent[kBent] = {};
    for (size_t f = 0; f < kFree; ++f) {
      const double at = normal(random);
      for (size_t b = 0; b < kBent; ++b) bent[b] += at * bend[f * kBent + b];
    }
    for (size_t j = 0; j < d; ++j) {
      double value = 0.05 * normal(random);
      for (size_t b = 0; b < kBent; ++b) value += std::tanh(bent[b]) * spread[b * d + j];
      x[i * d + j] = static_cast<float>(value);
    }
  }
  return x;
}

// Rows around `count` centres that are `apart` from each other.
std::vector<float> clusters(size_t n, size_t d, size_t count, double apart) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> normal;
  std::vector<double> centre(count * d);
  for (double& value : centre) value = apart * normal(random);
  std::vector<float> x(n * d);
  for (size_t e = 0; e < x.size(); ++e) x[e] = static_cast<float>(centre[e / d % count * d + e % d] + normal(random));
  return x;
}

TEST("recall of 0.97 and more at 14 neighbours, on a surface and on clusters; measured on a sample it is the same") {
  ThreadPool pool(2);
  const Control control;
  for (const size_t d : {12UL, 40UL}) {
    for (const std::vector<float>& x : {surface(4000, d), clusters(4000, d, 20, 3)}) {
      const Neighbours found = descent(x, d, 14, 2);
      expect_neighbours(x, d, found);
      const double all = share(found, exact(x, d, 14));
      EXPECT(all >= 0.97);
      const Matrix rows = {x.data(), false, 4000, d};
      EXPECT(std::fabs(recall(found, rows, 256, pool, control, "") - all) < 0.02);
      EXPECT(std::fabs(recall(found, rows, 4000, pool, control, "") - all) < 1e-12);
    }
  }
}

TEST("recall counts what is missed") {
  const std::vector<float> x = surface(300, 12);
  ThreadPool pool(1);
  const Control control;
  Neighbours found = exact(x, 12, 10);
  const Matrix rows = {x.data(), false, 300, 12};
  EXPECT(recall(found, rows, 300, pool, control, "") == 1);
  for (size_t i = 0; i < 300; ++i)
    for (size_t r = 7; r < 10; ++r) found.distance[i * 10 + r] = 1e9;
  EXPECT(std::fabs(recall(found, rows, 300, pool, control, "") - 0.7) < 1e-12);
}

TEST("the same rows for 1, 2 and 5 threads and every SIMD level; another seed may give others") {
  // 700 columns: rows of several registers and a tail; rounded values: ties everywhere
  for (const size_t d : {3UL, 16UL, 700UL}) {
    std::vector<float> x = clusters(d == 700 ? 300 : 1500, d, 9, 2);
    for (const bool ties : {false, true}) {
      if (ties)
        for (float& value : x) value = std::rint(value);
      const Neighbours first = descent(x, d, 9);
      for (const std::string& level : simd_levels()) {
        for (const unsigned threads : {1U, 2U, 5U}) {
          const Neighbours again = descent(x, d, 9, threads, level);
          EXPECT(again.row == first.row && again.distance == first.distance);
        }
      }
    }
  }
  const std::vector<float> x = clusters(3000, 30, 1, 0);
  EXPECT(descent(x, 30, 5, 2, "", 1).row != descent(x, 30, 5, 2, "", 2).row);
}

TEST("all rows equal, many duplicates, one column: k other rows, the nearest of them at the exact distances") {
  const std::vector<float> equal(700 * 5, 2.5F);
  const Neighbours same = descent(equal, 5, 14, 2);
  expect_neighbours(equal, 5, same);
  EXPECT(std::all_of(same.distance.begin(), same.distance.end(), [](double value) { return value == 0; }));

  // 7 places for 1,400 rows, and single rows between them
  std::vector<float> doubled = clusters(1500, 6, 3, 4);
  for (size_t i = 0; i < 1400; ++i) std::copy_n(&doubled[(1400 + i % 7) * 6], 6, &doubled[i * 6]);
  const Neighbours found = descent(doubled, 6, 14, 2);
  expect_neighbours(doubled, 6, found);
  EXPECT(share(found, exact(doubled, 6, 14)) > 0.99);

  const std::vector<float> line = clusters(2000, 1, 4, 50);
  const Neighbours on_line = descent(line, 1, 14, 2);
  expect_neighbours(line, 1, on_line);
  EXPECT(share(on_line, exact(line, 1, 14)) > 0.99);
}

TEST("few rows, and as many neighbours as other rows: all of them") {
  for (const size_t n : {2UL, 3UL, 4UL, 65UL, 130UL}) {
    const std::vector<float> x = clusters(n, 4, 2, 3);
    const Neighbours found = descent(x, 4, n - 1, 2);
    const Neighbours wanted = exact(x, 4, n - 1);
    EXPECT(found.row == wanted.row && found.distance == wanted.distance);
  }
  const std::vector<float> x = clusters(130, 4, 2, 3);
  expect_neighbours(x, 4, descent(x, 4, 1, 2));
}

TEST("clusters with nothing between them, one of fewer rows than neighbours: the rest comes from elsewhere") {
  std::vector<float> x = clusters(1000, 8, 4, 1000);
  for (size_t i = 0; i < 6; ++i)
    for (size_t j = 0; j < 8; ++j) x[i * 8 + j] = -9e4F + 0.01F * static_cast<float>(i * j);
  const Neighbours found = descent(x, 8, 14, 2);
  expect_neighbours(x, 8, found);
  const Neighbours wanted = exact(x, 8, 14);
  EXPECT(share(found, wanted) > 0.99);
  for (size_t i = 0; i < 6; ++i)
    for (size_t r = 0; r < 5; ++r) EXPECT(found.row[i * 14 + r] < 6);
}

TEST("float64 rows that float32 cannot tell apart: float64 distances; NaN and rows too far are named; a job ends") {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  std::vector<double> x(300 * 4);
  for (double& value : x) value = 1 + 1e-9 * normal(random);
  const Matrix close = {x.data(), true, 300, 4};
  ThreadPool pool(2);
  Control control;
  const Neighbours found = nn_descent(close, 9, kMore, 1, pool, control, "", nobody);
  EXPECT(recall(found, close, 300, pool, control, "") > 0.97);
  for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY), 1e30}) {
    std::vector<double> y = x;
    y[123 * 4 + 2] = bad;
    int64_t row = -1;
    try {
      nn_descent({y.data(), true, 300, 4}, 9, kMore, 1, pool, control, "", nobody);
    } catch (const Error& error) {
      row = error.row;
    }
    EXPECT(bad == 1e30 ? row >= 0 : row == 123);
  }
  control.cancel();
  EXPECT_THROWS(nn_descent(close, 9, kMore, 1, pool, control, "", nobody));
}

TEST("a layout says how its neighbours were found: exactly where rows are few or too many are missed") {
  Control control;
  const std::vector<float> x = surface(20000, 8);
  Umap task = {.x = {x.data(), false, 20000, 8}, .epochs = 1, .threads = 2, .simd = ""};
  const Layout usual = fit(task, control);
  EXPECT(!usual.exact && usual.recall >= kLeastRecall);
  task.x.rows = 400;
  task.search = Search::automatic;
  EXPECT(fit(task, control).exact);
  task.search = Search::descent;
  EXPECT(!fit(task, control).exact);
  // without shape: every row is about as far as every other
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> noise(20000 * 50);
  for (float& value : noise) value = normal(random);
  task = {.x = {noise.data(), false, 20000, 50}, .epochs = 1, .threads = 2, .simd = ""};
  const Layout hard = fit(task, control);
  EXPECT(hard.exact && hard.recall == 1);
}

}  // namespace
}  // namespace coregain::reduce

TEST_MAIN()
