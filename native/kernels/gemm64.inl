// Compiled once per instruction set that can fuse a multiply and an add, with COREGAIN_LANES, COREGAIN_BLOCK (rows
// whose sums fit the registers), COREGAIN_GEMM64 and COREGAIN_NAME defined. No standard templates here: see dot.inl.
#include "kernels/gemm64.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kBlock = COREGAIN_BLOCK;
constexpr size_t kVectors = 3;  // of a row that are summed together
constexpr size_t kPanel = Gemm64Kernel::kPanel;
constexpr size_t kAhead = 8;  // elements of a panel between what is used and what is fetched

typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));

void add(const double* a, size_t a_stride, const double* panel, size_t depth, double* c, size_t c_stride) {
  for (size_t from = 0; from < kPanel; from += kVectors * kLanes) {
    for (size_t row = 0; row < Gemm64Kernel::kRows; row += kBlock) {
      const double* const rows = a + row * a_stride;
      const double* columns = panel + from;
      Lanes sum[kBlock][kVectors] = {};
      for (size_t i = 0; i < kBlock; ++i)
        for (size_t t = 0; t < kVectors * kLanes; t += 8) __builtin_prefetch(c + (row + i) * c_stride + from + t, 1);
      for (size_t j = 0; j < depth; ++j, columns += kPanel) {
        Lanes b[kVectors];
        for (size_t v = 0; v < kVectors; ++v) __builtin_prefetch(columns + kAhead * kPanel + v * kLanes);
        for (size_t v = 0; v < kVectors; ++v) b[v] = *reinterpret_cast<const Lanes*>(columns + v * kLanes);
        for (size_t i = 0; i < kBlock; ++i) {
          const double value = rows[i * a_stride + j];
          for (size_t v = 0; v < kVectors; ++v) sum[i][v] += b[v] * value;
        }
      }
      for (size_t i = 0; i < kBlock; ++i)
        for (size_t v = 0; v < kVectors; ++v)
          *reinterpret_cast<Lanes*>(c + (row + i) * c_stride + from + v * kLanes) += sum[i][v];
    }
  }
}

}  // namespace

extern const Gemm64Kernel COREGAIN_GEMM64;
const Gemm64Kernel COREGAIN_GEMM64 = {COREGAIN_NAME, add};

}  // namespace coregain
