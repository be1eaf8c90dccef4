// greedy_bins: checks the problem, prepares the points, chooses the engine.
#include <chrono>
#include <cstdio>
#include <new>

#include "core/cpu.h"
#include "core/cuda_library.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "greedy/engines.h"
#include "greedy/points.h"
#include "greedy/problem.h"

namespace coregain {

namespace {

std::string gigabytes(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", bytes / 1e9);
  return text;
}

Partition run(const Problem& problem, const Points& points, ThreadPool& pool, Control& control) {
  if (problem.engine == Engine::kSweep) return sweep(problem, points, pool, control);
  if (problem.engine == Engine::kLazy) return lazy(problem, points, pool, control, {});
  if (problem.engine == Engine::kGram) {
    const auto n = static_cast<double>(points.first.size());
    const size_t memory = problem.memory > 0 ? problem.memory : physical_memory() / 4;
    if (4 * n * n > static_cast<double>(memory))
      throw Error("ERR_MEMORY", "The inner products of all pairs of " + std::to_string(points.first.size()) +
                                    " rows take " + gigabytes(4 * n * n) + ", and " +
                                    gigabytes(static_cast<double>(memory)) +
                                    " are allowed, a quarter of this machine's memory. Use the engine \"lazy\".");
    return lazy(problem, points, pool, control, {.everything = true});
  }
  try {
    return lazy(problem, points, pool, control, {});
  } catch (const std::bad_alloc&) {
    control.done(0);
    Partition out = sweep(problem, points, pool, control);
    out.why = "the memory for an 8-bit copy of the rows was not to be had";
    return out;
  }
}

// On the device; on the processor where it cannot do it and the caller does not insist.
Partition run_on_device(const Problem& problem, const Points& points, ThreadPool& pool, Control& control) {
  std::string reason;
  try {
    const CudaSupport& cuda = cuda_support();
    const auto device = static_cast<size_t>(problem.device);
    if (cuda.table == nullptr) throw Error("ERR_DEVICE", "CUDA cannot be used: " + cuda.reason + ".");
    if (device >= cuda.devices.size())
      throw Error("ERR_DEVICE", "There is no device cuda:" + std::to_string(device) + ".");
    if (problem.engine == Engine::kSweep)
      throw Error("ERR_DEVICE", "The engine \"sweep\" runs on the processor only. Use the engine \"auto\".");
    Partition out = on_device(problem, points, *cuda.table, pool, control);
    out.device = "cuda:" + std::to_string(device) + " " + static_cast<const char*>(cuda.devices[device].name);
    return out;
  } catch (const Error& error) {
    if (!problem.fallback || error.code == "ERR_CANCELLED") throw;
    reason = error.what();
  }
  control.done(0);
  Partition out = run(problem, points, pool, control);
  out.device = "cpu";
  out.why = "the device was given up: " + reason;
  return out;
}

}  // namespace

Partition greedy_bins(const Problem& problem, Control& control) {
  if (problem.bins < 1 || problem.bins > problem.x.rows || problem.x.cols < 1)
    throw Error("ERR_BINS", "Cannot make " + std::to_string(problem.bins) + " bins of " +
                                std::to_string(problem.x.rows) + " rows with " + std::to_string(problem.x.cols) +
                                " columns. Ask for at least 1 bin and at most one for each row.");
  const StandardArithmetic standard;
  const auto start = std::chrono::steady_clock::now();
  ThreadPool pool(problem.threads);
  const Points points(problem, pool, control);
  Partition out =
      problem.device >= 0 ? run_on_device(problem, points, pool, control) : run(problem, points, pool, control);
  if (out.device.empty()) {
    out.device = "cpu";
    if (problem.engine != Engine::kAuto) out.why = "asked for";
  }
  out.threads = pool.size();
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace coregain
