// Exact nearest rows by Euclidean distance.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"

namespace coregain::reduce {

// Of n queries, each k rows: nearest first, of equal distances the lower row first.
struct Neighbours {
  size_t k = 0;
  std::vector<int32_t> row;      // [n, k]
  std::vector<double> distance;  // [n, k]
};

// sqrt(sum_j (a_j - b_j)^2) of row `i` of a and row `j` of b: float64, four sums side by side.
double distance(const Matrix& a, size_t i, const Matrix& b, size_t j);

// The k rows of `rows` with the least `distance` to each row of `queries`; where the two are one matrix (`same`), a row
// is no neighbour of its own. Float32 products of centred rows, tile by tile, rule out what provably is too far;
// `distance` decides the rest. Nothing of size N x N is kept, and the rows are not copied. `done` is called with the
// queries that are finished. 1 <= k <= rows (less one where `same`). Throws Error ERR_NOT_FINITE or ERR_RANGE with the
// row of `queries`, ERR_SIMD, ERR_CANCELLED.
Neighbours nearest(const Matrix& queries, const Matrix& rows, bool same, size_t k, ThreadPool& pool,
                   const Control& control, const std::string& simd, const std::function<void(size_t)>& done);

}  // namespace coregain::reduce
