#include "greedy/int8_rows.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace coregain {
namespace {

constexpr double kUp = 1 + 0x1p-20;         // more than the roundings of a norm, or of a conversion to float
constexpr double kKernel = 0x1p-21;         // Int8Kernel's error and one more float32 rounding, per |row| |vector|
constexpr double kSampledRows = 4096;
constexpr double kSmallestSpread = 0x1p-14;  // of the largest

// To the nearest integer, |value| < 2^51: what std::rint does, where the compiler can vectorise it.
inline double nearest(double value) {
  constexpr double kMagic = 0x1.8p52;
  return value + kMagic - kMagic;
}

float up(double value) {
  return static_cast<float>(value * kUp) + 0x1p-140F;
}

}  // namespace

Int8Rows::Int8Rows(const Points& p, ThreadPool& pool, const Control& control)
    : points(p),
      row(p.first),
      stride((p.d + Int8Kernel::kStride - 1) / Int8Kernel::kStride * Int8Kernel::kStride),
      spread(p.d),
      values((p.first.size() + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows * stride),
      scale(p.first.size()),
      residual(p.first.size()),
      magnitude(p.first.size()) {
  const size_t slots = p.first.size(), d = p.d;
  // root mean square of every column over some rows
  std::vector<double> scratch(d);
  const auto step = std::max<size_t>(1, static_cast<size_t>(static_cast<double>(slots) / kSampledRows));
  for (size_t slot = 0; slot < slots; slot += step) {
    p.y(static_cast<size_t>(p.first[slot]), scratch.data());
    for (size_t j = 0; j < d; ++j) spread[j] += scratch[j] * scratch[j];
  }
  const double largest = *std::max_element(spread.begin(), spread.end());
  for (double& square : spread) {
    const double share = largest > 0 ? std::sqrt(square / largest) : 1;
    square = std::exp2(std::rint(std::log2(std::max(share, kSmallestSpread))));
  }

  std::vector<double> narrow(spread);
  for (double& inverse : narrow) inverse = 1 / inverse;  // exact: powers of two
  pool.for_blocks(slots, std::max<size_t>(16, 65536 / d), [&](unsigned, size_t begin, size_t end) {
    control.check();
    std::vector<double> y(d);
    for (size_t slot = begin; slot < end; ++slot) {
      p.y(static_cast<size_t>(p.first[slot]), y.data());
      int8_t* to = values.data() + slot * stride;
      double top = 0;
      for (size_t j = 0; j < d; ++j) {
        y[j] *= narrow[j];
        top = std::max(top, std::abs(y[j]));
      }
      const float s = static_cast<float>(top / 127 * kUp);
      const double inverse = s > 1e-30F ? 1 / static_cast<double>(s) : 0;
      double rest = 0, kept = 0, all = 0;
      for (size_t j = 0; j < d; ++j) {
        const double integer = nearest(y[j] * inverse);
        const double error = y[j] - integer * static_cast<double>(s);
        to[j] = static_cast<int8_t>(integer);
        rest += error * error;
        kept += integer * integer;
        all += y[j] * y[j];
      }
      std::memset(to + d, 0, stride - d);
      scale[slot] = inverse > 0 ? s : 0;
      residual[slot] = up(std::sqrt(rest) + 0x1p-45 * std::sqrt(all));
      magnitude[slot] = up(std::sqrt(kept) * static_cast<double>(s));
    }
  });
  // rows that a kernel may read but that nobody asks for
  const size_t padded = (slots + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows;
  std::memset(values.data() + slots * stride, 0, (padded - slots) * stride);
}

double Int8Rows::length(const double* v) const {
  double square = 0;
  for (size_t j = 0; j < points.d; ++j) square += (v[j] * spread[j]) * (v[j] * spread[j]);
  return std::sqrt(square) * kUp;
}

Int16Form Int8Rows::quantise(const double* v, int16_t* out) const {
  const size_t d = points.d;
  double top = 0, square = 0;
  for (size_t j = 0; j < d; ++j) {
    const double t = v[j] * spread[j];
    top = std::max(top, std::abs(t));
    square += t * t;
  }
  Int16Form form;
  form.length = std::sqrt(square) * kUp;
  const double inverse = top > 1e-290 ? 32767 * (1 - 0x1p-40) / top : 0;
  form.scale = inverse > 0 ? 1 / inverse : 0;
  double rest = 0;
  for (size_t j = 0; j < d; ++j) {
    const double t = v[j] * spread[j];
    const double integer = nearest(t * inverse);
    const double error = t - integer * form.scale;
    out[j] = static_cast<int16_t>(integer);
    rest += error * error;
  }
  std::fill(out + d, out + stride, int16_t{0});
  form.error = (std::sqrt(rest) + (0x1p-45 + kKernel) * 2 * form.length) * kUp;
  return form;
}

Int16Form Int8Rows::quantise_row(size_t row, double* scratch, int16_t* out) const {
  points.y(row, scratch);
  return quantise(scratch, out);
}

void Int8Rows::move(size_t from, size_t to) {
  if (from == to) return;
  std::memcpy(values.data() + to * stride, q(from), stride);
  row[to] = row[from];
  scale[to] = scale[from];
  residual[to] = residual[from];
  magnitude[to] = magnitude[from];
}

}  // namespace coregain
