#include "reduce/start.h"

#include <algorithm>
#include <cmath>

#include "objectives/random.h"
#include "strategies/rows.h"

namespace coregain::reduce {
namespace {

constexpr size_t kSampleRows = 1024;
constexpr size_t kDirectionValues = size_t{1} << 26;  // of all directions: 256 MB
constexpr int kRounds = 4;
constexpr size_t kColumns = 1024;  // columns of a direction at a time
constexpr double kNothing = 1e-5;  // of a direction's length before the others were taken out: rounding
constexpr size_t kLanes = 8;

// The sum of 12 uniform numbers is near enough to normal, and needs no logarithm of a C library.
float normal(objectives::Words& words) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(words.next());
  return static_cast<float>(sum * 0x1p-32 - 6);
}

float product(const float* a, const float* b, size_t d) {
  float sum[kLanes] = {};
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes)
    for (size_t t = 0; t < kLanes; ++t) sum[t] += a[j + t] * b[j + t];
  for (; j < d; ++j) sum[0] += a[j] * b[j];
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

struct Rows {
  const Matrix& x;
  const std::vector<double>& mean;
  // Centred columns [from, from + width) of a row.
  void read(size_t row, size_t from, size_t width, float* out) const {
    for (size_t j = 0; j < width; ++j) {
      const double value = x.is_double ? x.f64(row)[from + j] : static_cast<double>(x.f32(row)[from + j]);
      out[j] = static_cast<float>(value - mean[from + j]);
    }
  }
};

// out[i, k] = centred row i . direction k, directions [count, d]
void project(const Rows& rows, const std::vector<size_t>& which, const std::vector<float>& directions, size_t count,
             float* out, ThreadPool& pool, const Control& control) {
  const size_t d = rows.x.cols;
  constexpr size_t kTogether = 16;  // rows that share a part of the directions
  pool.for_blocks(which.size(), kTogether, [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<float> part(kTogether * kColumns);
    std::vector<double> sums((end - begin) * count);
    for (size_t from = 0; from < d; from += kColumns) {
      const size_t width = std::min(kColumns, d - from);
      for (size_t i = begin; i < end; ++i) rows.read(which[i], from, width, &part[(i - begin) * kColumns]);
      for (size_t k = 0; k < count; ++k)
        for (size_t i = begin; i < end; ++i)
          sums[(i - begin) * count + k] +=
              static_cast<double>(product(&part[(i - begin) * kColumns], &directions[k * d + from], width));
    }
    for (size_t s = 0; s < sums.size(); ++s) out[begin * count + s] = static_cast<float>(sums[s]);
  });
}

// directions = projections^T * centred rows
void combine(const Rows& rows, const std::vector<size_t>& which, const std::vector<float>& projections, size_t count,
             std::vector<float>& directions, ThreadPool& pool, const Control& control) {
  const size_t d = rows.x.cols;
  constexpr size_t kFew = 256;
  pool.for_blocks(d, kFew, [&](unsigned, size_t from, size_t end) {
    control.check();
    std::vector<float> part(kFew);
    for (size_t k = 0; k < count; ++k) std::fill_n(&directions[k * d + from], end - from, 0.0F);
    for (size_t i = 0; i < which.size(); ++i) {
      rows.read(which[i], from, end - from, part.data());
      for (size_t k = 0; k < count; ++k) {
        const float weight = projections[i * count + k];
        float* direction = &directions[k * d + from];
        for (size_t j = 0; j < end - from; ++j) direction[j] += weight * part[j];
      }
    }
  });
}

// Gram and Schmidt's method, twice; a direction of which only rounding is left becomes 0.
void orthonormalise(std::vector<float>& directions, size_t count, size_t d, ThreadPool& pool) {
  std::vector<double> along(count);
  for (size_t k = 0; k < count; ++k) {
    float* v = &directions[k * d];
    const double before = std::sqrt(strategies::product(v, v, d));
    for (int pass = 0; pass < 2; ++pass) {
      pool.for_blocks(k, 1,
                      [&](unsigned, size_t q, size_t) { along[q] = strategies::product(v, &directions[q * d], d); });
      for (size_t q = 0; q < k; ++q) {
        const auto share = static_cast<float>(along[q]);
        for (size_t j = 0; j < d; ++j) v[j] -= share * directions[q * d + j];
      }
    }
    const double length = std::sqrt(strategies::product(v, v, d));
    const auto scale = static_cast<float>(length > kNothing * before && length > 0 ? 1 / length : 0);
    for (size_t j = 0; j < d; ++j) v[j] *= scale;
  }
}

}  // namespace

void add_noise(std::vector<float>& points, size_t dims, float scale, uint64_t seed) {
  for (size_t i = 0; i < points.size() / dims; ++i) {
    objectives::Words words(seed, i);
    for (size_t c = 0; c < dims; ++c) points[i * dims + c] += scale * normal(words);
  }
}

std::vector<float> principal_start(const Matrix& x, size_t dims, uint64_t seed, ThreadPool& pool,
                                   const Control& control) {
  const std::vector<double> mean = strategies::mean_of(x, pool, control);
  const Rows rows = {x, mean};
  const size_t n = x.rows, d = x.cols, sampled = std::min(n, kSampleRows);
  const size_t count = std::min({dims, n - 1, d, kStartComponents, std::max<size_t>(2, kDirectionValues / d)});
  std::vector<size_t> sample(sampled), all(n);
  for (size_t i = 0; i < sampled; ++i) sample[i] = i * n / sampled;
  for (size_t i = 0; i < n; ++i) all[i] = i;

  std::vector<float> directions(count * d), projections(sampled * count);
  add_noise(directions, d, 1, seed);
  orthonormalise(directions, count, d, pool);
  for (int round = 0; round < kRounds; ++round) {
    project(rows, sample, directions, count, projections.data(), pool, control);
    combine(rows, sample, projections, count, directions, pool, control);
    orthonormalise(directions, count, d, pool);
  }
  std::vector<float> coordinates(n * count);
  project(rows, all, directions, count, coordinates.data(), pool, control);
  float largest = 0;
  for (const float value : coordinates) largest = std::max(largest, std::fabs(value));
  const float scale = largest > 0 ? 10 / largest : 0;
  std::vector<float> points(n * dims);
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < count; ++k) points[i * dims + k] = coordinates[i * count + k] * scale;
  add_noise(points, dims, 1e-4F, seed + 1);
  return points;
}

}  // namespace coregain::reduce
