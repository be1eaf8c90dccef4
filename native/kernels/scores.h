// One step of the greedy order for many rows whose inner products with the chosen row are known already.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct ScoresKernel {
  static constexpr size_t kBlock = 32;  // rows that share a maximum

  // scores[i] += twice_q[i] - factor * products[i], i < n, a multiple of kBlock; block_max[b] = largest of block b.
  void (*update)(double* scores, const double* twice_q, const float* products, double factor, size_t n,
                 double* block_max);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const ScoresKernel& scores_kernel(const std::string& level);

}  // namespace coregain
