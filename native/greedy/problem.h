// What the greedy engines are asked and what they answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace coregain {

// N rows of d features, row-major, float32 or float64. The memory belongs to the caller and is only read.
struct Matrix {
  const void* data = nullptr;
  bool is_double = false;
  size_t rows = 0;
  size_t cols = 0;

  const float* f32(size_t row) const { return static_cast<const float*>(data) + row * cols; }
  const double* f64(size_t row) const { return static_cast<const double*>(data) + row * cols; }
};

// docs/gain.md has the formulas.
enum class Gain { kSquaredEuclidean, kCosine };

// kSpread: every point lands in a bin, the first N mod m bins get one more. kDrop: m bins of floor(N / m) points.
enum class Remainder { kSpread, kDrop };

struct Problem {
  Matrix x;
  size_t bins = 1;
  Gain gain = Gain::kSquaredEuclidean;
  Remainder remainder = Remainder::kSpread;

  size_t bin_size(size_t bin) const {
    return x.rows / bins + (remainder == Remainder::kSpread && bin < x.rows % bins ? 1 : 0);
  }
};

struct Settings {
  unsigned threads = 0;  // 0 = all hardware threads
  std::string simd;      // "" = the best of this machine
  // Shared with other threads of the process: *cancel != 0 ends the run with Cancelled; *placed counts chosen points.
  const int32_t* cancel = nullptr;
  int32_t* placed = nullptr;
};

struct Partition {
  std::vector<int32_t> order;  // rows as chosen, bin after bin
  std::vector<int32_t> bins;   // [N], -1 = dropped
  std::vector<double> gains;   // gain of order[i] when it was chosen
  // What it took.
  const char* simd = "";
  unsigned threads = 0;
  double seconds = 0;
  uint64_t dot_products = 0;       // x.w in float32
  uint64_t float64_decisions = 0;  // steps where float32 left more than one candidate
  uint64_t exact_decisions = 0;    // steps where float64 did too
};

struct Cancelled : std::runtime_error {
  Cancelled() : std::runtime_error("cancelled") {}
};

struct NotFinite : std::runtime_error {
  NotFinite(size_t r, size_t c) : std::runtime_error("not finite"), row(r), col(c) {}
  size_t row;
  size_t col;
};

}  // namespace coregain
