// Compiled once per instruction set that can fuse a multiply and an add, with COREGAIN_LANES, COREGAIN_BLOCK (rows
// whose sums fit the registers), COREGAIN_GEMM and COREGAIN_NAME defined. No standard templates here: see dot.inl.
#include "kernels/gemm.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kBlock = COREGAIN_BLOCK;
constexpr size_t kVectors = 3;  // of a row that are summed together
constexpr size_t kPanel = GemmKernel::kPanel;
constexpr size_t kAhead = 8;  // elements of a panel between what is used and what is fetched

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef float Half __attribute__((vector_size(kLanes / 2 * sizeof(float)), aligned(4), may_alias));
typedef double Wide __attribute__((vector_size(kLanes / 2 * sizeof(double)), aligned(8), may_alias));

void add(const float* a, size_t a_stride, const float* panel, size_t depth, double* c, size_t c_stride) {
  for (size_t from = 0; from < kPanel; from += kVectors * kLanes) {
    for (size_t row = 0; row < GemmKernel::kRows; row += kBlock) {
      const float* const rows = a + row * a_stride;
      const float* columns = panel + from;
      Lanes sum[kBlock][kVectors] = {};
      for (size_t i = 0; i < kBlock; ++i)
        for (size_t t = 0; t < kVectors * kLanes; t += 8) __builtin_prefetch(c + (row + i) * c_stride + from + t, 1);
      for (size_t j = 0; j < depth; ++j, columns += kPanel) {
        Lanes b[kVectors];
        for (size_t v = 0; v < kVectors; ++v) __builtin_prefetch(columns + kAhead * kPanel + v * kLanes);
        for (size_t v = 0; v < kVectors; ++v) b[v] = *reinterpret_cast<const Lanes*>(columns + v * kLanes);
        for (size_t i = 0; i < kBlock; ++i) {
          const float value = rows[i * a_stride + j];
          for (size_t v = 0; v < kVectors; ++v) sum[i][v] += b[v] * value;
        }
      }
      for (size_t i = 0; i < kBlock; ++i) {
        for (size_t v = 0; v < kVectors; ++v) {
          Wide* const out = reinterpret_cast<Wide*>(c + (row + i) * c_stride + from + v * kLanes);
          const Half* const halves = reinterpret_cast<const Half*>(&sum[i][v]);
          out[0] += __builtin_convertvector(halves[0], Wide);
          out[1] += __builtin_convertvector(halves[1], Wide);
        }
      }
    }
  }
}

typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));

inline Doubles wide(const float* x) {
  return __builtin_convertvector(*reinterpret_cast<const Lanes*>(x), Doubles);
}
inline Doubles wide(const double* x) {
  return *reinterpret_cast<const Doubles*>(x);
}

template <typename Value>
void less(const Value* x, const double* shift, size_t n, float* out) {
  size_t j = 0;
  for (; j + kLanes <= n; j += kLanes)
    *reinterpret_cast<Lanes*>(out + j) = __builtin_convertvector(wide(x + j) - wide(shift + j), Lanes);
  for (; j < n; ++j) out[j] = static_cast<float>(static_cast<double>(x[j]) - shift[j]);
}

}  // namespace

extern const GemmKernel COREGAIN_GEMM;
const GemmKernel COREGAIN_GEMM = {COREGAIN_NAME, add, less<float>, less<double>};

}  // namespace coregain
