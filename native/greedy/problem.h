// What the greedy engines are asked and what they answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"

namespace coregain {

// docs/gain.md has the formulas.
enum class Gain { kSquaredEuclidean, kCosine };

// kSpread: every point lands in a bin, the first N mod m bins get one more. kDrop: m bins of floor(N / m) points.
enum class Remainder { kSpread, kDrop };

// kAuto: lazy, which measures itself as it goes (docs/engine.md); sweep where there is no memory for it. The order is
// the same for all.
enum class Engine { kAuto, kLazy, kGram, kSweep };

struct Problem {
  Matrix x;
  size_t bins = 1;  // m
  Gain gain = Gain::kSquaredEuclidean;
  Remainder remainder = Remainder::kSpread;
  unsigned threads = 0;  // 0 = all hardware threads
  std::string simd;      // "" = the best level of this machine
  Engine engine = Engine::kAuto;
  int device = -1;        // of core/cuda_library.h; -1 = the processor
  bool fallback = false;  // the processor takes over what the device cannot do
  // Bytes that inner products of pairs may take, or all that the engine takes on a device; 0 = a quarter of the
  // machine's memory, or all that is free on the device.
  size_t memory = 0;
};

// Points that bin number `bin` takes.
inline size_t bin_size(const Problem& problem, size_t bin) {
  const size_t n = problem.x.rows;
  return n / problem.bins + (problem.remainder == Remainder::kSpread && bin < n % problem.bins ? 1 : 0);
}

struct Partition {
  std::vector<int32_t> order;  // rows as chosen, bin after bin
  std::vector<int32_t> bins;   // [N], -1 = dropped
  std::vector<double> gains;   // gain of order[i] when it was chosen
  // What ran, why, and what it took.
  std::string engine, why;
  std::string device;  // "cpu", or "cuda:N" and its name
  std::string simd;
  unsigned threads = 0;
  double seconds = 0;
  uint64_t dot_products = 0;       // in float32 or with int8 rows
  uint64_t float64_decisions = 0;  // steps where float32 left more than one candidate
  uint64_t exact_decisions = 0;    // steps where float64 did too
};

// The exact greedy partition. Its order is that of real arithmetic with ties to the lowest row (docs/exact-order.md),
// hence the same for every number of threads and SIMD level. Control: done = points placed.
// Throws Error: ERR_NOT_FINITE (with the first row that has a NaN or an infinity), ERR_BINS unless 1 <= bins <= N and
// d >= 1, ERR_SIMD, ERR_MEMORY for kGram, ERR_CANCELLED.
Partition greedy_bins(const Problem& problem, Control& control);

}  // namespace coregain
