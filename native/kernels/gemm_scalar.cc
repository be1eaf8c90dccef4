// For processors without fused multiply-add, where each is a call: slow, and the same bits as on all others.
#include "kernels/gemm.h"

namespace coregain {
namespace {

void add(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t depth, double* c, size_t c_stride,
         const char* const* /*ahead*/) {
  for (size_t i = 0; i < GemmKernel::kRows; ++i) {
    for (size_t t = 0; t < GemmKernel::kPanel; ++t) {
      float sum = 0;
      for (size_t j = 0; j < depth; ++j)
        sum = __builtin_fmaf(panel[j * GemmKernel::kPanel + t], a[i * a_stride + j * a_step], sum);
      c[i * c_stride + t] += static_cast<double>(sum);
    }
  }
}

void add_first(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t /*columns*/, size_t depth,
               double* c, size_t c_stride) {
  add(a, a_stride, a_step, panel, depth, c, c_stride, nullptr);
}

template <typename Value>
void less(const Value* x, const double* shift, size_t n, float* out) {
  for (size_t j = 0; j < n; ++j) out[j] = static_cast<float>(static_cast<double>(x[j]) - shift[j]);
}

}  // namespace

extern const GemmKernel gemm_scalar;
const GemmKernel gemm_scalar = {"scalar", add, add_first, less<float>, less<double>};

}  // namespace coregain
