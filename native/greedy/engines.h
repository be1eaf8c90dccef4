// The engines behind greedy_bins: each gives the same order (docs/exact-order.md), at its own cost.
#pragma once

#include "core/control.h"
#include "core/thread_pool.h"
#include "cuda/api.h"
#include "greedy/points.h"
#include "greedy/problem.h"

namespace coregain {

// Every step evaluates every point that is left, in float32. O(N^2 d) whatever the data, no memory beside the points.
Partition sweep(const Problem& problem, const Points& points, ThreadPool& pool, Control& control);

// How the sets of the lazy engine are nested.
struct Nest {
  size_t depth = 0;         // levels outside the window, 0 = by the number of points
  double smallest = 64;     // points of a set
  bool everything = false;  // the Gram engine: all points stay in the window, with room for the products of all pairs
};

// Certified lazy evaluation.
Partition lazy(const Problem& problem, const Points& points, ThreadPool& pool, Control& control, const Nest& nest);

// The engine of a CUDA device (docs/gpu.md), through the table of its library. Throws Error ERR_MEMORY or ERR_DEVICE
// where the device cannot do it: before or during the work. `window`: rows that the look-ahead keeps up to date, 0 = as
// many as suit the device. `cluster`: most blocks of a cluster for its steps, 0 = a grid; for tests and benches.
Partition on_device(const Problem& problem, const Points& points, const CudaTable& library, ThreadPool& pool,
                    Control& control, int32_t window = 0, int32_t cluster = 16);

}  // namespace coregain
