// Compiled once per instruction set, with COREGAIN_LANES, COREGAIN_KERNEL and COREGAIN_NAME defined. Vector extensions
// instead of intrinsics: one text for all sets. No standard templates here: an inline function compiled with
// wide-register flags could be the copy that the linker keeps for machines that lack them.
#include "kernels/dot.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kStep = 2 * kLanes;
constexpr size_t kRows = DotKernel::kRows;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Lanes load(const float* from) {
  return *reinterpret_cast<const Lanes*>(from);
}

inline float fold(Lanes sum) {
  float lanes[kLanes];
  *reinterpret_cast<Lanes*>(lanes) = sum;
  for (size_t width = kLanes / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) lanes[t] += lanes[t + width];
  return lanes[0];
}

void dot(const float* const* rows, const float* w, size_t d, double* out) {
  for (size_t r = 0; r < kRows; ++r) out[r] = 0;
  for (size_t from = 0; from < d; from += DotKernel::kChunk) {
    const size_t end = d - from < DotKernel::kChunk ? d : from + DotKernel::kChunk;
    Lanes low[kRows] = {};
    Lanes high[kRows] = {};
    size_t j = from;
    for (; j + kStep <= end; j += kStep) {
      const Lanes w_low = load(w + j);
      const Lanes w_high = load(w + j + kLanes);
      for (size_t r = 0; r < kRows; ++r) {
        low[r] += load(rows[r] + j) * w_low;
        high[r] += load(rows[r] + j + kLanes) * w_high;
      }
    }
    if (j < end) {
      for (size_t r = 0; r < kRows; ++r) {
        float tail[kStep] = {};
        for (size_t t = 0; j + t < end; ++t) tail[t] = rows[r][j + t];
        low[r] += load(tail) * load(w + j);
        high[r] += load(tail + kLanes) * load(w + j + kLanes);
      }
    }
    for (size_t r = 0; r < kRows; ++r) out[r] += static_cast<double>(fold(low[r] + high[r]));
  }
}

}  // namespace

extern const DotKernel COREGAIN_KERNEL;
const DotKernel COREGAIN_KERNEL = {COREGAIN_NAME, COREGAIN_LANES, dot};

}  // namespace coregain
