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
constexpr size_t kRows = DoublesKernel::kRows;

typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));

inline Lanes load(const double* from) {
  return *reinterpret_cast<const Lanes*>(from);
}
inline void store(double* to, Lanes value) {
  *reinterpret_cast<Lanes*>(to) = value;
}

// Sums of kCount terms at a time, side by side, added two by two at last.
template <size_t kCount>
struct Sums {
  Lanes parts[kCount / kLanes] = {};

  // `tail`: terms that do not fill a row of sums
  double total(const double* tail, size_t count) const {
    double sum[kCount];
    for (size_t p = 0; p < kCount / kLanes; ++p) store(sum + p * kLanes, parts[p]);
    for (size_t t = 0; t < count; ++t) sum[t] += tail[t];
    for (size_t width = kCount / 2; width > 0; width /= 2)
      for (size_t t = 0; t < width; ++t) sum[t] += sum[t + width];
    return sum[0];
  }
};

// kCount inner products with v
template <size_t kCount>
inline void products(const double* const* x, const double* v, size_t n, double* out) {
  Sums<kSums> sums[kCount];
  size_t j = 0;
  for (; j + kSums <= n; j += kSums) {
    for (size_t p = 0; p < kParts; ++p) {
      const Lanes with = load(v + j + p * kLanes);
      for (size_t i = 0; i < kCount; ++i) sums[i].parts[p] += load(x[i] + j + p * kLanes) * with;
    }
  }
  for (size_t i = 0; i < kCount; ++i) {
    double tail[kSums];
    for (size_t t = 0; j + t < n; ++t) tail[t] = x[i][j + t] * v[j + t];
    out[i] = sums[i].total(tail, n - j);
  }
}

double dot(const double* a, const double* b, size_t n) {
  double out;
  products<1>(&a, b, n, &out);
  return out;
}

void dots(const double* const* x, const double* v, size_t n, double* out) {
  products<4>(x, v, n, out);
}

void both_ways(const double* a, size_t stride, const double* v, const double* s, size_t n, double* sums, double* out) {
  constexpr size_t kTogether = 8;
  for (size_t row = 0; row < kRows; row += 4) {
    const double *const a0 = a + row * stride, *const a1 = a0 + stride, *const a2 = a1 + stride,
                        *const a3 = a2 + stride;
    const double s0 = s[row], s1 = s[row + 1], s2 = s[row + 2], s3 = s[row + 3];
    Sums<kTogether> r0, r1, r2, r3;
    size_t j = 0;
    for (; j + kTogether <= n; j += kTogether) {
      for (size_t p = 0; p < kTogether / kLanes; ++p) {
        const size_t at = j + p * kLanes;
        const Lanes x0 = load(a0 + at), x1 = load(a1 + at), x2 = load(a2 + at), x3 = load(a3 + at);
        const Lanes with = load(v + at);
        r0.parts[p] += x0 * with;
        r1.parts[p] += x1 * with;
        r2.parts[p] += x2 * with;
        r3.parts[p] += x3 * with;
        store(out + at, load(out + at) + ((x0 * s0 + x1 * s1) + (x2 * s2 + x3 * s3)));
      }
    }
    double tail[4][kTogether];
    for (size_t t = 0; j + t < n; ++t) {
      const double x0 = a0[j + t], x1 = a1[j + t], x2 = a2[j + t], x3 = a3[j + t];
      tail[0][t] = x0 * v[j + t];
      tail[1][t] = x1 * v[j + t];
      tail[2][t] = x2 * v[j + t];
      tail[3][t] = x3 * v[j + t];
      out[j + t] += (x0 * s0 + x1 * s1) + (x2 * s2 + x3 * s3);
    }
    sums[row] += r0.total(tail[0], n - j);
    sums[row + 1] += r1.total(tail[1], n - j);
    sums[row + 2] += r2.total(tail[2], n - j);
    sums[row + 3] += r3.total(tail[3], n - j);
  }
}

void poles(const double* d, const double* z, double origin, double tau, size_t n, double* out) {
  Sums<kSums> values, slopes;
  size_t j = 0;
  for (; j + kSums <= n; j += kSums) {
    for (size_t p = 0; p < kParts; ++p) {
      const Lanes weight = load(z + j + p * kLanes);
      const Lanes q = weight / ((load(d + j + p * kLanes) - origin) - tau);
      values.parts[p] += weight * q;
      slopes.parts[p] += q * q;
    }
  }
  double tail[2][kSums];
  for (size_t t = 0; j + t < n; ++t) {
    const double q = z[j + t] / ((d[j + t] - origin) - tau);
    tail[0][t] = z[j + t] * q;
    tail[1][t] = q * q;
  }
  out[0] = values.total(tail[0], n - j);
  out[1] = slopes.total(tail[1], n - j);
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

}  // namespace

extern const DoublesKernel COREGAIN_DOUBLES;
const DoublesKernel COREGAIN_DOUBLES = {COREGAIN_NAME, dot, dots, both_ways, poles, subtract, add<float>, add<double>};

}  // namespace coregain
