// Float64 arithmetic on rows of a matrix, in one order of operations: the same bits on every machine.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct DoublesKernel {
  static constexpr size_t kSlab = 32;  // columns that `rotate` takes

  const char* name;
  // sum_j a[j] * b[j]: sixteen sums side by side, added two by two
  double (*dot)(const double* a, const double* b, size_t n);
  // a[j] -= s[0] * x[0][j] + s[1] * x[1][j] + s[2] * x[2][j] + s[3] * x[3][j]
  void (*subtract)(double* a, const double* const* x, const double* s, size_t n);
  // y[j] = x[j] - shift[j] (null = 0): sum[j] += y[j], squares[j] += y[j] * y[j] and out[j] = y[j], where these are not
  // null
  void (*add_floats)(const float* x, const double* shift, size_t n, double* sum, double* squares, float* out);
  void (*add_doubles)(const double* x, const double* shift, size_t n, double* sum, double* squares, double* out);
  // Rotations of neighbouring rows of [.., kSlab], from row `last` + 1 down: rotation r takes rows last - r and last -
  // r + 1, (x, y) becomes (c x - s y, s x + c y). cs holds c and s of each.
  void (*rotate)(double* rows, size_t stride, size_t last, const double* cs, size_t count);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const DoublesKernel& doubles_kernel(const std::string& level);

}  // namespace coregain
