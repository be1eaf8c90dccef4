#include "linear/columns.h"

#include <algorithm>

namespace coregain::linear {
namespace {

constexpr size_t kRows = Gemm64Kernel::kRows;
constexpr size_t kPanel = Gemm64Kernel::kPanel;
constexpr size_t kDepth = Gemm64Kernel::kDepth;

}  // namespace

Columns::Columns(size_t depth, size_t count) : depth_(depth), count_(count), data_(panels() * depth * kPanel) {
  // columns that fill up the last panel
  for (size_t t = count; t < panels() * kPanel; ++t)
    for (size_t j = 0; j < depth; ++j) data_[(t / kPanel * depth + j) * kPanel + t % kPanel] = 0;
}

void Columns::put_row(size_t j, size_t from, const double* row, size_t elements) {
  for (size_t t = 0; t < elements; t += kPanel)
    std::copy_n(row + t, std::min(kPanel, elements - t), data_.data() + ((from + t) / kPanel * depth_ + j) * kPanel);
}

void Columns::put_column(size_t t, const double* column) {
  double* const to = data_.data() + t / kPanel * depth_ * kPanel + t % kPanel;
  for (size_t j = 0; j < depth_; ++j) to[j * kPanel] = column[j];
}

void add_product(const Gemm64Kernel& kernel, const double* a, size_t a_stride, size_t rows, const Columns& b,
                 size_t first, size_t last, double* c, size_t c_stride) {
  double few[kRows * kDepth], block[kRows * kPanel];
  for (size_t from = 0; from < b.depth(); from += kDepth) {
    const size_t depth = std::min(kDepth, b.depth() - from);
    const size_t whole = rows / kRows * kRows;
    // rows that fill no block are copied to one
    if (whole < rows) std::fill_n(few, kRows * kDepth, 0.0);
    for (size_t i = whole; i < rows; ++i) std::copy_n(a + i * a_stride + from, depth, few + (i - whole) * kDepth);
    for (size_t p = first; p < last; ++p) {
      const double* const panel = b.at(p, from);
      const size_t columns = std::min(kPanel, b.count() - p * kPanel);
      for (size_t i = 0; i < rows; i += kRows) {
        const double* const left = i < whole ? a + i * a_stride + from : few;
        const size_t stride = i < whole ? a_stride : kDepth;
        double* const to = c + i * c_stride + p * kPanel;
        if (i < whole && columns == kPanel) {
          kernel.add(left, stride, panel, depth, to, c_stride);
          continue;
        }
        std::fill_n(block, kRows * kPanel, 0.0);
        kernel.add(left, stride, panel, depth, block, kPanel);
        for (size_t r = 0; r < std::min(kRows, rows - i); ++r)
          for (size_t t = 0; t < columns; ++t) to[r * c_stride + t] += block[r * kPanel + t];
      }
    }
  }
}

}  // namespace coregain::linear
