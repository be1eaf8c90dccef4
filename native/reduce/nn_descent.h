// Approximate nearest rows by descent in the graph of neighbours: a neighbour of a neighbour is likely to be one (Dong,
// Moses and Li 2011, "Efficient k-nearest neighbor graph construction for generic similarity measures").
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "reduce/neighbours.h"

namespace coregain::reduce {

// For each row of `x` k others, nearly always its nearest: nearest first, of equal distances the lower row first, with
// `distance` of the original rows. The search itself compares float32 distances of centred rows, of which it keeps a
// copy, and keeps `more` neighbours besides, from which it finds others: without them it misses several times as many.
// 1 <= k <= rows - 1. The same rows for a seed, for every number of threads and every SIMD level. `done` is called with
// a count that grows to the rows of x. Throws as `nearest`.
Neighbours nn_descent(const Matrix& x, size_t k, size_t more, uint64_t seed, ThreadPool& pool, const Control& control,
                      const std::string& simd, const std::function<void(size_t)>& done);

// The share of what `found` holds of `x` among itself that is as near as the exact k nearest, of `sample` evenly spaced
// rows (of all rows, where there are fewer).
double recall(const Neighbours& found, const Matrix& x, size_t sample, ThreadPool& pool, const Control& control,
              const std::string& simd);

}  // namespace coregain::reduce
