// The inner block of matrix products: a few rows times a panel of columns.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct GemmKernel {
  static constexpr size_t kRows = 8;    // rows of a block
  static constexpr size_t kPanel = 48;  // columns of a panel: panel[j * kPanel + t] is element j of column t
  static constexpr size_t kDepth =
      192;                            // most elements summed in float32; a panel of them is near the first cache's size
  static constexpr size_t kRuns = 8;  // of memory that `add` asks for while it multiplies
  static constexpr size_t kRun = kDepth * sizeof(float);  // bytes of one

  const char* name;
  // c[i * c_stride + t] += sum_j a[i * a_stride + j * a_step] * panel[j * kPanel + t], i < kRows, t < kPanel, j < depth
  // <= kDepth. The sum is float32, one fused multiply-add after the other from j = 0 on: the same bits on every
  // machine. Then it is added in float64. Meanwhile kRun bytes from each of ahead[kRuns] (null: none) come into the
  // second cache, a line now and then: lines that are all asked for at once hold up the kernel's own.
  void (*add)(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t depth, double* c,
              size_t c_stride, const char* const* ahead);
  // The same of columns t < columns; of others as well, or not.
  void (*add_first)(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t columns, size_t depth,
                    double* c, size_t c_stride);
  // out[j] = float32(x[j] - shift[j]), the difference in float64
  void (*less_floats)(const float* x, const double* shift, size_t n, float* out);
  void (*less_doubles)(const double* x, const double* shift, size_t n, float* out);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const GemmKernel& gemm_kernel(const std::string& level);

}  // namespace coregain
