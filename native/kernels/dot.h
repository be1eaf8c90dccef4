// Inner products of float32 rows with one vector: the kernel that a sweep spends its time in.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct DotKernel {
  static constexpr size_t kRows = 4;      // rows at a time: their loads overlap and w is read once
  static constexpr size_t kChunk = 4096;  // columns summed in float32 before the sum goes on in float64

  const char* name;
  size_t lanes;  // float32 lanes of one vector register
  // out[r] = sum_j rows[r][j] * w[j], r < kRows. w has padded(d) elements, zero from d on; rows are not read beyond d.
  void (*dot)(const float* const* rows, const float* w, size_t d, double* out);

  size_t padded(size_t d) const { return (d + 2 * lanes - 1) / (2 * lanes) * (2 * lanes); }
  // n such that |computed - exact| <= n u / (1 - n u) * sum_j |x_j w_j|, u = 2^-24, underflow apart: in a chunk an
  // element meets 1 multiplication, at most kChunk / (2 lanes) additions to one of two registers, 1 + log2(lanes)
  // additions that fold them; the float64 sum of the chunks costs less than 1 u more.
  unsigned roundings(size_t d) const;
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const DotKernel& dot_kernel(const std::string& level);

}  // namespace coregain
