#include "strategies/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace coregain::strategies {
namespace {

constexpr size_t kBlock = 1024;

double value(const Matrix& x, size_t i, size_t j) {
  return x.is_double ? x.f64(i)[j] : static_cast<double>(x.f32(i)[j]);
}

}  // namespace

double product(const float* a, const float* b, size_t d) {
  double sum[4] = {};
  size_t j = 0;
  for (; j + 4 <= d; j += 4)
    for (size_t k = 0; k < 4; ++k) sum[k] += static_cast<double>(a[j + k]) * static_cast<double>(b[j + k]);
  for (; j < d; ++j) sum[0] += static_cast<double>(a[j]) * static_cast<double>(b[j]);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

std::vector<double> mean_of(const Matrix& x, ThreadPool& pool, const Control& control) {
  const size_t n = x.rows, d = x.cols;
  // sums of blocks of rows, added in their order
  const size_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<std::vector<double>> sums(blocks);
  std::vector<size_t> bad(pool.size(), n);
  pool.for_blocks(n, kBlock, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    std::vector<double>& sum = sums[begin / kBlock];
    sum.assign(d, 0);
    for (size_t i = begin; i < end; ++i) {
      for (size_t j = 0; j < d; ++j) {
        const double v = value(x, i, j);
        if (!std::isfinite(v)) bad[t] = std::min(bad[t], i);
        sum[j] += v;
      }
    }
  });
  const size_t row = *std::min_element(bad.begin(), bad.end());
  if (row < n)
    throw Error("ERR_NOT_FINITE",
                "Row " + std::to_string(row) +
                    " has a value that is not finite. Every value must be: remove the row or compute it again.",
                static_cast<int64_t>(row));
  std::vector<double> mean(d);
  for (const std::vector<double>& sum : sums)
    for (size_t j = 0; j < d; ++j) mean[j] += sum[j];
  for (double& m : mean) m /= static_cast<double>(n);
  return mean;
}

Rows::Rows(const Matrix& x, ThreadPool& pool, const Control& control, const std::string& simd)
    : n(x.rows),
      d(x.cols),
      mean(mean_of(x, pool, control)),
      kernel_(dot_kernel(simd)),
      stride_(kernel_.padded(x.cols)),
      y_(x.rows * stride_),
      squares_(x.rows) {
  const double rounded = kernel_.roundings(d) * 0x1p-24;
  error_ = rounded / (1 - rounded) * (1 + 0x1p-20);

  std::vector<size_t> bad(pool.size(), n);
  pool.for_blocks(n, kBlock, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    for (size_t i = begin; i < end; ++i) {
      float* y = y_.data() + i * stride_;
      for (size_t j = 0; j < d; ++j) y[j] = static_cast<float>(value(x, i, j) - mean[j]);
      std::fill(y + d, y + stride_, 0.0F);
      squares_[i] = strategies::product(y, y, d);
      if (!(squares_[i] <= 1e37)) bad[t] = std::min(bad[t], i);  // float32 products must not overflow
    }
  });
  const size_t far = *std::min_element(bad.begin(), bad.end());
  if (far < n)
    throw Error("ERR_RANGE",
                "Row " + std::to_string(far) +
                    " is farther than 3e18 from the mean, more than float32 distances can hold. Scale the embeddings.",
                static_cast<int64_t>(far));
}

double Rows::product(size_t i, const float* v) const {
  return strategies::product(row(i), v, d);
}

void Rows::products(const size_t* rows, size_t count, const float* v, double* out) const {
  const float* pointers[DotKernel::kRows];
  for (size_t r = 0; r < DotKernel::kRows; ++r) pointers[r] = row(rows[std::min(r, count - 1)]);
  double all[DotKernel::kRows];
  kernel_.dot(pointers, v, d, all);
  std::copy_n(all, count, out);
}

}  // namespace coregain::strategies
