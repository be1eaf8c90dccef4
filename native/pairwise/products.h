// Inner products of many rows with some rows, on the processor, block by block: what the pairwise kernels are made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "pairwise/points.h"

namespace coregain::pairwise {

// Rows of the points: `list`, or all where it is null.
struct Chosen {
  const int32_t* list = nullptr;
  size_t count = 0;
  size_t operator[](size_t i) const { return list == nullptr ? i : static_cast<size_t>(list[i]); }
};
inline Chosen all_of(const Points& points) {
  return {nullptr, points.rows()};
}

constexpr size_t kProductRows = 128;     // left rows of a block
constexpr size_t kProductColumns = 480;  // most right rows of a block: its sums stay in the second cache

// value (i, j) is block[i * stride + j], of left rows first_row + i and right rows first_col + j. Called from several
// threads, each block once; first_row is a multiple of kProductRows.
using Take = std::function<void(size_t first_row, size_t rows, size_t first_col, size_t cols, const double* block,
                                size_t stride)>;

// y_a.y_b of every pair, off by at most Points::error(left(a), right(b)): the same bits for every number of threads.
// Throws Error ERR_CANCELLED.
void products(const Points& points, const Chosen& left, const Chosen& right, const Control& control, const Take& take);

// out[i] = y_i.w of all rows, off by at most the returned error(i).
struct VectorProducts {
  std::vector<double> values;
  std::vector<double> errors;
};
VectorProducts vector_products(const Points& points, const std::vector<double>& w, const Control& control);

}  // namespace coregain::pairwise
