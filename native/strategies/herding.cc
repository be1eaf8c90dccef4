#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cpu.h"
#include "strategies/rows.h"
#include "strategies/strategies.h"

namespace coregain::strategies {

// With x = mean + y and after t choices, w = (t + 1) mean - sum x = mean - sum y, so <w, x> = <w, y> + <w, mean>: the
// rows are compared by <w, y>, and w moves by -y.
Herd herding(const Task& task, size_t budget, const std::vector<uint8_t>& allowed, const std::vector<int32_t>& initial,
             Control& control) {
  const StandardArithmetic standard;
  ThreadPool pool(task.threads);
  const Rows rows(task.x, pool, control, task.simd);
  const size_t n = rows.n, d = rows.d;
  const size_t block = std::max<size_t>(64, 65536 / std::max<size_t>(1, d)) / 4 * 4;
  Herd out;
  std::vector<double> w(rows.mean);
  std::vector<size_t> left;
  std::vector<uint8_t> taken(n, 0);
  for (const int32_t i : initial) taken[static_cast<size_t>(i)] = 1;
  for (size_t i = 0; i < n; ++i)
    if (allowed[i] != 0 && taken[i] == 0) left.push_back(i);

  const auto score = [&](size_t i) {
    double sum[4] = {};
    const float* y = rows.row(i);
    for (size_t j = 0; j < d; ++j) sum[j % 4] += static_cast<double>(y[j]) * w[j];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
  };
  const auto take = [&](size_t i) {
    double at_mean = 0;
    for (size_t j = 0; j < d; ++j) at_mean += w[j] * rows.mean[j];
    out.rows.push_back(static_cast<int32_t>(i));
    out.scores.push_back(score(i) + at_mean);
    const float* y = rows.row(i);
    for (size_t j = 0; j < d; ++j) w[j] -= static_cast<double>(y[j]);
    control.done(out.rows.size());
  };
  for (const int32_t i : initial) take(static_cast<size_t>(i));

  std::vector<float> narrow(rows.stride());
  std::vector<double> scores(n);
  while (out.rows.size() < budget && !left.empty()) {
    // w in float32, scaled so that its largest element is about 1: float32 rules out most rows, float64 decides
    double top = 0, square = 0;
    for (const double value : w) top = std::max(top, std::abs(value));
    const double factor = top > 0 ? std::ldexp(1.0, -std::ilogb(top)) : 1;
    for (size_t j = 0; j < d; ++j) {
      narrow[j] = static_cast<float>(w[j] * factor);
      square += w[j] * factor * w[j] * factor;
    }
    const double per_length = (rows.error() + 0x1p-23) * std::sqrt(square) * (1 + 0x1p-20);
    const auto error = [&](size_t i) { return per_length * std::sqrt(rows.square(i)) + 1e-37; };
    std::vector<double> lows(pool.size(), -std::numeric_limits<double>::infinity());
    pool.for_blocks(left.size(), block, [&](unsigned t, size_t begin, size_t end) {
      control.check();
      for (size_t c = begin; c < end; c += 4) {
        const size_t count = std::min<size_t>(4, end - c);
        rows.products(&left[c], count, narrow.data(), &scores[c]);
        for (size_t r = 0; r < count; ++r) lows[t] = std::max(lows[t], scores[c + r] - error(left[c + r]));
      }
    });
    const double low = *std::max_element(lows.begin(), lows.end());
    size_t best = left.size();
    double most = 0;
    for (size_t c = 0; c < left.size(); ++c) {
      if (scores[c] + error(left[c]) < low) continue;
      const double s = score(left[c]);
      if (best < left.size() && s <= most) continue;
      best = c;
      most = s;
    }
    take(left[best]);
    left.erase(left.begin() + static_cast<ptrdiff_t>(best));
  }
  return out;
}

}  // namespace coregain::strategies
