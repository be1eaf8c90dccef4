// Compiled once per instruction set, with COREGAIN_LANES, COREGAIN_BLOCK (rows whose sums fit the registers),
// COREGAIN_PANEL and COREGAIN_NAME defined. No standard templates here: see dot.inl.
#include "kernels/panel.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kPoints = PanelKernel::kPoints;
constexpr size_t kParts = kPoints / kLanes;
constexpr size_t kBlock = COREGAIN_BLOCK;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef float Half __attribute__((vector_size(kLanes / 2 * sizeof(float)), aligned(4), may_alias));
typedef double Wide __attribute__((vector_size(kLanes / 2 * sizeof(double)), aligned(8), may_alias));

inline Lanes load(const float* from) {
  return *reinterpret_cast<const Lanes*>(from);
}

// kCount rows; each of their sums is the same for any kCount.
template <size_t kCount>
void block(const float* panel, const float* rows, size_t d, float* out, size_t stride) {
  Lanes total[kCount][kParts] = {};
  for (size_t from = 0; from < d; from += PanelKernel::kChunk) {
    const size_t end = d - from < PanelKernel::kChunk ? d : from + PanelKernel::kChunk;
    Lanes sum[kCount][kParts] = {};
    for (size_t j = from; j < end; ++j) {
      for (size_t p = 0; p < kParts; ++p) {
        const Lanes points = load(panel + j * kPoints + p * kLanes);
        for (size_t r = 0; r < kCount; ++r) sum[r][p] += points * rows[r * d + j];
      }
    }
    for (size_t r = 0; r < kCount; ++r)
      for (size_t p = 0; p < kParts; ++p) total[r][p] += sum[r][p];
  }
  for (size_t r = 0; r < kCount; ++r)
    for (size_t p = 0; p < kParts; ++p) *reinterpret_cast<Lanes*>(out + r * stride + p * kLanes) = total[r][p];
}

void products(const float* panel, const float* rows, size_t count, size_t d, float* out, size_t stride) {
  size_t r = 0;
  for (; r + kBlock <= count; r += kBlock) block<kBlock>(panel, rows + r * d, d, out + r * stride, stride);
  for (; r < count; ++r) block<1>(panel, rows + r * d, d, out + r * stride, stride);
}

// Adds a vector of float32 terms to float64 sums.
struct Sum {
  Wide low = {}, high = {};
  void add(Lanes terms) {
    const Half* halves = reinterpret_cast<const Half*>(&terms);
    low += __builtin_convertvector(halves[0], Wide);
    high += __builtin_convertvector(halves[1], Wide);
  }
  double fold() const {
    const Wide both = low + high;
    double sum = 0;
    for (size_t t = 0; t < kLanes / 2; ++t) sum += both[t];
    return sum;
  }
};

inline Lanes least(Lanes a, Lanes b) {
  return a < b ? a : b;
}

void similarity(float* s, size_t n) {
  const Lanes one = Lanes{} + 1;
  for (size_t i = 0; i < n; i += kLanes) {
    const Lanes value = load(s + i) * 0.5F + 0.5F;
    const Lanes positive = value > 0 ? value : Lanes{};
    *reinterpret_cast<Lanes*>(s + i) = least(positive, one);
  }
}

double above(const float* s, const float* reached, const float* cap, size_t n) {
  Sum sum;
  for (size_t i = 0; i < n; i += kLanes) {
    const Lanes similarity = cap == nullptr ? load(s + i) : least(load(s + i), load(cap + i));
    const Lanes gain = similarity - load(reached + i);
    sum.add(gain > 0 ? gain : Lanes{});
  }
  return sum.fold();
}

double within(const float* s, const float* room, size_t n) {
  Sum sum;
  for (size_t i = 0; i < n; i += kLanes) sum.add(least(load(s + i), load(room + i)));
  return sum.fold();
}

}  // namespace

extern const PanelKernel COREGAIN_PANEL;
const PanelKernel COREGAIN_PANEL = {COREGAIN_NAME, products, similarity, above, within};

}  // namespace coregain
