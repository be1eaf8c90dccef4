// Compiled once per instruction set, with COREGAIN_DOUBLES (lanes of a register) and COREGAIN_SCORES defined. No
// standard templates here: see dot.inl.
#include "kernels/scores.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_DOUBLES;
constexpr size_t kSteps = ScoresKernel::kBlock / kLanes;

typedef double Doubles __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

void update(double* scores, const double* twice_q, const float* products, double factor, size_t n, double* block_max) {
  for (size_t i = 0; i < n; i += ScoresKernel::kBlock) {
    Doubles largest;
    for (size_t k = 0; k < kSteps; ++k) {
      const size_t at = i + k * kLanes;
      const Doubles g = __builtin_convertvector(*reinterpret_cast<const Floats*>(products + at), Doubles);
      Doubles& score = *reinterpret_cast<Doubles*>(scores + at);
      const Doubles next = score + *reinterpret_cast<const Doubles*>(twice_q + at) - g * factor;
      score = next;
      largest = k == 0 ? next : (largest > next ? largest : next);
    }
    double best = largest[0];
    for (size_t t = 1; t < kLanes; ++t) best = best > largest[t] ? best : largest[t];
    block_max[i / ScoresKernel::kBlock] = best;
  }
}

inline Doubles widen(const float* from) {
  return __builtin_convertvector(*reinterpret_cast<const Floats*>(from), Doubles);
}

inline Doubles load(const double* from) {
  return *reinterpret_cast<const Doubles*>(from);
}

// Doubles or double: the error gets 2^-20 more than its own roundings.
template <typename T>
inline T error_of(const Estimate& rows, T base, T residual, T magnitude, T q_abs, T radius) {
  return (base + residual * rows.distance + magnitude * rows.loose + q_abs * rows.roundoff_q +
          radius * rows.roundoff_radius + rows.roundoff) *
         (1 + 0x1p-20);
}

double estimate(const Estimate& rows, size_t n) {
  double best = -__builtin_inf();
  Doubles lowest;
  for (size_t t = 0; t < kLanes; ++t) lowest[t] = best;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Doubles q = load(rows.q + i);
    const Doubles score =
        load(rows.base_score + i) + q * rows.da + widen(rows.scale + i) * widen(rows.products + i) * rows.factor;
    const Doubles error = error_of<Doubles>(rows, widen(rows.base_error + i), widen(rows.residual + i),
                                            widen(rows.magnitude + i), q < 0 ? -q : q, widen(rows.radius + i));
    *reinterpret_cast<Doubles*>(rows.score + i) = score;
    *reinterpret_cast<Doubles*>(rows.high + i) = score + error;
    const Doubles low = score - error;
    lowest = lowest > low ? lowest : low;
  }
  for (; i < n; ++i) {
    const double q = rows.q[i];
    const double score = rows.base_score[i] + q * rows.da +
                         static_cast<double>(rows.scale[i]) * static_cast<double>(rows.products[i]) * rows.factor;
    const double error =
        error_of<double>(rows, rows.base_error[i], rows.residual[i], rows.magnitude[i], q < 0 ? -q : q, rows.radius[i]);
    rows.score[i] = score;
    rows.high[i] = score + error;
    best = best > score - error ? best : score - error;
  }
  for (size_t t = 0; t < kLanes; ++t) best = best > lowest[t] ? best : lowest[t];
  return best;
}

}  // namespace

extern const ScoresKernel COREGAIN_SCORES;
const ScoresKernel COREGAIN_SCORES = {update, estimate};

}  // namespace coregain
