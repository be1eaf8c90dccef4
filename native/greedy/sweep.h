// The plain engine: every step evaluates every point that is left with one float32 inner product. O(N^2 d) work, memory
// of the input plus a few words a row.
#pragma once

#include "greedy/problem.h"

namespace coregain {

// The exact greedy partition. Throws NotFinite, Cancelled, std::invalid_argument (SIMD level not available).
Partition sweep(const Problem& problem, const Settings& settings);

}  // namespace coregain
