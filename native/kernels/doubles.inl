// Compiled once per instruction set, with COREGAIN_LANES, COREGAIN_DOUBLES and COREGAIN_NAME defined. No standard
// templates here: see dot.inl. Nothing fuses here, or results would depend on the instruction set.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off")
#endif
#include "kernels/doubles.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kSums = 16;
constexpr size_t kParts = kSums / kLanes;
constexpr size_t kSlab = DoublesKernel::kSlab;

typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));

inline Lanes load(const double* from) {
  return *reinterpret_cast<const Lanes*>(from);
}
inline void store(double* to, Lanes value) {
  *reinterpret_cast<Lanes*>(to) = value;
}

double dot(const double* a, const double* b, size_t n) {
  Lanes sums[kParts] = {};
  size_t j = 0;
  for (; j + kSums <= n; j += kSums)
    for (size_t p = 0; p < kParts; ++p) sums[p] += load(a + j + p * kLanes) * load(b + j + p * kLanes);
  double sum[kSums];
  for (size_t p = 0; p < kParts; ++p) store(sum + p * kLanes, sums[p]);
  for (size_t t = 0; j < n; ++j, ++t) sum[t] += a[j] * b[j];
  for (size_t width = kSums / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) sum[t] += sum[t + width];
  return sum[0];
}

void subtract(double* a, const double* const* x, const double* s, size_t n) {
  const double *const x0 = x[0], *const x1 = x[1], *const x2 = x[2], *const x3 = x[3];
  const double s0 = s[0], s1 = s[1], s2 = s[2], s3 = s[3];
  size_t j = 0;
  for (; j + kLanes <= n; j += kLanes)
    store(a + j, load(a + j) - ((load(x0 + j) * s0 + load(x1 + j) * s1) + (load(x2 + j) * s2 + load(x3 + j) * s3)));
  for (; j < n; ++j) a[j] -= (x0[j] * s0 + x1[j] * s1) + (x2[j] * s2 + x3[j] * s3);
}

typedef float Floats __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Lanes wide(const float* x) {
  return __builtin_convertvector(*reinterpret_cast<const Floats*>(x), Lanes);
}
inline Lanes wide(const double* x) {
  return load(x);
}

inline void put(float* out, Lanes y) {
  *reinterpret_cast<Floats*>(out) = __builtin_convertvector(y, Floats);
}
inline void put(double* out, Lanes y) {
  store(out, y);
}

template <typename Value>
void add(const Value* x, const double* shift, size_t n, double* sum, double* squares, Value* out) {
  size_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    const Lanes y = shift == nullptr ? wide(x + j) : wide(x + j) - load(shift + j);
    store(sum + j, load(sum + j) + y);
    if (squares != nullptr) store(squares + j, load(squares + j) + y * y);
    if (out != nullptr) put(out + j, y);
  }
  for (; j < n; ++j) {
    const double y = static_cast<double>(x[j]) - (shift == nullptr ? 0 : shift[j]);
    sum[j] += y;
    if (squares != nullptr) squares[j] += y * y;
    if (out != nullptr) out[j] = static_cast<Value>(y);
  }
}

void rotate(double* rows, size_t stride, size_t last, const double* cs, size_t count) {
  constexpr size_t kVectors = kSlab / kLanes;
  // the row that two rotations share stays in registers
  Lanes held[kVectors];
  double* row = rows + (last + 1) * stride;
  for (size_t v = 0; v < kVectors; ++v) held[v] = load(row + v * kLanes);
  for (size_t r = 0; r < count; ++r) {
    const double c = cs[2 * r], s = cs[2 * r + 1];
    double* const above = row - stride;
    for (size_t v = 0; v < kVectors; ++v) {
      const Lanes x = load(above + v * kLanes), y = held[v];
      store(row + v * kLanes, x * s + y * c);
      held[v] = x * c - y * s;
    }
    row = above;
  }
  for (size_t v = 0; v < kVectors; ++v) store(row + v * kLanes, held[v]);
}

}  // namespace

extern const DoublesKernel COREGAIN_DOUBLES;
const DoublesKernel COREGAIN_DOUBLES = {COREGAIN_NAME, dot, subtract, add<float>, add<double>, rotate};

}  // namespace coregain
