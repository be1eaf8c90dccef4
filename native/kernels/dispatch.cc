#include <cmath>
#include <stdexcept>

#include "core/cpu.h"
#include "kernels/dot.h"

namespace coregain {

extern const DotKernel dot_scalar;
#if defined(__x86_64__)
extern const DotKernel dot_avx2;
extern const DotKernel dot_avx512;
#elif defined(__aarch64__)
extern const DotKernel dot_neon;
#endif

double DotKernel::roundings(size_t d) const {
  const auto blocks = static_cast<double>(padded_size(d) / (4 * static_cast<size_t>(lanes)));
  return 1 + blocks + 2 + std::log2(static_cast<double>(lanes));
}

const DotKernel& dot_kernel(const std::string& level) {
  for (const std::string& available : simd_levels()) {
    if (!level.empty() && level != available) continue;
#if defined(__x86_64__)
    if (available == "avx512") return dot_avx512;
    if (available == "avx2") return dot_avx2;
#elif defined(__aarch64__)
    if (available == "neon") return dot_neon;
#endif
    return dot_scalar;
  }
  throw std::invalid_argument("SIMD level " + level + " is not available on this machine");
}

}  // namespace coregain
