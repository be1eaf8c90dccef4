#include "greedy/decide.h"

#include <algorithm>
#include <limits>

namespace coregain {

size_t decide(const Objective& objective, std::vector<size_t>& rows, ThreadPool& pool, size_t d, Partition& counts) {
  if (rows.size() == 1) return rows[0];
  ++counts.float64_decisions;
  std::vector<Bounds> bounds(rows.size());
  const auto evaluate = [&](unsigned, size_t begin, size_t end) {
    std::vector<double> scratch(d);
    for (size_t c = begin; c < end; ++c) bounds[c] = objective.bounds64(rows[c], scratch.data());
  };
  const size_t block = 1 + 32768 / d;
  if (rows.size() <= block)
    evaluate(0, 0, rows.size());
  else
    pool.for_blocks(rows.size(), block, evaluate);

  double best_low = -std::numeric_limits<double>::infinity();
  for (const Bounds& b : bounds) best_low = std::max(best_low, b.low);
  size_t kept = 0;
  for (size_t c = 0; c < bounds.size(); ++c)
    if (bounds[c].high >= best_low) rows[kept++] = rows[c];
  rows.resize(kept);
  if (kept == 1) return rows[0];
  if (objective.float64_is_exact()) return *std::min_element(rows.begin(), rows.end());
  ++counts.exact_decisions;
  return objective.best_exact(rows);
}

}  // namespace coregain
