// The gains of docs/gain.md for a state that is given: one product of all rows with one vector.
#include <cmath>

#include "core/error.h"
#include "pairwise/kernels.h"

namespace coregain::pairwise {
namespace {

constexpr double kLoose = 1 + 0x1p-20;
constexpr size_t kBlock = 1024;  // rows that are summed one after the other

// sum over the rows of y, |y|^2 and |y|; in an order that does not depend on the threads.
struct Sum {
  std::vector<double> y;
  double square = 0, radius = 0;
};
Sum sum_of(const Points& points, const Chosen& rows, const Control& control) {
  const size_t d = points.cols(), blocks = (rows.count + kBlock - 1) / kBlock;
  std::vector<Sum> parts(blocks);
  points.pool().for_blocks(rows.count, kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    Sum& part = parts[begin / kBlock];
    part.y.assign(d, 0);
    for (size_t i = begin; i < end; ++i) {
      const size_t row = rows[i];
      for (size_t j = 0; j < d; ++j) part.y[j] += points.y(row, j);
      part.square += points.square(row);
      part.radius += points.left(row).radius;
    }
  });
  Sum out;
  out.y.assign(d, 0);
  for (const Sum& part : parts) {
    for (size_t j = 0; j < d; ++j) out.y[j] += part.y[j];
    out.square += part.square;
    out.radius += part.radius;
  }
  return out;
}

}  // namespace

Gains gains(const Points& points, const Chosen& chosen, const Chosen& members, bool cosine, const Control& control) {
  const size_t n = points.rows(), d = points.cols();
  const Sum s = sum_of(points, chosen, control), t = sum_of(points, members, control);
  // w = 2 sum over S of y - sum over D of y
  std::vector<double> w(d);
  for (size_t j = 0; j < d; ++j) w[j] = 2 * s.y[j] - t.y[j];
  const VectorProducts products = vector_products(points, w, control);
  const auto m = static_cast<double>(members.count), k = static_cast<double>(chosen.count);
  const double a = 2 * k - m, constant = 2 * s.square - t.square;
  // Every sum is of at most d + |D| terms in float64, and no exact partial sum exceeds the sum of the magnitudes.
  const double rounding = (m + k + static_cast<double>(d) + 32) * 0x1p-52;
  Gains out{std::vector<double>(n), std::vector<double>(n)};
  for (size_t i = 0; i < n; ++i) {
    const double r = points.left(i).radius;
    const double magnitudes = (m + 2 * k) * r * r + 2 * r * (2 * s.radius + t.radius) + 2 * s.square + t.square;
    if (cosine) {
      out.values[i] = -a / 2 - products.values[i] / 2;
      out.errors[i] = (products.errors[i] / 2 + rounding * (m + 2 * k + magnitudes)) * kLoose;
    } else {
      out.values[i] = a * points.square(i) - 2 * products.values[i] + constant;
      out.errors[i] = (2 * products.errors[i] + rounding * magnitudes) * kLoose;
    }
  }
  return out;
}

}  // namespace coregain::pairwise
