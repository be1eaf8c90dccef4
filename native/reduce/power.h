// Logarithms and exponentials in plain float64 arithmetic, to ten digits: the same bits on every machine, which no C
// library promises.
#pragma once

#include <bit>
#include <cstdint>

namespace coregain::reduce {

// log2 x, x > 0 and normal; error below 1e-10.
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
  const double z2 = z * z;
  const double sum = (1 + z * (1.0 / 3)) + z2 * ((1.0 / 5 + z * (1.0 / 7)) + z2 * (1.0 / 9 + z * (1.0 / 11)));
  return exponent + 2.8853900817779268 * s * sum;
}

// 2^x, relative error below 1e-11; 0 below 2^-1022, at most 2^1022.
inline double exp2_of(double x) {
  if (!(x > -1022)) return 0;
  if (x > 1022) x = 1022;
  const int whole = static_cast<int>(x + 1023.5) - 1023;
  const double t = (x - whole) * 0.69314718055994531;  // |t| < 0.347
  const double t2 = t * t;
  const double low = (1 + t) + t2 * (0.5 + t * (1.0 / 6));
  const double high =
      (1.0 / 24 + t * (1.0 / 120)) + t2 * ((1.0 / 720 + t * (1.0 / 5040)) + t2 * (1.0 / 40320 + t * (1.0 / 362880)));
  const double sum = low + t2 * t2 * high;
  return sum * std::bit_cast<double>(static_cast<uint64_t>(whole + 1023) << 52);
}

inline double exp_of(double x) {
  return exp2_of(x * 1.4426950408889634);
}

}  // namespace coregain::reduce
