// Points of the native CUDA benches: the same numbers on every machine, quickly, from a counter.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace bench {

// About normal: the sum of the four 16-bit parts of a splitmix64 of (row, column).
inline float normal(uint64_t row, uint64_t column) {
  uint64_t z = (row << 20 ^ column) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  float sum = -2;
  for (int part = 0; part < 4; ++part) sum += static_cast<float>(z >> (16 * part) & 0xffff) * 0x1p-16F;
  return sum * 1.7320508F;
}

// real: power-law spectrum and a common mean, normalised, like transformer embeddings; iso: Gaussian; sph: uniform on
// the unit sphere.
inline std::vector<float> points(const std::string& kind, size_t n, size_t d) {
  std::vector<float> x(n * d), mean(d, 0), slope(d, 1);
  if (kind == "real")
    for (size_t j = 0; j < d; ++j) {
      slope[j] = std::sqrt(1.0F / static_cast<float>(j + 1));
      mean[j] = 0.1F * normal(uint64_t{1} << 40, j);
    }
  const size_t threads = std::thread::hardware_concurrency() + 1;
  std::vector<std::thread> running;
  for (size_t t = 0; t < threads; ++t)
    running.emplace_back([&, t] {
      for (size_t i = n * t / threads; i < n * (t + 1) / threads; ++i) {
        float* row = x.data() + i * d;
        const float spread = kind == "real" ? std::exp(0.15F * normal(i, d)) : 1;
        double square = 0;
        for (size_t j = 0; j < d; ++j) {
          row[j] = mean[j] + spread * slope[j] * normal(i, j);
          square += static_cast<double>(row[j]) * row[j];
        }
        if (kind != "iso")
          for (size_t j = 0; j < d; ++j) row[j] /= static_cast<float>(std::sqrt(square));
      }
    });
  for (std::thread& thread : running) thread.join();
  return x;
}

}  // namespace bench
