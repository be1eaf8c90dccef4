// Squared distances from inner products: |a - b|^2 = |a|^2 + |b|^2 - 2 a.b.
#include <algorithm>

#include "kernels/pairs.h"
#include "pairwise/errors.h"
#include "pairwise/kernels.h"

namespace coregain::pairwise {
namespace {

std::vector<double> squares_of(const Points& points, const Chosen& rows) {
  std::vector<double> out(rows.count);
  for (size_t r = 0; r < rows.count; ++r) out[r] = points.square(rows[r]);
  return out;
}

}  // namespace

Length worst(const Points& points, const Chosen& rows) {
  Length out;
  for (size_t r = 0; r < rows.count; ++r) {
    const Length side = points.right(rows[r]);
    out.radius = std::max(out.radius, side.radius);
    out.residual = std::max(out.residual, side.residual);
  }
  return out;
}

double distance_error(const Points& points, size_t row, const Length& other) {
  const Length side = points.left(row);
  const double most = (side.radius + other.radius) * (side.radius + other.radius);
  const double rounding = 0x1p-24 + (static_cast<double>(points.cols()) + 16) * 0x1p-52;
  constexpr double kLoose = 1 + 0x1p-20;
  return (2 * points.error(side, other) + rounding * most) * kLoose + 0x1p-149;
}

void distances(const Points& points, const Chosen& queries, const Chosen& rows, float* out, double* errors,
               Control& control) {
  const Length other = worst(points, rows);
  for (size_t q = 0; q < queries.count; ++q) errors[q] = distance_error(points, queries[q], other);
  if (points.device() != nullptr) {
    CudaFailure failure;
    check_device(
        points.library().points_distances(points.device(), queries.list, static_cast<int64_t>(queries.count), rows.list,
                                          static_cast<int64_t>(rows.count), out, control.words(), &failure),
        failure, control);
    return;
  }
  const PairsKernel& kernel = pairs_kernel(points.simd());
  const std::vector<double> squares = squares_of(points, rows);
  products(points, queries, rows, control,
           [&](size_t first_row, size_t count, size_t first_col, size_t cols, const double* block, size_t stride) {
             for (size_t i = 0; i < count; ++i)
               kernel.distances(block + i * stride, points.square(queries[first_row + i]), &squares[first_col], cols,
                                out + (first_row + i) * rows.count + first_col);
           });
}

size_t update_centres(const Points& points, const Chosen& centres, float* nearest, double* errors, Control& control) {
  const Length other = worst(points, centres);
  for (size_t i = 0; i < points.rows(); ++i) errors[i] = distance_error(points, i, other);
  if (points.device() != nullptr) {
    CudaFailure failure;
    check_device(points.library().points_centres(points.device(), centres.list, static_cast<int64_t>(centres.count),
                                                 nearest, control.words(), &failure),
                 failure, control);
  } else {
    const PairsKernel& kernel = pairs_kernel(points.simd());
    const std::vector<double> squares = squares_of(points, centres);
    products(points, all_of(points), centres, control,
             [&](size_t first_row, size_t count, size_t first_col, size_t cols, const double* block, size_t stride) {
               for (size_t i = 0; i < count; ++i) {
                 const double least = kernel.least(block + i * stride, &squares[first_col], cols);
                 float& to = nearest[first_row + i];
                 to = std::min(to, static_cast<float>(std::max(0.0, points.square(first_row + i) + least)));
               }
             });
  }
  return static_cast<size_t>(std::max_element(nearest, nearest + points.rows()) - nearest);
}

}  // namespace coregain::pairwise
