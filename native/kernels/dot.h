// Inner products of float32 rows with one vector: the kernel that a sweep spends its time in.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct DotKernel {
  const char* name;
  // sum_j x[j] * w[j] in float32. `w` has `padded_size(d)` elements, zero beyond d; x has d and is not read beyond.
  float (*dot)(const float* x, const float* w, size_t d);
  // Float32 lanes of one vector register. Four registers accumulate, so an element passes through
  // 1 multiplication, ceil(d / (4 lanes)) additions and 2 + log2(lanes) additions of the final tree.
  unsigned lanes;

  size_t padded_size(size_t d) const { return (d + 4 * lanes - 1) / (4 * lanes) * (4 * lanes); }
  // n such that |computed - exact| <= n u / (1 - n u) * sum_j |x_j w_j| with u = 2^-24, underflow apart.
  double roundings(size_t d) const;
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws std::invalid_argument.
const DotKernel& dot_kernel(const std::string& level);

}  // namespace coregain
