#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "core/cpu.h"
#include "objectives/random.h"
#include "strategies/rows.h"
#include "strategies/strategies.h"

namespace coregain::strategies {
namespace {

constexpr size_t kPairs = 65536;         // for the median distance
constexpr size_t kLeaf = 8;              // rows of a leaf of the tree
constexpr size_t kDirectionRows = 1024;  // rows that the principal direction of a node is computed from
constexpr int kPowerSteps = 8;

double squared_distance(const Rows& rows, size_t i, size_t j) {
  return std::max(0.0, rows.square(i) + rows.square(j) - 2 * rows.product(i, rows.row(j)));
}

double median_squared_distance(const Rows& rows, uint64_t seed) {
  if (rows.n < 2) return 0;
  objectives::Words words(seed, 1);
  std::vector<double> distances;
  for (size_t p = 0; p < kPairs; ++p) {
    const size_t i = words.below(rows.n);
    const size_t j = (i + 1 + words.below(rows.n - 1)) % rows.n;
    distances.push_back(squared_distance(rows, i, j));
  }
  const auto middle = distances.begin() + static_cast<ptrdiff_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  return *middle;
}

// Pairs within eps have radii within eps of each other: sorted by radius, each row looks ahead only as far as that.
std::vector<int32_t> count_neighbours(const Rows& rows, double radius_squared, ThreadPool& pool, Control& control) {
  std::vector<size_t> by_radius(rows.n);
  std::iota(by_radius.begin(), by_radius.end(), size_t{0});
  std::sort(by_radius.begin(), by_radius.end(), [&](size_t a, size_t b) {
    return rows.square(a) != rows.square(b) ? rows.square(a) < rows.square(b) : a < b;
  });
  std::vector<double> radius(rows.n);
  for (size_t a = 0; a < rows.n; ++a) radius[a] = std::sqrt(rows.square(by_radius[a]));
  const double eps = std::sqrt(radius_squared) * (1 + 0x1p-20);

  std::vector<std::vector<int32_t>> counts(pool.size(), std::vector<int32_t>(rows.n, 0));
  std::atomic<size_t> done = 0;
  constexpr size_t kFew = 32;  // rows a thread takes: they share what they look at
  pool.for_blocks(rows.n, kFew, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    std::vector<int32_t>& count = counts[t];
    for (size_t i = begin; i < end; ++i) ++count[by_radius[i]];
    for (size_t from = begin + 1; from < rows.n; from += 4) {
      if (radius[from] > radius[end - 1] + eps) break;
      const size_t several = std::min<size_t>(4, rows.n - from);
      for (size_t i = begin; i < std::min(end, from + several); ++i) {
        if (radius[from] > radius[i] + eps) continue;
        const size_t a = by_radius[i];
        double products[4];
        rows.products(&by_radius[from], several, rows.row(a), products);
        for (size_t r = 0; r < several; ++r) {
          if (from + r <= i) continue;
          const size_t b = by_radius[from + r];
          const double squares = rows.square(a) + rows.square(b);
          const double error = 2 * rows.error() * radius[i] * radius[from + r] + 0x1p-40 * squares + 1e-37;
          const double distance = squares - 2 * products[r];
          if (distance - error > radius_squared) continue;
          if (distance + error > radius_squared && squared_distance(rows, a, b) > radius_squared) continue;
          ++count[a];
          ++count[b];
        }
      }
    }
    control.done(done += end - begin);
  });
  for (size_t t = 1; t < counts.size(); ++t)
    for (size_t i = 0; i < rows.n; ++i) counts[0][i] += counts[t][i];
  return counts[0];
}

// Splits a node at the median of its rows along their principal direction, over and over.
void tree(const Rows& rows, int32_t* begin, size_t count, const Control& control) {
  if (count <= kLeaf) return;
  control.check();
  const size_t d = rows.d, step = std::max<size_t>(1, count / kDirectionRows);
  std::vector<double> mean(d), direction(d), next(d);
  size_t sampled = 0;
  for (size_t i = 0; i < count; i += step, ++sampled) {
    const float* y = rows.row(static_cast<size_t>(begin[i]));
    for (size_t j = 0; j < d; ++j) mean[j] += static_cast<double>(y[j]);
  }
  for (double& m : mean) m /= static_cast<double>(sampled);
  const auto along = [&](size_t row) {
    const float* y = rows.row(row);
    double sum[4] = {};
    for (size_t j = 0; j < d; ++j) sum[j % 4] += (static_cast<double>(y[j]) - mean[j]) * direction[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  };
  // the row farthest from the mean is a start that no symmetry hides
  double farthest = -1;
  for (size_t i = 0; i < count; i += step) {
    const float* y = rows.row(static_cast<size_t>(begin[i]));
    double square = 0;
    for (size_t j = 0; j < d; ++j)
      square += (static_cast<double>(y[j]) - mean[j]) * (static_cast<double>(y[j]) - mean[j]);
    if (square <= farthest) continue;
    farthest = square;
    for (size_t j = 0; j < d; ++j) direction[j] = static_cast<double>(y[j]) - mean[j];
  }
  if (farthest <= 0) return;  // equal rows, as far as the sample tells
  for (int power = 0; power < kPowerSteps; ++power) {
    double length = 0;
    for (const double value : direction) length += value * value;
    for (double& value : direction) value /= std::sqrt(length);
    std::fill(next.begin(), next.end(), 0.0);
    for (size_t i = 0; i < count; i += step) {
      const auto row = static_cast<size_t>(begin[i]);
      const double projection = along(row);
      const float* y = rows.row(row);
      for (size_t j = 0; j < d; ++j) next[j] += projection * (static_cast<double>(y[j]) - mean[j]);
    }
    double square = 0;
    for (const double value : next) square += value * value;
    if (square <= 0) break;
    direction.swap(next);
  }
  std::vector<std::pair<double, int32_t>> keyed(count);
  for (size_t i = 0; i < count; ++i) keyed[i] = {along(static_cast<size_t>(begin[i])), begin[i]};
  const size_t half = count / 2;
  std::nth_element(keyed.begin(), keyed.begin() + static_cast<ptrdiff_t>(half), keyed.end());
  // nth_element leaves an order of the library's own in the halves
  std::sort(keyed.begin(), keyed.begin() + static_cast<ptrdiff_t>(half));
  std::sort(keyed.begin() + static_cast<ptrdiff_t>(half), keyed.end());
  for (size_t i = 0; i < count; ++i) begin[i] = keyed[i].second;
  keyed = {};
  tree(rows, begin, half, control);
  tree(rows, begin + half, count - half, control);
}

}  // namespace

Density density(const Task& task, double fraction, Control& control) {
  const StandardArithmetic standard;
  ThreadPool pool(task.threads);
  const Rows rows(task.x, pool, control, task.simd);
  Density out;
  out.radius_squared = fraction * fraction * median_squared_distance(rows, task.seed);
  out.neighbours = count_neighbours(rows, out.radius_squared, pool, control);
  out.order.resize(rows.n);
  std::iota(out.order.begin(), out.order.end(), 0);
  tree(rows, out.order.data(), rows.n, control);
  return out;
}

}  // namespace coregain::strategies
