// Rows with a known kind of spectrum.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace coregain {

inline std::vector<float> normal(size_t count, unsigned seed, float mean = 0) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> distribution(mean);
  std::vector<float> out(count);
  for (float& x : out) x = distribution(random);
  return out;
}

// n rows of d features whose variances fall as i^-2, turned by random reflections, about a common mean.
inline std::vector<float> spectrum(size_t n, size_t d, unsigned seed) {
  std::vector<float> x = normal(n * d, seed);
  for (size_t i = 0; i < n * d; ++i) x[i] /= static_cast<float>(i % d + 1);
  for (unsigned turn = 0; turn < 3; ++turn) {
    const std::vector<float> u = normal(d, seed + 100 + turn);
    double squares = 0;
    for (const float value : u) squares += static_cast<double>(value) * value;
    for (size_t i = 0; i < n; ++i) {
      double along = 0;
      for (size_t j = 0; j < d; ++j) along += static_cast<double>(u[j]) * x[i * d + j];
      for (size_t j = 0; j < d; ++j) x[i * d + j] -= static_cast<float>(2 * along / squares * u[j]);
    }
  }
  const std::vector<float> mean = normal(d, seed + 7, 3);
  for (size_t i = 0; i < n * d; ++i) x[i] += mean[i % d];
  return x;
}

}  // namespace coregain
