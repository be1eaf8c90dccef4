// Powers and exponentials in plain float64 arithmetic: the same bits on every machine, which no C library promises.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace coregain::reduce {

// log2 x, x > 0 and normal; relative error about 1e-15.
inline double log2_of(double x) {
  const auto bits = std::bit_cast<uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3ff0000000000000);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  // log m = 2 artanh s, s = (m - 1) / (m + 1), |s| < 0.172
  const double s = (m - 1) / (m + 1), z = s * s;
  double sum = 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  sum = sum * z + 1.0;
  return exponent + 2.8853900817779268 * s * sum;
}

// 2^x; 0 below 2^-1022, at most 2^1022.
inline double exp2_of(double x) {
  if (!(x > -1022)) return 0;
  if (x > 1022) x = 1022;
  const double whole = std::floor(x + 0.5);
  const double t = (x - whole) * 0.69314718055994531;  // |t| < 0.347
  double sum = 1.0 / 6227020800;  // 1 / 13!
  sum = sum * t + 1.0 / 479001600;
  sum = sum * t + 1.0 / 39916800;
  sum = sum * t + 1.0 / 3628800;
  sum = sum * t + 1.0 / 362880;
  sum = sum * t + 1.0 / 40320;
  sum = sum * t + 1.0 / 5040;
  sum = sum * t + 1.0 / 720;
  sum = sum * t + 1.0 / 120;
  sum = sum * t + 1.0 / 24;
  sum = sum * t + 1.0 / 6;
  sum = sum * t + 0.5;
  sum = sum * t + 1.0;
  sum = sum * t + 1.0;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(static_cast<int64_t>(whole) + 1023) << 52);
}

inline double exp_of(double x) {
  return exp2_of(x * 1.4426950408889634);
}

// x^y, x > 0 and normal.
inline double power(double x, double y) {
  return exp2_of(y * log2_of(x));
}

}  // namespace coregain::reduce
