// The points of a greedy problem on the device, and arithmetic on the exact w. greedy/points.h and greedy/objective.h
// have the definitions; docs/gpu.md the bounds.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "cuda/block.h"

namespace coregain::cuda {

constexpr double kUp = 1 + 0x1p-20;      // more than the roundings of a norm
constexpr double kFinal = 0x1p-50;       // more than the roundings of a q - 2 p, per |a q| + 2 |p|
constexpr double kUnderflow = 0x1p-900;  // more than float64 can lose by underflow in one score

// An integer times 2^unit, and enough bits for every sum over the points: greedy/points.h.
using Grid128 = __int128;

// Arrays in device memory, or in host memory that the device reads over the bus. A chain is the rows of one value; its
// row is the first that is in no bin.
struct Points {
  const void* x;  // [n, d], float32 or float64
  bool is_double, cosine;
  bool float64_is_exact;  // Objective::float64_is_exact
  int32_t chains;
  size_t d;
  const double* q;            // [n]
  const double* length;       // [n], cosine
  const double* origin;       // [d]
  const int32_t* next_equal;  // [n]
  double f;
  int unit, scale;
  double terms;    // d + 16
  double q_error;  // of q, per |q| (cosine: absolute)

  COREGAIN_DEVICE double z(size_t row, size_t j) const {
    const double value = is_double ? static_cast<const double*>(x)[row * d + j]
                                   : static_cast<double>(static_cast<const float*>(x)[row * d + j]);
    if (!cosine) return value;
    const double divisor = length[row];
    return value / (divisor > 0 ? divisor : 1);
  }
  // What float64 may lose of an upper bound that follows a and w: da q with a rounded q, w64 and the sums.
  COREGAIN_DEVICE double drift_roundoff(double members, double q_abs, double radius, double w_most) const {
    return 0x1p-45 * (members * q_abs + 2 * radius * w_most) + 2 * members * q_error * (cosine ? 1 : q_abs) + 0x1p-120;
  }
  // f y: one rounding, multiplications by f are exact.
  COREGAIN_DEVICE double y(size_t row, size_t j) const { return z(row, j) * f - origin[j] * f; }
};

// value / 2^unit, an integer.
COREGAIN_DEVICE Grid128 on_grid(double value, int unit) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  const auto field = static_cast<int>(bits >> 52 & 0x7ff);
  const uint64_t mantissa = (bits & ((uint64_t{1} << 52) - 1)) | (field > 0 ? uint64_t{1} << 52 : 0);
  const int shift = (field > 0 ? field : 1) - 1075 - unit;
  // the bits below the unit are zero
  const Grid128 magnitude =
      shift >= 0 ? static_cast<Grid128>(mantissa) << shift : static_cast<Grid128>(-shift < 64 ? mantissa >> -shift : 0);
  return bits >> 63 != 0 ? -magnitude : magnitude;
}

// value 2^(unit - scale) in float64, off by a relative 4 * 2^-53 at most: two conversions and a sum.
COREGAIN_DEVICE double off_grid(Grid128 value, int unit, int scale) {
  const bool negative = value < 0;
  const auto magnitude = static_cast<unsigned __int128>(negative ? -value : value);
  const double rounded = static_cast<double>(static_cast<uint64_t>(magnitude >> 64)) * 0x1p64 +
                         static_cast<double>(static_cast<uint64_t>(magnitude));
  const double scaled = ldexp(rounded, unit - scale);
  return negative ? -scaled : scaled;
}

// Where a bin is: w exact and rounded, both [d].
struct State {
  Grid128* w;
  Grid128* rest;  // sum of y over D
  double* w64;    // f w
};

// An interval around a score.
struct Interval {
  double score, error;
};

// a q - 2 y.w for one row, by one warp, and what float64 may lose of it for any |a| <= members: Objective::bounds64,
// but of y.w for both gains. radius >= |f y|, w_norm >= |f w|.
COREGAIN_DEVICE Interval score64(const Warp& warp, const Points& p, const double* w64, size_t row, double radius,
                                 double a, double members, double w_norm) {
  const double product = warp.sum([&](unsigned lane) {
    double sum = 0;
    for (size_t j = lane; j < p.d; j += kWarp) sum += p.y(row, j) * w64[j];
    return sum;
  });
  const double q = p.q[row];
  const double score = a * q - 2 * product;
  if (p.float64_is_exact) return {score, 0};
  return {score, 2 * p.terms * 0x1p-53 * radius * w_norm + p.q_error * members * (p.cosine ? 1 : fabs(q)) +
                     kFinal * (fabs(a * q) + 2 * fabs(product)) + kUnderflow};
}

// ---- kernels: D and S change

// A bin begins: D loses the S of the last one. rest = (rest - w) / 2, w = -rest. Where w is -rest, as before the first
// bin, nothing changes but w64. A few words a column.
struct BeginBin {
  static constexpr unsigned kThreads = 256;
  Points points;
  State state;

  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      for (size_t j = block.index * block.threads + thread; j < points.d; j += block.count * block.threads) {
        const Grid128 rest = (state.rest[j] - state.w[j]) / 2;
        state.rest[j] = rest;
        state.w[j] = -rest;
        state.w64[j] = off_grid(-rest, points.unit, points.scale);
      }
    });
  }
};

// The host has decided a step: w += 2 y, and the next row of the chain takes the place of this one.
struct Take {
  static constexpr unsigned kThreads = 256;
  Points points;
  State state;
  int32_t row, chain;
  int32_t* row_of;  // [chains]

  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      for (size_t j = block.index * block.threads + thread; j < points.d; j += block.count * block.threads) {
        state.w[j] +=
            2 * (on_grid(points.z(static_cast<size_t>(row), j), points.unit) - on_grid(points.origin[j], points.unit));
        state.w64[j] = off_grid(state.w[j], points.unit, points.scale);
      }
      if (block.index == 0 && thread == 0) row_of[chain] = points.next_equal[row];
    });
  }
};

}  // namespace coregain::cuda
