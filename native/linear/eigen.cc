#include "linear/eigen.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>

#include "core/error.h"
#include "linear/divide.h"
#include "linear/ql.h"
#include "linear/tridiagonal.h"

namespace coregain::linear {
namespace {

// The largest magnitude of the upper triangle. As bits, what is not finite is larger than all that is.
double largest(const Buffer<double>& a, size_t n) {
  uint64_t most = 0;
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i; j < n; ++j) most = std::max(most, std::bit_cast<uint64_t>(std::fabs(a[i * n + j])));
  return std::bit_cast<double>(most);
}

}  // namespace

Eigen eigen(Buffer<double>& a, size_t n, size_t count, ThreadPool& pool, const Control& control,
            const DoublesKernel& kernel) {
  const double size = largest(a, n);
  if (!std::isfinite(size))
    throw Error("ERR_EIGEN", "The eigenvalues of a matrix with a NaN or an infinity are asked.");
  // Powers of two scale without rounding.
  int exponent = 0;
  std::frexp(size, &exponent);
  const double scale = std::ldexp(1.0, std::min(-exponent, 1023));
  for (size_t i = 0; i < n; ++i)
    for (size_t j = i; j < n; ++j) a[i * n + j] *= scale;

  const Solvers with = {pool, control, kernel, gemm64_kernel(kernel.name)};
  Tridiagonal t = tridiagonal(a, n, with);
  Eigen out;
  if (count == 0) {
    ql(t.diagonal.data(), t.beside.data(), n, nullptr, 0);
    std::sort(t.diagonal.begin(), t.diagonal.end(), std::greater<>());
    out.values = std::move(t.diagonal);
  } else {
    out = divide(std::move(t), count, with);
    turn_back(a, n, out.vectors.data(), count, with);
  }
  for (double& value : out.values) value /= scale;
  return out;
}

}  // namespace coregain::linear
