// Compiled once per instruction set, with COREGAIN_LANES (of float32 in a register), COREGAIN_LAYOUT and COREGAIN_NAME
// defined. No standard templates here: see dot.inl.
#include "kernels/layout.h"
#include "kernels/unfused.h"

namespace coregain {
namespace {

using Step = LayoutKernel::Step;

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kSums = LayoutKernel::kSums;
constexpr size_t kParts = kSums / kLanes;
constexpr size_t kAway = LayoutKernel::kAway;
constexpr size_t kTogether = LayoutKernel::kTogether;
constexpr size_t kFew = LayoutKernel::kFew;
constexpr size_t kHalf = kLanes / 2;
constexpr size_t kWides = kTogether / kHalf;
constexpr float kLongest = 4;  // step in a component, before the rate

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef float Narrow __attribute__((vector_size(kHalf * sizeof(float)), aligned(4), may_alias));
typedef double Wide __attribute__((vector_size(kHalf * sizeof(double)), aligned(8), may_alias));
typedef unsigned long long Bits __attribute__((vector_size(kHalf * sizeof(double)), aligned(8), may_alias));

inline Lanes load(const float* from) {
  return *reinterpret_cast<const Lanes*>(from);
}
inline void store(float* to, Lanes value) {
  *reinterpret_cast<Lanes*>(to) = value;
}

// ---- powers: the series of reduce/power.h, without branches; x > 0 and normal

inline Wide log2_of(Wide x) {
  const Bits bits = reinterpret_cast<Bits>(x);
  Wide m = reinterpret_cast<Wide>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  const Bits upper = reinterpret_cast<Bits>(m > 1.4142135623730951);  // all ones, which is -1, where it is so
  m = m > 1.4142135623730951 ? m * 0.5 : m;
  // an integer below 2^51 in the low bits of 1.5 * 2^52 is that number plus the integer
  const Bits whole = (bits >> 52) - 1023 - upper;
  const Wide exponent = reinterpret_cast<Wide>(whole + 0x4338000000000000) - 0x1.8p52;
  const Wide s = (m - 1) / (m + 1), z = s * s, z2 = z * z;
  const Wide sum = (1 + z * (1.0 / 3)) + z2 * ((1.0 / 5 + z * (1.0 / 7)) + z2 * (1.0 / 9 + z * (1.0 / 11)));
  return exponent + 2.8853900817779268 * s * sum;
}

inline Wide exp2_of(Wide x) {
  const Wide low_end = Wide{} - 1022, high_end = Wide{} + 1022;
  const Wide inside = x > high_end ? high_end : (x > low_end ? x : low_end);
  const Wide shifted = inside + 0x1.8p52;
  const Wide t = (inside - (shifted - 0x1.8p52)) * 0.69314718055994531, t2 = t * t;
  const Wide low = (1 + t) + t2 * (0.5 + t * (1.0 / 6));
  const Wide high =
      (1.0 / 24 + t * (1.0 / 120)) + t2 * ((1.0 / 720 + t * (1.0 / 5040)) + t2 * (1.0 / 40320 + t * (1.0 / 362880)));
  const Wide sum = low + t2 * t2 * high;
  const Bits exponent = reinterpret_cast<Bits>(shifted) - 0x4338000000000000 + 1023;
  return sum * reinterpret_cast<Wide>(exponent << 52);
}

void power(const double* x, double y, double* out) {
  for (size_t t = 0; t < kTogether; t += kHalf)
    *reinterpret_cast<Wide*>(out + t) = exp2_of(y * log2_of(*reinterpret_cast<const Wide*>(x + t)));
}

// ---- gradients of log(1 / (1 + a d^2b)) and log(1 - ...), as factors of the difference; 0 at no distance

inline Narrow only_apart(Narrow square, Wide factor, float rate) {
  const Narrow f = __builtin_convertvector(factor, Narrow) * rate;
  return square > 0 ? f : Narrow{};
}

inline Narrow attraction(Narrow square, const Step& step) {
  const Wide s = __builtin_convertvector(square, Wide);
  const Wide p = exp2_of(step.b * log2_of(s));
  return only_apart(square, -2 * step.a * step.b * p / (s * (step.a * p + 1)), step.rate);
}

inline Narrow repulsion(Narrow square, const Step& step) {
  const Wide s = __builtin_convertvector(square, Wide);
  const Wide p = exp2_of(step.b * log2_of(s));
  return only_apart(square, 2 * step.b / ((0.001 + s) * (step.a * p + 1)), step.rate);
}

// ---- one row of many components

inline float fold(const Lanes* parts) {
  float sums[kSums];
  for (size_t p = 0; p < kParts; ++p) store(sums + p * kLanes, parts[p]);
  for (size_t width = kSums / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) sums[t] += sums[t + width];
  return sums[0];
}

template <size_t kCount>
void squares(const float* point, const float* const* rows, size_t stride, float* out) {
  Lanes sum[kCount][kParts] = {};
  for (size_t j = 0; j < stride; j += kSums) {
    for (size_t p = 0; p < kParts; ++p) {
      const Lanes at = load(point + j + p * kLanes);
      for (size_t r = 0; r < kCount; ++r) {
        const Lanes difference = at - load(rows[r] + j + p * kLanes);
        sum[r][p] += difference * difference;
      }
    }
  }
  for (size_t r = 0; r < kCount; ++r) out[r] = fold(sum[r]);
}

template <bool kClip>
inline Lanes clip(Lanes value, float limit) {
  if (!kClip) return value;
  const Lanes most = Lanes{} + limit;
  const Lanes above = value > -most ? value : -most;
  return above < most ? above : most;
}

// point += sum_r clip(factor_r (point - row_r))
template <size_t kCount, bool kClip>
void move(float* point, const float* const* rows, size_t stride, const float* factor, float limit) {
  for (size_t j = 0; j < stride; j += kLanes) {
    const Lanes at = load(point + j);
    Lanes sum = {};
    for (size_t r = 0; r < kCount; ++r) sum += clip<kClip>((at - load(rows[r] + j)) * factor[r], limit);
    store(point + j, at + sum);
  }
}

// No component of a difference is longer than the difference: far from the limit, `clip` changes nothing and is left
// out.
template <size_t kCount>
void move_within(float* point, const float* const* rows, size_t stride, const float* square, const float* factor,
                 float rate) {
  const float limit = kLongest * rate;
  bool reaches = false;
  for (size_t r = 0; r < kCount; ++r) reaches |= !(factor[r] * factor[r] * square[r] < 0.9F * limit * limit);
  if (reaches)
    move<kCount, true>(point, rows, stride, factor, limit);
  else
    move<kCount, false>(point, rows, stride, factor, limit);
}

void use(float* point, const float* target, const float* const* away, size_t stride, const Step& step) {
  float square[kTogether] = {}, factor[kTogether];
  for (size_t pull = 0; pull < step.pulls; ++pull) {
    squares<1>(point, &target, stride, square);
    const Narrow one = attraction(Narrow{} + square[0], step);
    factor[0] = one[0];
    move_within<1>(point, &target, stride, square, factor, step.rate);
  }
  squares<kAway>(point, away, stride, square);
  for (size_t t = 0; t < kTogether; t += kHalf)
    *reinterpret_cast<Narrow*>(factor + t) = repulsion(*reinterpret_cast<const Narrow*>(square + t), step);
  move_within<kAway>(point, away, stride, square, factor, step.rate);
}

// ---- several rows of few components

struct Rows {
  Narrow component[kFew];
};

inline Narrow clip_few(Narrow value, float limit) {
  const Narrow most = Narrow{} + limit;
  const Narrow above = value > -most ? value : -most;
  return above < most ? above : most;
}

// kDims = 0: `dims` is not known when this is compiled.
template <size_t kDims>
void use_some(float* points, const float* const* target, const float* const* away, size_t any_dims, const Step& step) {
  const size_t dims = kDims == 0 ? any_dims : kDims;
  const float limit = kLongest * step.rate;
  const auto gather = [&](const float* const* rows, Rows& out) {
    for (size_t c = 0; c < dims; ++c)
      for (size_t t = 0; t < kHalf; ++t) out.component[c][t] = rows[t][c];
  };
  for (size_t from = 0; from < kTogether; from += kHalf) {
    Rows at, other[kAway];
    for (size_t c = 0; c < dims; ++c) at.component[c] = *reinterpret_cast<const Narrow*>(points + c * kTogether + from);
    gather(target + from, other[0]);
    for (size_t pull = 0; pull < step.pulls; ++pull) {
      Narrow square = {};
      for (size_t c = 0; c < dims; ++c) {
        const Narrow difference = at.component[c] - other[0].component[c];
        square += difference * difference;
      }
      const Narrow factor = attraction(square, step);
      for (size_t c = 0; c < dims; ++c)
        at.component[c] += clip_few((at.component[c] - other[0].component[c]) * factor, limit);
    }
    Narrow factor[kAway];
    for (size_t s = 0; s < kAway; ++s) {
      gather(away + s * kTogether + from, other[s]);
      Narrow square = {};
      for (size_t c = 0; c < dims; ++c) {
        const Narrow difference = at.component[c] - other[s].component[c];
        square += difference * difference;
      }
      factor[s] = repulsion(square, step);
    }
    for (size_t c = 0; c < dims; ++c) {
      Narrow sum = {};
      for (size_t s = 0; s < kAway; ++s) sum += clip_few((at.component[c] - other[s].component[c]) * factor[s], limit);
      *reinterpret_cast<Narrow*>(points + c * kTogether + from) = at.component[c] + sum;
    }
  }
}

void use_few(float* points, const float* const* target, const float* const* away, size_t dims, const Step& step) {
  if (dims == 2) return use_some<2>(points, target, away, dims, step);
  if (dims == 3) return use_some<3>(points, target, away, dims, step);
  use_some<0>(points, target, away, dims, step);
}

}  // namespace

extern const LayoutKernel COREGAIN_LAYOUT;
const LayoutKernel COREGAIN_LAYOUT = {COREGAIN_NAME, use, use_few, power};

}  // namespace coregain
