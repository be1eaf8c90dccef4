#include "reduce/umap.h"

#include <algorithm>
#include <utility>

#include "core/cpu.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "pairwise/kernels.h"
#include "reduce/layout.h"
#include "reduce/neighbours.h"
#include "reduce/nn_descent.h"
#include "reduce/start.h"

namespace coregain::reduce {
namespace {

constexpr double kSpread = 1;

// Neighbours are the first half of the work, epochs the second.
struct Halves {
  Control& control;
  size_t rows, epochs;
  void searched(size_t count) const { control.done(count / 2); }
  void moved(size_t count) const { control.done(rows / 2 + (rows - rows / 2) * count / epochs); }
};

// Edges that would not be used in all the epochs are left out.
void drop_light_edges(Graph& graph, size_t epochs) {
  double heaviest = 0;
  for (const double weight : graph.weight) heaviest = std::max(heaviest, weight);
  Graph kept;
  kept.offset.push_back(0);
  for (size_t i = 0; i + 1 < graph.offset.size(); ++i) {
    for (size_t e = graph.offset[i]; e < graph.offset[i + 1]; ++e) {
      if (graph.weight[e] * static_cast<double>(epochs) < heaviest) continue;
      kept.to.push_back(graph.to[e]);
      kept.weight.push_back(graph.weight[e]);
    }
    kept.offset.push_back(kept.to.size());
  }
  graph = std::move(kept);
}

constexpr size_t kRecallRows = 256;

// Whether a device is to compare all rows.
bool compares_on_device(const Umap& task) {
  if (task.device.library == nullptr || task.search == Search::descent) return false;
  const bool finds = pairwise::device_finds(task.neighbours - 1);
  if (task.search == Search::exact) {
    if (finds) return true;
    throw Error("ERR_DEVICE", "A device does not find " + std::to_string(task.neighbours) +
                                  " neighbours of a row. Use fewer neighbours, or the device \"cpu\".");
  }
  const auto n = static_cast<double>(task.x.rows);
  return finds && n * n * static_cast<double>(task.x.cols) <= kMostOnDevice;
}

pairwise::PointsTask points_of(const Umap& task, const Matrix& x, const double* origin) {
  return {.x = x,
          .threads = task.threads,
          .simd = task.simd,
          .library = task.device.library,
          .device = task.device.index,
          .origin = origin};
}

// Neighbours of the training rows; the layout learns how they were found.
Neighbours search(const Umap& task, const Halves& halves, ThreadPool& pool, Layout& layout) {
  const size_t n = task.x.rows, k = task.neighbours - 1;
  const size_t many = kRowsPerNeighbour * std::max<size_t>(15, task.neighbours);
  size_t before = 0;
  const auto descend = [&](size_t more) {
    Neighbours near = nn_descent(task.x, k, more, task.seed, pool, halves.control, task.simd,
                                 [&](size_t count) { halves.searched(before + count / 4); });
    before += n / 4;
    layout.exact = false;
    layout.recall = recall(near, task.x, kRecallRows, pool, halves.control, task.simd);
    return near;
  };
  constexpr size_t kUsual = 14, kHard = 28;
  if (compares_on_device(task)) {
    layout.on_device = true;
    const pairwise::Points points(points_of(task, task.x, nullptr), halves.control);
    return pairwise::nearest(points, points, k, halves.control, [&](size_t count) { halves.searched(count); });
  }
  if (task.search == Search::descent) return descend(kUsual);
  if (task.search == Search::automatic && n >= many) {
    Neighbours near = descend(kUsual);
    // the exact search takes longer by the square: with more rows it is worth another try
    if (layout.recall < kLeastRecall && n >= 3 * many) near = descend(kHard);
    if (layout.recall >= kLeastRecall) return near;
  }
  layout.exact = true;
  layout.recall = 1;
  return nearest(task.x, task.x, true, k, pool, halves.control, task.simd,
                 [&](size_t count) { halves.searched(before + count * (n - before) / n); });
}

}  // namespace

Layout fit(const Umap& task, Control& control) {
  const StandardArithmetic standard;
  ThreadPool pool(task.threads);
  const Halves halves = {control, task.x.rows, task.epochs};
  Layout layout;
  layout.curve = fit_curve(task.min_dist, kSpread);
  const Neighbours near = search(task, halves, pool, layout);
  Graph graph = fuzzy_union(near, memberships(near, task.neighbours));
  drop_light_edges(graph, task.epochs);
  layout.points = principal_start(task.x, task.dims, task.seed, task.threads, task.simd, control);
  descend(layout.points, task.dims, graph, {layout.curve, task.epochs, 1, task.seed}, nullptr, pool, control, task.simd,
          [&](size_t count) { halves.moved(count); });
  return layout;
}

std::vector<float> place(const Umap& task, const Layout& fitted, const Matrix& rows, Control& control) {
  const StandardArithmetic standard;
  ThreadPool pool(task.threads);
  const Halves halves = {control, rows.rows, task.epochs};
  const auto searched = [&](size_t count) { halves.searched(count); };
  const auto on_device = [&] {
    const pairwise::Points fitted_rows(points_of(task, task.x, nullptr), control);
    const pairwise::Points queries(points_of(task, rows, fitted_rows.origin().data()), control);
    return pairwise::nearest(queries, fitted_rows, task.neighbours, control, searched);
  };
  const Neighbours near = task.device.library != nullptr && pairwise::device_finds(task.neighbours)
                              ? on_device()
                              : nearest(rows, task.x, false, task.neighbours, pool, control, task.simd, searched);
  Graph graph;
  graph.to = near.row;
  graph.weight = memberships(near, task.neighbours);
  for (size_t i = 0; i <= rows.rows; ++i) graph.offset.push_back(i * near.k);

  const size_t dims = task.dims;
  std::vector<float> points(rows.rows * dims);
  std::vector<double> sum(dims);
  for (size_t i = 0; i < rows.rows; ++i) {
    std::fill(sum.begin(), sum.end(), 0.0);
    double total = 0;
    for (size_t e = graph.offset[i]; e < graph.offset[i + 1]; ++e) {
      total += graph.weight[e];
      const float* point = &fitted.points[static_cast<size_t>(graph.to[e]) * dims];
      for (size_t c = 0; c < dims; ++c) sum[c] += graph.weight[e] * static_cast<double>(point[c]);
    }
    for (size_t c = 0; c < dims; ++c) points[i * dims + c] = static_cast<float>(sum[c] / total);
  }
  descend(points, dims, graph, {fitted.curve, task.epochs, 0.25, task.seed}, &fitted.points, pool, control, task.simd,
          [&](size_t count) { halves.moved(count); });
  return points;
}

}  // namespace coregain::reduce
