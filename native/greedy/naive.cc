#include "greedy/naive.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "core/big_int.h"

namespace coregain {
namespace {

// z of greedy/points.h, written down again: the row, or the row over its length in float64.
std::vector<double> stored_inputs(const Problem& problem) {
  const Matrix& x = problem.x;
  std::vector<double> z(x.rows * x.cols);
  for (size_t i = 0; i < x.rows; ++i) {
    double* row = z.data() + i * x.cols;
    double largest = 0;
    for (size_t j = 0; j < x.cols; ++j) {
      row[j] = x.is_double ? x.f64(i)[j] : static_cast<double>(x.f32(i)[j]);
      largest = std::max(largest, std::abs(row[j]));
    }
    if (problem.gain == Gain::kSquaredEuclidean || largest == 0) continue;
    double square = 0;
    const int exponent = std::ilogb(largest);
    if (std::abs(exponent) >= 400)  // squares could leave the range of float64
      for (size_t j = 0; j < x.cols; ++j) row[j] = std::ldexp(row[j], -exponent);
    for (size_t j = 0; j < x.cols; ++j) square += row[j] * row[j];
    const double length = std::sqrt(square);
    for (size_t j = 0; j < x.cols; ++j) row[j] /= length;
  }
  return z;
}

// Greedy over a table of what each pair contributes: gain(x) = sum over S - sum over D \ S (squared distance), or
// sum over D - 2 sum over S (cosine), that is minus the first form.
template <typename Number>
Partition greedy(const Problem& problem, const std::vector<Number>& table,
                 const std::function<void(const Number&, Partition&)>& record) {
  const size_t n = problem.x.rows;
  Partition out;
  out.bins.assign(n, -1);
  std::vector<uint8_t> placed(n, 0);
  for (size_t bin = 0; bin < problem.bins; ++bin) {
    const std::vector<uint8_t> earlier = placed;
    std::vector<Number> gain(n);
    for (size_t i = 0; i < n; ++i)
      for (size_t p = 0; p < n; ++p)
        if (!earlier[p]) gain[i] = gain[i] - table[i * n + p];
    for (size_t k = bin_size(problem, bin); k > 0; --k) {
      size_t best = n;
      for (size_t i = 0; i < n; ++i)
        if (!placed[i] && (best == n || gain[best] < gain[i])) best = i;
      record(gain[best], out);
      out.order.push_back(static_cast<int32_t>(best));
      out.bins[best] = static_cast<int32_t>(bin);
      placed[best] = 1;
      for (size_t i = 0; i < n; ++i) gain[i] = gain[i] + table[i * n + best] + table[i * n + best];
    }
  }
  return out;
}

}  // namespace

Partition naive(const Problem& problem) {
  const size_t n = problem.x.rows, d = problem.x.cols;
  const std::vector<double> z = stored_inputs(problem);
  std::vector<double> table(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t p = 0; p < n; ++p) {
      double sum = 0;
      for (size_t j = 0; j < d; ++j) {
        const double a = z[i * d + j], b = z[p * d + j];
        sum += problem.gain == Gain::kCosine ? a * b : (a - b) * (a - b);
      }
      table[i * n + p] = problem.gain == Gain::kCosine ? -(0.5 + 0.5 * sum) : sum;
    }
  }
  return greedy<double>(problem, table, [](double gain, Partition& out) { out.gains.push_back(gain); });
}

Partition oracle(const Problem& problem) {
  const size_t n = problem.x.rows, d = problem.x.cols;
  const std::vector<double> z = stored_inputs(problem);
  // value = mantissa * 2^exponent, all over the smallest exponent
  std::vector<std::pair<int64_t, int>> parts;
  int unit = 0;
  for (const double value : z) {
    int exponent = 0;
    const auto mantissa = static_cast<int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
    parts.emplace_back(mantissa, exponent - 53);
    if (mantissa != 0) unit = std::min(unit, exponent - 53);
  }
  std::vector<BigInt> integers;
  integers.reserve(parts.size());
  for (const auto& [mantissa, exponent] : parts) integers.emplace_back(mantissa, mantissa == 0 ? 0 : exponent - unit);

  std::vector<BigInt> table(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t p = 0; p <= i; ++p) {
      BigInt sum;
      for (size_t j = 0; j < d; ++j) {
        const BigInt &a = integers[i * d + j], &b = integers[p * d + j];
        sum = problem.gain == Gain::kCosine ? sum - a * b : sum + (a - b) * (a - b);
      }
      table[i * n + p] = table[p * n + i] = sum;
    }
  }
  // cosine: the constant 1/2 of s is the same for every row, and a factor changes no order
  return greedy<BigInt>(problem, table, [](const BigInt&, Partition&) {});
}

}  // namespace coregain
