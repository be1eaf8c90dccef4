// Squared distances and products of float32 rows, the same bits at every SIMD level: each is 16 sums side by side, of
// the columns j, j + 16, ..., which are then folded in halves; nothing is fused.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct DistancesKernel {
  static constexpr size_t kSums = 16;  // rows are padded with zeros to a multiple of it
  static constexpr size_t kRows = 4;   // rows at a time: their sums do not wait for each other

  const char* name;
  // out[r] = |a - rows[r]|^2, r < kRows, over `stride` columns; a and b may change places.
  void (*squares)(const float* a, const float* const* rows, size_t stride, float* out);
  // a . b
  float (*product)(const float* a, const float* b, size_t stride);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const DistancesKernel& distances_kernel(const std::string& level);

}  // namespace coregain
