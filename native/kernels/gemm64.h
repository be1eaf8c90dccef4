// The inner block of float64 matrix products: a few rows times a panel of columns.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct Gemm64Kernel {
  static constexpr size_t kRows = 8;     // rows of a block
  static constexpr size_t kPanel = 24;   // columns of a panel: panel[j * kPanel + t] is element j of column t
  static constexpr size_t kDepth = 128;  // most elements at a time: a panel of them stays in the first cache

  const char* name;
  // c[i * c_stride + t] += sum_j a[i * a_stride + j] * panel[j * kPanel + t], i < kRows, t < kPanel, j < depth <=
  // kDepth. The sum is one fused multiply-add after the other from j = 0 on: the same bits on every machine.
  void (*add)(const double* a, size_t a_stride, const double* panel, size_t depth, double* c, size_t c_stride);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const Gemm64Kernel& gemm64_kernel(const std::string& level);

}  // namespace coregain
