#include <algorithm>
#include <bit>

#include "core/cpu.h"
#include "core/error.h"
#include "kernels/distances.h"
#include "kernels/dot.h"
#include "kernels/doubles.h"
#include "kernels/gemm.h"
#include "kernels/gemm64.h"
#include "kernels/int8.h"
#include "kernels/layout.h"
#include "kernels/pairs.h"
#include "kernels/panel.h"
#include "kernels/scores.h"
#include "kernels/vectors.h"

namespace coregain {

extern const DistancesKernel distances_scalar;
extern const DotKernel dot_scalar;
extern const DoublesKernel doubles_scalar;
extern const GemmKernel gemm_scalar;
extern const Gemm64Kernel gemm64_scalar;
extern const Int8Kernel int8_scalar;
extern const LayoutKernel layout_scalar;
extern const PairsKernel pairs_scalar;
extern const PanelKernel panel_scalar;
extern const ScoresKernel scores_scalar;
extern const VectorsKernel vectors_scalar;
#if defined(__x86_64__)
extern const DistancesKernel distances_avx2, distances_avx512;
extern const DotKernel dot_avx2, dot_avx512;
extern const DoublesKernel doubles_avx2, doubles_avx512;
extern const GemmKernel gemm_avx2, gemm_avx512;
extern const Gemm64Kernel gemm64_avx2, gemm64_avx512;
extern const Int8Kernel int8_avx2, int8_avx512, int8_vnni, int8_amx;
extern const LayoutKernel layout_avx2, layout_avx512;
extern const PairsKernel pairs_avx2, pairs_avx512;
extern const PanelKernel panel_avx2, panel_avx512;
extern const ScoresKernel scores_avx2, scores_avx512;
extern const VectorsKernel vectors_avx2, vectors_avx512;
#elif defined(__aarch64__)
extern const DistancesKernel distances_neon;
extern const DotKernel dot_neon;
extern const DoublesKernel doubles_neon;
extern const GemmKernel gemm_neon;
extern const Gemm64Kernel gemm64_neon;
extern const Int8Kernel int8_neon;
extern const LayoutKernel layout_neon;
extern const PairsKernel pairs_neon;
extern const PanelKernel panel_neon;
extern const ScoresKernel scores_neon;
extern const VectorsKernel vectors_neon;
#endif

namespace {

// `level` where it is "" or a level of this machine.
std::string resolve(const std::string& level) {
  const std::vector<std::string> levels = simd_levels();
  if (level.empty()) return levels.front();
  if (std::find(levels.begin(), levels.end(), level) != levels.end()) return level;
  std::string list;
  for (const std::string& available : levels) list += (list.empty() ? "" : ", ") + available;
  throw Error("ERR_SIMD", "This machine cannot run the SIMD level \"" + level + "\". Choose one of: " + list + ".");
}

}  // namespace

const DistancesKernel& distances_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return distances_avx2;
  if (level != "scalar") return distances_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return distances_neon;
#endif
  return distances_scalar;
}

const DotKernel& dot_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return dot_avx2;
  if (level != "scalar") return dot_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return dot_neon;
#endif
  return dot_scalar;
}

const Int8Kernel& int8_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "amx") return int8_amx;
  if (level == "avx512vnni") return int8_vnni;
  if (level == "avx512") return int8_avx512;
  if (level == "avx2") return int8_avx2;
#elif defined(__aarch64__)
  if (level == "neon") return int8_neon;
#endif
  return int8_scalar;
}

const ScoresKernel& scores_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return scores_avx2;
  if (level != "scalar") return scores_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return scores_neon;
#endif
  return scores_scalar;
}

const VectorsKernel& vectors_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return vectors_avx2;
  if (level != "scalar") return vectors_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return vectors_neon;
#endif
  return vectors_scalar;
}

const PanelKernel& panel_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return panel_avx2;
  if (level != "scalar") return panel_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return panel_neon;
#endif
  return panel_scalar;
}

const PairsKernel& pairs_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return pairs_avx2;
  if (level != "scalar") return pairs_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return pairs_neon;
#endif
  return pairs_scalar;
}

const DoublesKernel& doubles_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return doubles_avx2;
  if (level != "scalar") return doubles_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return doubles_neon;
#endif
  return doubles_scalar;
}

const GemmKernel& gemm_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return gemm_avx2;
  if (level != "scalar") return gemm_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return gemm_neon;
#endif
  return gemm_scalar;
}

const Gemm64Kernel& gemm64_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return gemm64_avx2;
  if (level != "scalar") return gemm64_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return gemm64_neon;
#endif
  return gemm64_scalar;
}

const LayoutKernel& layout_kernel(const std::string& wanted) {
  const std::string level = resolve(wanted);
#if defined(__x86_64__)
  if (level == "avx2") return layout_avx2;
  if (level != "scalar") return layout_avx512;
#elif defined(__aarch64__)
  if (level == "neon") return layout_neon;
#endif
  return layout_scalar;
}

unsigned DotKernel::roundings(size_t d) const {
  const size_t additions = padded(std::min(d, kChunk)) / (2 * lanes);
  return static_cast<unsigned>(1 + additions + 1 + static_cast<unsigned>(std::bit_width(lanes) - 1) + 1);
}

}  // namespace coregain
