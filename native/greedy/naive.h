// The brute-force twin: the greedy partition straight from the pairwise formula in float64, O(N^2 d) a bin and nothing
// clever. What the engines are checked against.
#pragma once

#include "greedy/problem.h"

namespace coregain {

// float64 sums in index order; ties to the lowest index. Exact only as far as float64 tells gains apart.
Partition naive(const Problem& problem);

}  // namespace coregain
