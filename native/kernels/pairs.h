// What the pairwise kernels make of a row of inner products: the same bits at every SIMD level.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct PairsKernel {
  const char* name;
  // out[j] = float32(max(0, own + squares[j] - 2 products[j]))
  void (*distances)(const double* products, double own, const double* squares, size_t n, float* out);
  // min_j squares[j] - 2 products[j], infinity where n = 0
  double (*least)(const double* products, const double* squares, size_t n);
  // sums[j] += max(0, 1/2 + products[j] / 2 - reached)
  void (*rise)(const double* products, double reached, size_t n, double* sums);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const PairsKernel& pairs_kernel(const std::string& level);

}  // namespace coregain
