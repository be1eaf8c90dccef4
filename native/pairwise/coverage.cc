// Facility-location gains: each block of similarities is summed where it is made.
#include <algorithm>

#include "kernels/pairs.h"
#include "pairwise/kernels.h"

namespace coregain::pairwise {

Gains coverage_gains(const Points& points, const Chosen& candidates, const float* reached, Control& control) {
  constexpr double kLoose = 1 + 0x1p-20;
  const size_t n = points.rows(), m = candidates.count, blocks = (n + kProductRows - 1) / kProductRows;
  Gains out{std::vector<double>(m), std::vector<double>(m)};
  Length all;  // summed over the rows
  for (size_t v = 0; v < n; ++v) {
    all.radius += points.left(v).radius;
    all.residual += points.left(v).residual;
  }
  // s is at most 1 and a sum of n of them is float64
  const double rounding = static_cast<double>(n) * (static_cast<double>(n) + 8) * 0x1p-52;
  for (size_t c = 0; c < m; ++c) {
    const Length side = points.right(candidates[c]);
    const double underflow = static_cast<double>(n) * static_cast<double>(points.cols()) * kUnderflow;
    out.errors[c] = (points.error(all, side) / 2 + rounding + underflow) * kLoose;
  }
  if (points.device() != nullptr) {
    CudaFailure failure;
    check_device(points.library().points_coverage(points.device(), candidates.list, static_cast<int64_t>(m), reached,
                                                  out.values.data(), control.words(), &failure),
                 failure, control);
    return out;
  }
  const PairsKernel& kernel = pairs_kernel(points.simd());
  std::vector<double> partial(blocks * std::min(m, kProductColumns));
  for (size_t first = 0; first < m; first += kProductColumns) {
    const size_t width = std::min(kProductColumns, m - first);
    // a candidate list of null is all rows
    std::vector<int32_t> group(width);
    for (size_t c = 0; c < width; ++c) group[c] = static_cast<int32_t>(candidates[first + c]);
    products(points, all_of(points), {group.data(), width}, control,
             [&](size_t first_row, size_t count, size_t, size_t cols, const double* block, size_t stride) {
               double* const sums = partial.data() + first_row / kProductRows * width;
               std::fill_n(sums, cols, 0.0);
               for (size_t i = 0; i < count; ++i)
                 kernel.rise(block + i * stride, static_cast<double>(reached[first_row + i]), cols, sums);
             });
    for (size_t b = 0; b < blocks; ++b)
      for (size_t c = 0; c < width; ++c) out.values[first + c] += partial[b * width + c];
  }
  return out;
}

}  // namespace coregain::pairwise
