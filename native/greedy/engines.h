// The engines behind greedy_bins: each gives the same order (docs/exact-order.md), at its own cost.
#pragma once

#include "core/control.h"
#include "core/thread_pool.h"
#include "greedy/points.h"
#include "greedy/problem.h"

namespace coregain {

// Every step evaluates every point that is left, in float32. O(N^2 d) whatever the data, no memory beside the points.
Partition sweep(const Problem& problem, const Points& points, ThreadPool& pool, Control& control);

// Certified lazy evaluation. `everything` keeps all points in the window from the start and may hold the inner products
// of all pairs: the Gram engine.
Partition lazy(const Problem& problem, const Points& points, ThreadPool& pool, Control& control, bool everything);

}  // namespace coregain
