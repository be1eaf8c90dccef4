// Compiled once per instruction set that can fuse a multiply and an add, with COREGAIN_LANES, COREGAIN_BLOCK (rows
// whose sums fit the registers), COREGAIN_GEMM and COREGAIN_NAME defined. No standard templates here: see dot.inl.
#include "kernels/gemm.h"

namespace coregain {
namespace {

constexpr size_t kLanes = COREGAIN_LANES;
constexpr size_t kBlock = COREGAIN_BLOCK;
constexpr size_t kVectors = 3;  // of a row that are summed together
constexpr size_t kPanel = GemmKernel::kPanel;
constexpr size_t kAhead = 8;     // elements of a panel between what is used and what is fetched
constexpr size_t kLine = 64;     // bytes of a line of a cache
constexpr size_t kTogether = 4;  // elements between two lines of a run
constexpr size_t kBlocks = kPanel / (kVectors * kLanes) * (GemmKernel::kRows / kBlock);
constexpr size_t kRunsOfBlock = GemmKernel::kRuns / kBlocks;
constexpr size_t kRunsTogether = (kRunsOfBlock + 3) / 4;  // as many as leave no line out of kDepth elements
static_assert(kRunsOfBlock * kBlocks == GemmKernel::kRuns);
static_assert(kRunsOfBlock / kRunsTogether * (GemmKernel::kRun / kLine) * kTogether <= GemmKernel::kDepth);

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));
typedef float Half __attribute__((vector_size(kLanes / 2 * sizeof(float)), aligned(4), may_alias));
typedef double Wide __attribute__((vector_size(kLanes / 2 * sizeof(double)), aligned(8), may_alias));

// A block of rows times some vectors of columns, in registers.
template <size_t kCount>
void add_block(const float* rows, size_t a_stride, size_t a_step, const float* columns, size_t depth, double* c,
               size_t c_stride, const char* const* ahead) {
  Lanes sum[kBlock][kCount] = {};
  for (size_t i = 0; i < kBlock; ++i)
    for (size_t t = 0; t < kCount * kLanes; t += 8) __builtin_prefetch(c + i * c_stride + t, 1);
  const auto step = [&] {
    Lanes b[kCount];
    for (size_t v = 0; v < kCount; ++v) __builtin_prefetch(columns + kAhead * kPanel + v * kLanes);
    for (size_t v = 0; v < kCount; ++v) b[v] = *reinterpret_cast<const Lanes*>(columns + v * kLanes);
    for (size_t i = 0; i < kBlock; ++i) {
      const float value = rows[i * a_stride];
      for (size_t v = 0; v < kCount; ++v) sum[i][v] += b[v] * value;
    }
    rows += a_step;
    columns += kPanel;
  };
  size_t j = 0;
  if (ahead != nullptr) {
    // all lines of a few runs side by side, then the next runs
    for (size_t run = 0; run < kRunsOfBlock; run += kRunsTogether) {
      for (size_t line = 0; line < GemmKernel::kRun && j + kTogether <= depth; line += kLine) {
        for (size_t r = 0; r < kRunsTogether; ++r) __builtin_prefetch(ahead[run + r] + line, 0, 2);
        for (const size_t end = j + kTogether; j < end; ++j) step();
      }
    }
  }
  for (; j < depth; ++j) step();
  for (size_t i = 0; i < kBlock; ++i) {
    for (size_t v = 0; v < kCount; ++v) {
      Wide* const out = reinterpret_cast<Wide*>(c + i * c_stride + v * kLanes);
      const Half* const halves = reinterpret_cast<const Half*>(&sum[i][v]);
      out[0] += __builtin_convertvector(halves[0], Wide);
      out[1] += __builtin_convertvector(halves[1], Wide);
    }
  }
}

void add(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t depth, double* c, size_t c_stride,
         const char* const* ahead) {
  for (size_t from = 0; from < kPanel; from += kVectors * kLanes) {
    for (size_t row = 0; row < GemmKernel::kRows; row += kBlock) {
      add_block<kVectors>(a + row * a_stride, a_stride, a_step, panel + from, depth, c + row * c_stride + from,
                          c_stride, ahead);
      if (ahead != nullptr) ahead += kRunsOfBlock;
    }
  }
}

void add_first(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t columns, size_t depth,
               double* c, size_t c_stride) {
  for (size_t from = 0; from < columns; from += kVectors * kLanes) {
    const size_t vectors = (columns - from + kLanes - 1) / kLanes;
    const auto some = vectors == 1 ? add_block<1> : vectors == 2 ? add_block<2> : add_block<kVectors>;
    for (size_t row = 0; row < GemmKernel::kRows; row += kBlock)
      some(a + row * a_stride, a_stride, a_step, panel + from, depth, c + row * c_stride + from, c_stride, nullptr);
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
const GemmKernel COREGAIN_GEMM = {COREGAIN_NAME, add, add_first, less<float>, less<double>};

}  // namespace coregain
