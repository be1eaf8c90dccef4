#include "greedy/naive.h"

#include <cmath>

namespace coregain {
namespace {

double value(const Matrix& x, size_t i, size_t j) {
  return x.is_double ? x.f64(i)[j] : static_cast<double>(x.f32(i)[j]);
}

// What a pair (p, x) adds to the gain of x when p is chosen; subtracted when p is not.
double pair_term(const Problem& problem, size_t p, size_t i) {
  double distance = 0, dot = 0, pp = 0, ii = 0;
  for (size_t j = 0; j < problem.x.cols; ++j) {
    const double a = value(problem.x, p, j), b = value(problem.x, i, j);
    distance += (a - b) * (a - b);
    dot += a * b;
    pp += a * a;
    ii += b * b;
  }
  if (problem.gain == Gain::kSquaredEuclidean) return distance;
  const double cosine = pp > 0 && ii > 0 ? dot / std::sqrt(pp * ii) : 0;
  return -(0.5 + 0.5 * cosine);
}

}  // namespace

Partition naive(const Problem& problem) {
  const size_t n = problem.x.rows;
  Partition out;
  out.bins.assign(n, -1);
  for (size_t bin = 0; bin < problem.bins; ++bin) {
    std::vector<bool> in_d(n), in_s(n, false);
    for (size_t i = 0; i < n; ++i) in_d[i] = out.bins[i] < 0;
    std::vector<double> gain(n, 0);
    for (size_t i = 0; i < n; ++i)
      for (size_t p = 0; in_d[i] && p < n; ++p)
        if (in_d[p]) gain[i] -= pair_term(problem, p, i);
    for (size_t k = problem.bin_size(bin); k > 0; --k) {
      size_t best = n;
      for (size_t i = 0; i < n; ++i)
        if (in_d[i] && !in_s[i] && (best == n || gain[i] > gain[best])) best = i;
      out.gains.push_back(gain[best]);
      out.order.push_back(static_cast<int32_t>(best));
      out.bins[best] = static_cast<int32_t>(bin);
      in_s[best] = true;
      for (size_t i = 0; i < n; ++i)
        if (in_d[i]) gain[i] += 2 * pair_term(problem, best, i);
    }
  }
  return out;
}

}  // namespace coregain
