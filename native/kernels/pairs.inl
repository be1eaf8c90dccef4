// Compiled once per instruction set, with COREGAIN_LANES, COREGAIN_PAIRS and COREGAIN_NAME defined. No standard
// templates here: see dot.inl.
#include "kernels/pairs.h"
#include "kernels/unfused.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;

typedef double Lanes __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline Lanes load(const double* from) {
  return *reinterpret_cast<const Lanes*>(from);
}

inline Lanes positive(Lanes value) {
  return value > 0 ? value : Lanes{};
}
inline double positive(double value) {
  return value > 0 ? value : 0;
}

void distances(const double* products, double own, const double* squares, size_t n, float* out) {
  size_t j = 0;
  for (; j + kLanes <= n; j += kLanes)
    *reinterpret_cast<Floats*>(out + j) =
        __builtin_convertvector(positive(own + load(squares + j) - 2.0 * load(products + j)), Floats);
  for (; j < n; ++j) out[j] = static_cast<float>(positive(own + squares[j] - 2 * products[j]));
}

double least(const double* products, const double* squares, size_t n) {
  double found = __builtin_inf();
  size_t j = 0;
  if (n >= kLanes) {
    Lanes lowest = load(squares) - 2.0 * load(products);
    for (j = kLanes; j + kLanes <= n; j += kLanes) {
      const Lanes value = load(squares + j) - 2.0 * load(products + j);
      lowest = value < lowest ? value : lowest;
    }
    for (size_t t = 0; t < kLanes; ++t) found = lowest[t] < found ? lowest[t] : found;
  }
  for (; j < n; ++j) {
    const double value = squares[j] - 2 * products[j];
    found = value < found ? value : found;
  }
  return found;
}

void rise(const double* products, double reached, size_t n, double* sums) {
  size_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    Lanes* const sum = reinterpret_cast<Lanes*>(sums + j);
    *sum += positive(0.5 + 0.5 * load(products + j) - reached);
  }
  for (; j < n; ++j) sums[j] += positive(0.5 + 0.5 * products[j] - reached);
}

}  // namespace

extern const PairsKernel COREGAIN_PAIRS;
const PairsKernel COREGAIN_PAIRS = {COREGAIN_NAME, distances, least, rise};

}  // namespace coregain
