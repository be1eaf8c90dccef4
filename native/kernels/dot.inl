// Compiled once per instruction set, with COREGAIN_LANES and COREGAIN_KERNEL defined. Vector extensions instead of
// intrinsics: one text for all sets. No standard templates here: an inline function compiled with wide-register flags
// could be the copy that the linker keeps for machines that lack them.
#include "kernels/dot.h"

namespace coregain {
namespace {

typedef float Lanes __attribute__((vector_size(COREGAIN_LANES * 4), aligned(4), may_alias));

constexpr size_t kBlock = 4 * COREGAIN_LANES;

inline void accumulate(const float* x, const float* w, Lanes* sum) {
  for (size_t r = 0; r < 4; ++r) {
    const Lanes a = *reinterpret_cast<const Lanes*>(x + r * COREGAIN_LANES);
    const Lanes b = *reinterpret_cast<const Lanes*>(w + r * COREGAIN_LANES);
    sum[r] += a * b;
  }
}

float dot(const float* x, const float* w, size_t d) {
  Lanes sum[4] = {};
  size_t j = 0;
  for (; j + kBlock <= d; j += kBlock) accumulate(x + j, w + j, sum);
  if (j < d) {
    float tail[kBlock] = {};
    for (size_t t = 0; j + t < d; ++t) tail[t] = x[j + t];
    accumulate(tail, w + j, sum);
  }
  float lanes[COREGAIN_LANES];
  *reinterpret_cast<Lanes*>(lanes) = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  for (size_t width = COREGAIN_LANES / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) lanes[t] += lanes[t + width];
  return lanes[0];
}

}  // namespace

extern const DotKernel COREGAIN_KERNEL;
const DotKernel COREGAIN_KERNEL = {COREGAIN_NAME, dot, COREGAIN_LANES};

}  // namespace coregain
