#include <algorithm>
#include <bit>

#include "core/cpu.h"
#include "core/error.h"
#include "kernels/dot.h"

namespace coregain {

extern const DotKernel dot_scalar;
#if defined(__x86_64__)
extern const DotKernel dot_avx2;
extern const DotKernel dot_avx512;
#elif defined(__aarch64__)
extern const DotKernel dot_neon;
#endif

unsigned DotKernel::roundings(size_t d) const {
  const size_t additions = padded(std::min(d, kChunk)) / (2 * lanes);
  return static_cast<unsigned>(1 + additions + 1 + static_cast<unsigned>(std::bit_width(lanes) - 1) + 1);
}

const DotKernel& dot_kernel(const std::string& level) {
  std::string levels;
  for (const std::string& available : simd_levels()) {
    levels += (levels.empty() ? "" : ", ") + available;
    if (!level.empty() && level != available) continue;
#if defined(__x86_64__)
    if (available == "avx512") return dot_avx512;
    if (available == "avx2") return dot_avx2;
#elif defined(__aarch64__)
    if (available == "neon") return dot_neon;
#endif
    return dot_scalar;
  }
  throw Error("ERR_SIMD", "This machine cannot run the SIMD level \"" + level + "\". Choose one of: " + levels + ".");
}

}  // namespace coregain
