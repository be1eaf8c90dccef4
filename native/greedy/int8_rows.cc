#include "greedy/int8_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace coregain {
namespace {

constexpr double kUp = 1 + 0x1p-20;  // more than the roundings of a norm, one more to spare
constexpr double kKernel = 0x1p-21;  // Int8Kernel's error and one more float32 rounding, per |row| |vector|
// What kernels may read at a time: Int8Kernel::kRows, ScoresKernel::kBlock.
constexpr size_t kPadding = 32;
constexpr size_t kSampledRows = 4096;
constexpr double kSmallestSpread = 0x1p-14;  // of the largest

}  // namespace

void Int8Rows::reserve(size_t rows) {
  const size_t padded = (rows + kPadding - 1) / kPadding * kPadding;
  row.resize(rows);
  if (scale.size() < padded) {
    // the old memory goes first
    values = Buffer<int8_t>();
    values = Buffer<int8_t>(padded * stride);
    scale = Buffer<float>(padded);
    residual = Buffer<float>(padded);
    magnitude = Buffer<float>(padded);
  }
  // rows that a kernel may read but that nobody asks for
  std::memset(values.data() + rows * stride, 0, (padded - rows) * stride);
}

void Int8Rows::gather(const Int8Rows& from, const std::vector<int32_t>& list, ThreadPool& pool) {
  stride = from.stride;
  reserve(list.size());
  const auto copy = [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const auto at = static_cast<size_t>(list[i]);
      std::memcpy(values.data() + i * stride, from.q(at), stride);
      row[i] = from.row[at];
      scale[i] = from.scale[at];
      residual[i] = from.residual[at];
      magnitude[i] = from.magnitude[at];
    }
  };
  if (list.size() < 512)
    copy(0, 0, list.size());
  else
    pool.for_blocks(list.size(), 256, copy);
}

void Int8Rows::move(size_t from, size_t to) {
  if (from == to) return;
  std::memcpy(values.data() + to * stride, q(from), stride);
  row[to] = row[from];
  scale[to] = scale[from];
  residual[to] = residual[from];
  magnitude[to] = magnitude[from];
}

Quantiser::Quantiser(const Points& points, const VectorsKernel& vectors)
    : points_(points),
      vectors_(vectors),
      stride_((points.d + Int8Kernel::kStride - 1) / Int8Kernel::kStride * Int8Kernel::kStride),
      spread_(points.d) {
  // root mean square of every column over some rows
  std::vector<double> y(points.d);
  const size_t step = std::max<size_t>(1, points.first.size() / kSampledRows);
  for (size_t i = 0; i < points.first.size(); i += step) {
    points.y(static_cast<size_t>(points.first[i]), y.data());
    for (size_t j = 0; j < points.d; ++j) spread_[j] += y[j] * y[j];
  }
  const double largest = *std::max_element(spread_.begin(), spread_.end());
  for (double& square : spread_) {
    const double share = largest > 0 ? std::sqrt(square / largest) : 1;
    square = std::exp2(std::rint(std::log2(std::max(share, kSmallestSpread))));
  }
}

Int8Rows Quantiser::rows(ThreadPool& pool, const Control& control) const {
  const size_t d = points_.d, n = points_.first.size();
  Int8Rows out;
  out.stride = stride_;
  out.reserve(n);
  std::vector<double> narrow(spread_);
  for (double& inverse : narrow) inverse = 1 / inverse;  // exact: powers of two
  pool.for_blocks(n, std::max<size_t>(16, 65536 / d), [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<double> y(d);
    for (size_t i = begin; i < end; ++i) {
      out.row[i] = points_.first[i];
      points_.y(static_cast<size_t>(out.row[i]), y.data());
      int8_t* to = out.values.data() + i * stride_;
      double square = 0, kept = 0;
      const double top = vectors_.largest(y.data(), narrow.data(), d, &square);
      const float s = static_cast<float>(top / 127 * kUp);
      const double inverse = s > 1e-30F ? 1 / static_cast<double>(s) : 0;
      const double rest = vectors_.round8(y.data(), narrow.data(), inverse, static_cast<double>(s), d, to, &kept);
      std::memset(to + d, 0, stride_ - d);
      out.scale[i] = inverse > 0 ? s : 0;
      out.residual[i] = float_above(std::sqrt(rest) + 0x1p-45 * std::sqrt(square));
      out.magnitude[i] = float_above(std::sqrt(kept) * static_cast<double>(s));
    }
  });
  return out;
}

Int16Form Quantiser::quantise(const double* v, int16_t* out) const {
  const size_t d = points_.d;
  double square = 0;
  const double top = vectors_.largest(v, spread_.data(), d, &square);
  Int16Form form;
  form.length = std::sqrt(square) * kUp;
  const double inverse = top > 1e-290 ? 32767 * (1 - 0x1p-40) / top : 0;
  form.scale = inverse > 0 ? 1 / inverse : 0;
  const double rest = vectors_.round16(v, spread_.data(), inverse, form.scale, d, out);
  std::fill(out + d, out + stride_, int16_t{0});
  form.error = (std::sqrt(rest) + (0x1p-45 + kKernel) * 2 * form.length) * kUp;
  return form;
}

Int16Form Quantiser::quantise_row(size_t row, double* scratch, int16_t* out) const {
  points_.y(row, scratch);
  return quantise(scratch, out);
}

}  // namespace coregain
