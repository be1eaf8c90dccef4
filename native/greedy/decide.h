// The last word on a step: which of a few rows has the best score.
#pragma once

#include <cstddef>
#include <vector>

#include "core/thread_pool.h"
#include "greedy/objective.h"
#include "greedy/problem.h"

namespace coregain {

// The row of the highest score among `rows`, which hold every row that float32 could not rule out; the lowest one on
// ties. float64 first, integers where that leaves more than one; `counts` notes how often. Changes `rows`.
size_t decide(const Objective& objective, std::vector<size_t>& rows, ThreadPool& pool, size_t d, Partition& counts);

}  // namespace coregain
