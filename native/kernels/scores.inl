// Compiled once per instruction set, with COREGAIN_DOUBLES (lanes of a register) and COREGAIN_SCORES defined. No standard
// templates here: see dot.inl.
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

}  // namespace

extern const ScoresKernel COREGAIN_SCORES;
const ScoresKernel COREGAIN_SCORES = {update};

}  // namespace coregain
