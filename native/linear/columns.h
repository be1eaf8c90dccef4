// Float64 matrix products.
#pragma once

#include <cstddef>

#include "core/buffer.h"
#include "kernels/gemm64.h"

namespace coregain::linear {

// The right factor of a product, [depth, count], as Gemm64Kernel takes it. Rows and columns are put by any threads,
// each once.
class Columns {
 public:
  Columns(size_t depth, size_t count);
  size_t depth() const { return depth_; }
  size_t count() const { return count_; }
  size_t panels() const { return (count_ + Gemm64Kernel::kPanel - 1) / Gemm64Kernel::kPanel; }
  // Elements [from, from + elements) of row j; `from` is where a panel starts.
  void put_row(size_t j, size_t from, const double* row, size_t elements);
  // Column t, [depth].
  void put_column(size_t t, const double* column);
  // Elements from `from` on of the columns of a panel.
  const double* at(size_t panel, size_t from) const {
    return data_.data() + (panel * depth_ + from) * Gemm64Kernel::kPanel;
  }

 private:
  size_t depth_, count_;
  Buffer<double> data_;
};

// c [rows, b.count] += a [rows, b.depth] b, of the columns of panels [first, last). The same bits for any rows and
// panels at a time, and at any SIMD level.
void add_product(const Gemm64Kernel& kernel, const double* a, size_t a_stride, size_t rows, const Columns& b,
                 size_t first, size_t last, double* c, size_t c_stride);

}  // namespace coregain::linear
