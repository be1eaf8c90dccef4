// The gains of docs/gain.md for a state that is given: one product of all rows with one vector.
#include <cmath>

#include "core/error.h"
#include "kernels/doubles.h"
#include "pairwise/kernels.h"

namespace coregain::pairwise {
namespace {

constexpr double kLoose = 1 + 0x1p-20;
constexpr size_t kBlock = 1024;  // rows that a thread takes at a time

void add(const RowSum& part, RowSum& to) {
  for (size_t j = 0; j < part.y.size(); ++j) to.y[j] += part.y[j];
  to.square += part.square;
  to.radius += part.radius;
  to.count += part.count;
}

}  // namespace

RowSum sum_rows(const Points& points, const Chosen& rows, const Control& control) {
  const size_t d = points.cols(), blocks = (rows.count + kBlock - 1) / kBlock;
  const Matrix& x = points.x();
  const DoublesKernel& kernel = doubles_kernel(points.simd());
  std::vector<RowSum> parts(blocks);
  points.pool().for_blocks(rows.count, kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    RowSum& part = parts[begin / kBlock];
    part.y.assign(d, 0);
    part.count = end - begin;
    for (size_t i = begin; i < end; ++i) {
      const size_t row = rows[i];
      if (x.is_double)
        kernel.add_doubles(x.f64(row), points.origin().data(), d, part.y.data(), nullptr, nullptr);
      else
        kernel.add_floats(x.f32(row), points.origin().data(), d, part.y.data(), nullptr, nullptr);
      part.square += points.square(row);
      part.radius += points.left(row).radius;
    }
  });
  RowSum out;
  out.y.assign(d, 0);
  for (const RowSum& part : parts) add(part, out);
  return out;
}

RowSum sum_rows(const Points& points, const Chosen& rows, const RowSum& onto, const Control& control) {
  RowSum out = onto;
  add(sum_rows(points, rows, control), out);
  return out;
}

Gains gains(const Points& points, const RowSum& chosen, const RowSum& members, bool cosine, const Control& control) {
  const size_t n = points.rows(), d = points.cols();
  // w = 2 sum over S of y - sum over D of y
  std::vector<double> w(d);
  for (size_t j = 0; j < d; ++j) w[j] = 2 * chosen.y[j] - members.y[j];
  const VectorProducts products = vector_products(points, w, control);
  const auto m = static_cast<double>(members.count), k = static_cast<double>(chosen.count);
  const double a = 2 * k - m, constant = 2 * chosen.square - members.square;
  // Every sum is of at most d + |D| terms in float64, and no exact partial sum exceeds the sum of the magnitudes.
  const double rounding = (m + k + static_cast<double>(d) + 32) * 0x1p-52;
  Gains out{std::vector<double>(n), std::vector<double>(n)};
  points.pool().for_blocks(n, kBlock, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const double r = points.left(i).radius;
      const double magnitudes =
          (m + 2 * k) * r * r + 2 * r * (2 * chosen.radius + members.radius) + 2 * chosen.square + members.square;
      if (cosine) {
        out.values[i] = -a / 2 - products.values[i] / 2;
        out.errors[i] = (products.errors[i] / 2 + rounding * (m + 2 * k + magnitudes)) * kLoose;
      } else {
        out.values[i] = a * points.square(i) - 2 * products.values[i] + constant;
        out.errors[i] = (2 * products.errors[i] + rounding * magnitudes) * kLoose;
      }
    }
  });
  return out;
}

}  // namespace coregain::pairwise
