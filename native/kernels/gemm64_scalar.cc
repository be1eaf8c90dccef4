// For processors without fused multiply-add, where each is a call: slow, and the same bits as on all others.
#include "kernels/gemm64.h"

namespace coregain {
namespace {

void add(const double* a, size_t a_stride, const double* panel, size_t depth, double* c, size_t c_stride) {
  for (size_t i = 0; i < Gemm64Kernel::kRows; ++i) {
    for (size_t t = 0; t < Gemm64Kernel::kPanel; ++t) {
      double sum = 0;
      for (size_t j = 0; j < depth; ++j)
        sum = __builtin_fma(panel[j * Gemm64Kernel::kPanel + t], a[i * a_stride + j], sum);
      c[i * c_stride + t] += sum;
    }
  }
}

}  // namespace

extern const Gemm64Kernel gemm64_scalar;
const Gemm64Kernel gemm64_scalar = {"scalar", add};

}  // namespace coregain
