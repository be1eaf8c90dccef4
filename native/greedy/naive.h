// The brute-force twins of the engine: the greedy partition straight from the pairwise formulas of docs/gain.md, with
// an N x N table and nothing clever. What the engines are checked against.
#pragma once

#include "greedy/problem.h"

namespace coregain {

// In float64, summed in index order, ties to the lowest row: right as far as float64 can tell the gains apart.
Partition naive(const Problem& problem);

// In integers of any size, hence without rounding: the definition of the order. For small N: a table of N x N big
// numbers. Leaves `gains` empty.
Partition oracle(const Problem& problem);

}  // namespace coregain
