// greedy_bins: checks the problem, prepares the points, chooses the engine.
#include <chrono>

#include "core/cpu.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "greedy/engines.h"
#include "greedy/points.h"
#include "greedy/problem.h"

namespace coregain {

Partition greedy_bins(const Problem& problem, Control& control) {
  if (problem.bins < 1 || problem.bins > problem.x.rows || problem.x.cols < 1)
    throw Error("ERR_BINS", "Cannot make " + std::to_string(problem.bins) + " bins of " +
                                std::to_string(problem.x.rows) + " rows with " + std::to_string(problem.x.cols) +
                                " columns. Ask for at least 1 bin and at most one for each row.");
  const StandardArithmetic standard;
  const auto start = std::chrono::steady_clock::now();
  ThreadPool pool(problem.threads);
  const Points points(problem, pool, control);
  Partition out;
  if (problem.engine == Engine::kSweep)
    out = sweep(problem, points, pool, control);
  else
    out = lazy(problem, points, pool, control, problem.engine == Engine::kGram);
  out.threads = pool.size();
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace coregain
