// Compiled once per instruction set, with COREGAIN_LANES, COREGAIN_DISTANCES and COREGAIN_NAME defined. No standard
// templates here: see dot.inl.
#include "kernels/distances.h"
#include "kernels/unfused.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kSums = DistancesKernel::kSums;
constexpr size_t kParts = kSums / kLanes;
constexpr size_t kRows = DistancesKernel::kRows;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Lanes load(const float* from) {
  return *reinterpret_cast<const Lanes*>(from);
}

inline float fold(const Lanes* parts) {
  float sums[kSums];
  for (size_t p = 0; p < kParts; ++p) *reinterpret_cast<Lanes*>(sums + p * kLanes) = parts[p];
  for (size_t width = kSums / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) sums[t] += sums[t + width];
  return sums[0];
}

void squares(const float* a, const float* const* rows, size_t stride, float* out) {
  Lanes sum[kRows][kParts] = {};
  for (size_t j = 0; j < stride; j += kSums) {
    for (size_t p = 0; p < kParts; ++p) {
      const Lanes at = load(a + j + p * kLanes);
      for (size_t r = 0; r < kRows; ++r) {
        const Lanes difference = at - load(rows[r] + j + p * kLanes);
        sum[r][p] += difference * difference;
      }
    }
  }
  for (size_t r = 0; r < kRows; ++r) out[r] = fold(sum[r]);
}

float product(const float* a, const float* b, size_t stride) {
  Lanes sum[kParts] = {};
  for (size_t j = 0; j < stride; j += kSums)
    for (size_t p = 0; p < kParts; ++p) sum[p] += load(a + j + p * kLanes) * load(b + j + p * kLanes);
  return fold(sum);
}

}  // namespace

extern const DistancesKernel COREGAIN_DISTANCES;
const DistancesKernel COREGAIN_DISTANCES = {COREGAIN_NAME, squares, product};

}  // namespace coregain
