// Point clouds of every kind that the greedy engines can meet, from seeds.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "greedy/problem.h"

namespace coregain {

struct Random {
  uint64_t state;
  uint64_t bits() {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return bits() % n; }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  double normal() { return std::sqrt(-2 * std::log(uniform() + 1e-300)) * std::cos(6.283185307179586 * uniform()); }
};

inline const std::vector<std::string> kKinds = {
    "isotropic", "mixture", "duplicates", "all equal", "zero rows",   "integer grid", "constant columns", "denormal",
    "huge",      "tiny",    "far mean",   "one-hot",   "unit sphere", "mixed scales", "collinear",        "sign flip"};

inline std::vector<double> make(const std::string& kind, size_t n, size_t d, Random& random) {
  std::vector<double> x(n * d);
  for (double& value : x) value = random.normal();
  for (size_t i = 0; i < n; ++i) {
    double* row = x.data() + i * d;
    double square = 0;
    for (size_t j = 0; j < d; ++j) {
      if (kind == "mixture") row[j] = 3 * std::sin(static_cast<double>((i % 4 + 1) * (j + 1))) + 0.1 * row[j];
      if (kind == "all equal") row[j] = 0.1 * static_cast<double>(j + 1);
      if (kind == "integer grid") row[j] = static_cast<double>(random.below(3));
      if (kind == "constant columns" && j % 2 == 0) row[j] = 7.25;
      if (kind == "denormal") row[j] *= 1e-41;
      if (kind == "huge") row[j] *= 1e30;
      if (kind == "tiny") row[j] *= 1e-30;
      if (kind == "far mean") row[j] += 1e4;
      if (kind == "one-hot") row[j] = i % d == j ? 1 : 0;
      if (kind == "mixed scales") row[j] = std::ldexp(row[j], static_cast<int>(random.below(120)) - 60);
      if (kind == "collinear") row[j] = static_cast<double>((i + 1) * (j + 1));
      square += row[j] * row[j];
    }
    if (kind == "unit sphere")
      for (size_t j = 0; j < d; ++j) row[j] /= std::sqrt(square);
    if (kind == "duplicates" && i > 0 && random.below(2) == 0) std::copy_n(x.data() + random.below(i) * d, d, row);
    if (kind == "zero rows" && random.below(3) == 0) std::fill_n(row, d, i % 2 ? 0.0 : -0.0);
    if (kind == "sign flip" && i % 2 == 1)
      for (size_t j = 0; j < d; ++j) row[j] = -x[(i - 1) * d + j];
  }
  return x;
}

// Data in memory of its exact size, so that the address sanitizer sees a read beyond it.
struct Data {
  Data(const std::vector<double>& values, size_t n, size_t d, bool is_double)
      : wide(is_double ? values : std::vector<double>()) {
    if (!is_double)
      for (const double value : values) narrow.push_back(static_cast<float>(value));
    narrow.shrink_to_fit();
    problem.x = {is_double ? static_cast<const void*>(wide.data()) : static_cast<const void*>(narrow.data()), is_double,
                 n, d};
  }
  std::vector<double> wide;
  std::vector<float> narrow;
  Problem problem;
};

}  // namespace coregain
