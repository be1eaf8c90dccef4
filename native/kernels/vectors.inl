// Compiled once per instruction set, with COREGAIN_DOUBLES (lanes of a register) and COREGAIN_VECTORS defined. No
// standard templates here: see dot.inl.
#include "kernels/vectors.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_DOUBLES;

typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef int32_t Ints __attribute__((vector_size(kLanes * sizeof(int32_t))));
typedef int16_t Shorts __attribute__((vector_size(kLanes * sizeof(int16_t)), aligned(2), may_alias));
typedef int8_t Bytes __attribute__((vector_size(kLanes * sizeof(int8_t)), aligned(1), may_alias));

inline Doubles load(const double* from) {
  return *reinterpret_cast<const Doubles*>(from);
}

inline double fold(Doubles sum) {
  double total = 0;
  for (size_t t = 0; t < kLanes; ++t) total += sum[t];
  return total;
}

inline Doubles larger(Doubles a, Doubles b) {
  return a > b ? a : b;
}

// To the nearest integer, |value| < 2^51.
template <typename T>
inline T nearest(T value) {
  constexpr double kMagic = 0x1.8p52;
  return (value + kMagic) - kMagic;
}

double distance(const double* a, const double* b, size_t d) {
  Doubles even = {}, odd = {};
  size_t j = 0;
  for (; j + 2 * kLanes <= d; j += 2 * kLanes) {
    const Doubles t = load(a + j) - load(b + j), u = load(a + j + kLanes) - load(b + j + kLanes);
    even += t * t;
    odd += u * u;
  }
  double sum = fold(even + odd);
  for (; j < d; ++j) sum += (a[j] - b[j]) * (a[j] - b[j]);
  return sum;
}

double scaled_distance(const double* a, const double* b, const double* s, size_t d) {
  Doubles even = {}, odd = {};
  size_t j = 0;
  for (; j + 2 * kLanes <= d; j += 2 * kLanes) {
    const Doubles t = (load(a + j) - load(b + j)) * load(s + j);
    const Doubles u = (load(a + j + kLanes) - load(b + j + kLanes)) * load(s + j + kLanes);
    even += t * t;
    odd += u * u;
  }
  double sum = fold(even + odd);
  for (; j < d; ++j) sum += (a[j] - b[j]) * s[j] * ((a[j] - b[j]) * s[j]);
  return sum;
}

double product(const double* a, const double* b, size_t d) {
  Doubles even = {}, odd = {};
  size_t j = 0;
  for (; j + 2 * kLanes <= d; j += 2 * kLanes) {
    even += load(a + j) * load(b + j);
    odd += load(a + j + kLanes) * load(b + j + kLanes);
  }
  double sum = fold(even + odd);
  for (; j < d; ++j) sum += a[j] * b[j];
  return sum;
}

void centre(const float* from, const double* origin_f, double f, size_t d, double* out) {
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes)
    *reinterpret_cast<Doubles*>(out + j) =
        __builtin_convertvector(*reinterpret_cast<const Floats*>(from + j), Doubles) * f - load(origin_f + j);
  for (; j < d; ++j) out[j] = static_cast<double>(from[j]) * f - origin_f[j];
}

void narrow(const double* v, double factor, size_t d, float* out) {
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes)
    *reinterpret_cast<Floats*>(out + j) = __builtin_convertvector(load(v + j) * factor, Floats);
  for (; j < d; ++j) out[j] = static_cast<float>(v[j] * factor);
}

double largest(const double* v, const double* s, size_t d, double* square) {
  Doubles most = {}, sum = {};
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes) {
    const Doubles t = load(v + j) * load(s + j);
    most = larger(most, larger(t, -t));
    sum += t * t;
  }
  double top = 0;
  for (size_t t = 0; t < kLanes; ++t) top = top > most[t] ? top : most[t];
  *square = fold(sum);
  for (; j < d; ++j) {
    const double t = v[j] * s[j];
    top = top > t ? top : t;
    top = top > -t ? top : -t;
    *square += t * t;
  }
  return top;
}

double round16(const double* v, const double* s, double inverse, double scale, size_t d, int16_t* out) {
  Doubles rest = {};
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes) {
    const Doubles t = load(v + j) * load(s + j);
    const Doubles integer = nearest(t * inverse);
    const Doubles error = t - integer * scale;
    rest += error * error;
    *reinterpret_cast<Shorts*>(out + j) = __builtin_convertvector(__builtin_convertvector(integer, Ints), Shorts);
  }
  double sum = fold(rest);
  for (; j < d; ++j) {
    const double t = v[j] * s[j], integer = nearest(t * inverse), error = t - integer * scale;
    sum += error * error;
    out[j] = static_cast<int16_t>(integer);
  }
  return sum;
}

double round8(const double* v, const double* s, double inverse, double scale, size_t d, int8_t* out, double* kept) {
  Doubles rest = {}, squares = {};
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes) {
    const Doubles t = load(v + j) * load(s + j);
    const Doubles integer = nearest(t * inverse);
    const Doubles error = t - integer * scale;
    rest += error * error;
    squares += integer * integer;
    *reinterpret_cast<Bytes*>(out + j) = __builtin_convertvector(__builtin_convertvector(integer, Ints), Bytes);
  }
  double sum = fold(rest);
  *kept = fold(squares);
  for (; j < d; ++j) {
    const double t = v[j] * s[j], integer = nearest(t * inverse), error = t - integer * scale;
    sum += error * error;
    *kept += integer * integer;
    out[j] = static_cast<int8_t>(integer);
  }
  return sum;
}

}  // namespace

extern const VectorsKernel COREGAIN_VECTORS;
const VectorsKernel COREGAIN_VECTORS = {distance, scaled_distance, product, centre, narrow, largest, round16, round8};

}  // namespace coregain
