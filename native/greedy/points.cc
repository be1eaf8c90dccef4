#include "greedy/points.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace coregain {
namespace {

// More than the roundings of a norm of fewer than 2^30 columns.
constexpr double kUp = 1 + 0x1p-20;

// Rows for a thread at a time: enough work to be worth the hand-over, few enough to notice a cancel.
size_t block_rows(size_t d) {
  return std::max<size_t>(1, 65536 / d);
}

// By exponent, the mantissas (implicit bit included) or-ed together: lowest and highest bit of all values.
struct Exponents {
  uint64_t mantissas[2048] = {};

  void merge(const Exponents& other) {
    for (size_t e = 0; e < 2048; ++e) mantissas[e] |= other.mantissas[e];
  }
  // 2^unit divides all values, 2^highest exceeds them; both 0 where all values are 0.
  void range(int* unit, int* highest) const {
    *unit = std::numeric_limits<int>::max();
    *highest = std::numeric_limits<int>::min();
    for (int e = 0; e < 2047; ++e) {
      if (mantissas[e] == 0) continue;
      const int exponent = std::max(e, 1) - 1075;
      *unit = std::min(*unit, exponent + std::countr_zero(mantissas[e]));
      *highest = std::max(*highest, exponent + static_cast<int>(std::bit_width(mantissas[e])));
    }
    if (*unit == std::numeric_limits<int>::max()) *unit = *highest = 0;
  }
};

// Notes the values of a row and returns a hash of them; equal values hash equally (0 and -0 too).
uint64_t note(const double* z, size_t d, Exponents& exponents) {
  constexpr uint64_t kFraction = (uint64_t{1} << 52) - 1;
  uint64_t hash = 0x9e3779b97f4a7c15;
  for (size_t j = 0; j < d; ++j) {
    const auto bits = std::bit_cast<uint64_t>(z[j] + 0.0);
    const uint64_t field = bits >> 52 & 0x7ff;
    // a normal number always leaves a mark: the implicit bit
    exponents.mantissas[field] |= (bits & kFraction) | (field != 0 ? uint64_t{1} << 52 : 0);
    hash = (hash ^ bits) * 0xbf58476d1ce4e5b9;
    hash ^= hash >> 32;
  }
  return hash;
}

// Four sums side by side: faster than one, and still one fixed order.
double sum_of_squares(const double* z, const double* origin, double f, size_t d) {
  double sum[4] = {};
  size_t j = 0;
  for (; j + 4 <= d; j += 4) {
    for (size_t k = 0; k < 4; ++k) {
      const double y = z[j + k] * f - origin[j + k] * f;
      sum[k] += y * y;
    }
  }
  for (; j < d; ++j) {
    const double y = z[j] * f - origin[j] * f;
    sum[0] += y * y;
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

Points::Points(const Problem& problem, ThreadPool& pool, const Control& control)
    : x(problem.x),
      cosine(problem.gain == Gain::kCosine),
      n(problem.x.rows),
      d(problem.x.cols),
      terms(static_cast<double>(problem.x.cols) + 16),
      vectors_(vectors_kernel(problem.simd)) {
  measure(pool, control);
  centre(pool, control);
  choose_float32(pool, control);
}

const double* Points::row(size_t i, double* scratch) const {
  if (x.is_double) return x.f64(i);
  const float* from = x.f32(i);
  for (size_t j = 0; j < d; ++j) scratch[j] = static_cast<double>(from[j]);
  return scratch;
}

namespace {

// A row whose squares could leave the range of float64, times the power of two that makes its largest value about 1.
const double* tame(const double* row, size_t d, double* scratch) {
  double largest = 0;
  for (size_t j = 0; j < d; ++j) largest = std::max(largest, std::abs(row[j]));
  const int exponent = largest > 0 ? std::ilogb(largest) : 0;
  if (std::abs(exponent) < 400) return row;
  for (size_t j = 0; j < d; ++j) scratch[j] = std::ldexp(row[j], -exponent);
  return scratch;
}

}  // namespace

double Points::row_length(size_t i, double* scratch) const {
  const double* values = row(i, scratch);
  if (x.is_double) values = tame(values, d, scratch);
  double square = 0;
  for (size_t j = 0; j < d; ++j) square += values[j] * values[j];
  return std::sqrt(square);
}

const double* Points::z(size_t i, double* scratch) const {
  const double* values = row(i, scratch);
  if (!cosine) return values;
  if (x.is_double) values = tame(values, d, scratch);
  const double divisor = length[i] > 0 ? length[i] : 1;
  for (size_t j = 0; j < d; ++j) scratch[j] = values[j] / divisor;
  return scratch;
}

void Points::y(size_t i, double* out) const {
  if (!cosine && !x.is_double) return vectors_.centre(x.f32(i), origin_f.data(), f, d, out);
  const double* values = z(i, out);
  for (size_t j = 0; j < d; ++j) out[j] = values[j] * f - origin_f[j];
}

double Points::radius(size_t i) const {
  if (!cosine) return std::sqrt(q[i]) * kUp;
  // |f y|^2 = |f u|^2 - 2 f u.f o + |f o|^2, |u| <= 1 but for rounding
  const double square = f * f + q[i] + origin_norm * origin_norm;
  return std::sqrt(std::max(square, 0.0) + terms * 0x1p-48 * f * f) * kUp;
}

void Points::measure(ThreadPool& pool, const Control& control) {
  if (cosine) length.resize(n);
  std::vector<uint64_t> hashes(n);
  std::vector<Exponents> exponents(pool.size());
  std::vector<size_t> bad(pool.size(), n);
  pool.for_blocks(n, block_rows(d), [&](unsigned t, size_t begin, size_t end) {
    control.check();
    std::vector<double> scratch(d);
    for (size_t i = begin; i < end; ++i) {
      if (cosine) length[i] = row_length(i, scratch.data());
      hashes[i] = note(z(i, scratch.data()), d, exponents[t]);
      if (exponents[t].mantissas[2047] == 0) continue;
      bad[t] = std::min(bad[t], i);
      exponents[t].mantissas[2047] = 0;  // a lower row may follow in this thread's next block
    }
  });
  const size_t row = *std::min_element(bad.begin(), bad.end());
  if (row < n) {
    std::vector<double> scratch(d);
    const double* values = this->row(row, scratch.data());
    const auto column =
        static_cast<size_t>(std::find_if(values, values + d, [](double v) { return !std::isfinite(v); }) - values);
    throw Error("ERR_NOT_FINITE",
                "Row " + std::to_string(row) + ", column " + std::to_string(column) + " is " +
                    (std::isnan(values[column]) ? "NaN" : "infinite") +
                    ". Every value must be finite: remove the row or compute it again.",
                static_cast<int64_t>(row));
  }
  for (size_t t = 1; t < exponents.size(); ++t) exponents[0].merge(exponents[t]);
  exponents[0].range(&unit, &highest);
  bits = highest - unit + static_cast<int>(std::bit_width(n)) + 4;
  scale = std::clamp(highest, -1000, 1000);
  f = std::ldexp(1.0, -scale);
  chain_equal_rows(hashes);
}

void Points::chain_equal_rows(std::vector<uint64_t>& hashes) {
  std::vector<int32_t> rows(n);
  std::iota(rows.begin(), rows.end(), 0);
  const auto hash = [&](int32_t i) { return hashes[static_cast<size_t>(i)]; };
  std::sort(rows.begin(), rows.end(),
            [&](int32_t a, int32_t b) { return hash(a) != hash(b) ? hash(a) < hash(b) : a < b; });
  next_equal.assign(n, -1);
  std::vector<double> values(d), other(d);
  std::vector<int32_t> last;  // of each chain with this hash; nearly always one
  for (size_t at = 0; at < n; ++at) {
    if (at == 0 || hash(rows[at]) != hash(rows[at - 1])) last.clear();
    bool found = false;
    for (int32_t& tail : last) {
      const double* a = z(static_cast<size_t>(rows[at]), values.data());
      const double* b = z(static_cast<size_t>(tail), other.data());
      if (!std::equal(a, a + d, b)) continue;
      next_equal[static_cast<size_t>(tail)] = rows[at];
      tail = rows[at];
      found = true;
      break;
    }
    if (found) continue;
    last.push_back(rows[at]);
    first.push_back(rows[at]);
  }
  std::sort(first.begin(), first.end());
}

void Points::centre(ThreadPool& pool, const Control& control) {
  std::vector<FixedVector> sums(pool.size(), FixedVector(d, unit, bits));
  pool.for_blocks(n, block_rows(d), [&](unsigned t, size_t begin, size_t end) {
    control.check();
    std::vector<double> scratch(d);
    for (size_t i = begin; i < end; ++i) sums[t].add(z(i, scratch.data()), 1);
  });
  for (size_t t = 1; t < sums.size(); ++t) sums[0].add(sums[t]);
  total = std::move(sums[0]);

  // The mean, on the grid of the data. Any origin gives the same order; this one makes y short.
  origin.resize(d);
  total.round(origin.data(), scale);
  for (double& o : origin) {
    o = o / static_cast<double>(n);
    if (std::abs(o) < std::ldexp(1.0, unit - scale + 52))
      o = std::ldexp(std::rint(std::ldexp(o, scale - unit)), unit - scale);
    o = std::ldexp(o, scale);
  }
  total.add(origin.data(), -static_cast<int64_t>(n));
  for (const double o : origin) origin_f.push_back(o * f);
  const std::vector<double> zero(d, 0);
  origin_norm = std::sqrt(sum_of_squares(origin.data(), zero.data(), f, d)) * kUp;

  q.resize(n);
  pool.for_blocks(n, block_rows(d), [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<double> scratch(d);
    for (size_t i = begin; i < end; ++i) {
      const double* values = z(i, scratch.data());
      if (!cosine) {
        q[i] = sum_of_squares(values, origin.data(), f, d);
        continue;
      }
      double product = 0;
      for (size_t j = 0; j < d; ++j) product += values[j] * f * (origin[j] * f);
      q[i] = -2 * product;
    }
  });
}

void Points::choose_float32(ThreadPool& pool, const Control& control) {
  // mean of |f y|^2; for unit vectors that is f^2 - |f o|^2
  double spread = 0;
  if (cosine)
    spread = std::max(0.0, f * f - origin_norm * origin_norm);
  else
    for (const double square : q) spread += square / static_cast<double>(n);
  direct = !x.is_double && origin_norm * origin_norm <= 16 * spread;

  std::vector<double> longest_of(pool.size(), 0);
  if (direct) {
    // sums of float64 squares of float32 values neither overflow nor underflow
    pool.for_blocks(n, block_rows(d), [&](unsigned t, size_t begin, size_t end) {
      std::vector<double> scratch(d);
      for (size_t i = begin; i < end; ++i)
        longest_of[t] = std::max(longest_of[t], cosine ? length[i] : row_length(i, scratch.data()));
    });
  } else {
    copy.resize(n * d);
    pool.for_blocks(n, block_rows(d), [&](unsigned t, size_t begin, size_t end) {
      control.check();
      std::vector<double> scratch(d);
      for (size_t i = begin; i < end; ++i) {
        const double* values = z(i, scratch.data());
        double square = 0;
        for (size_t j = 0; j < d; ++j) {
          const double y = values[j] * f - origin[j] * f;
          square += y * y;
          copy[i * d + j] = static_cast<float>(y);
        }
        longest_of[t] = std::max(longest_of[t], std::sqrt(square));
      }
    });
  }
  longest = *std::max_element(longest_of.begin(), longest_of.end()) * kUp;
}

}  // namespace coregain
