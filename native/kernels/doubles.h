// Float64 arithmetic on rows of a matrix, in one order of operations: the same bits on every machine.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct DoublesKernel {
  static constexpr size_t kRows = 8;  // rows that `both_ways` takes

  const char* name;
  // sum_j a[j] * b[j]: sixteen sums side by side, added two by two
  double (*dot)(const double* a, const double* b, size_t n);
  // out[i] = that sum of x[i][j] * v[j], i < 4
  void (*dots)(const double* const* x, const double* v, size_t n, double* out);
  // Rows of a [kRows, n] times v, and s times the rows: sums[i] += sum_j a[i * stride + j] * v[j], eight sums side by
  // side, added two by two; out[j] += sum_i s[i] * a[i * stride + j]. What is read once serves both.
  void (*both_ways)(const double* a, size_t stride, const double* v, const double* s, size_t n, double* sums,
                    double* out);
  // With q[j] = z[j] / ((d[j] - origin) - tau): out[0] = sum_j z[j] q[j], out[1] = sum_j q[j]^2; sums as of `dot`
  void (*poles)(const double* d, const double* z, double origin, double tau, size_t n, double* out);
  // a[j] -= s[0] * x[0][j] + s[1] * x[1][j] + s[2] * x[2][j] + s[3] * x[3][j]
  void (*subtract)(double* a, const double* const* x, const double* s, size_t n);
  // y[j] = x[j] - shift[j] (null = 0): sum[j] += y[j], squares[j] += y[j] * y[j] and out[j] = y[j], where these are not
  // null
  void (*add_floats)(const float* x, const double* shift, size_t n, double* sum, double* squares, float* out);
  void (*add_doubles)(const double* x, const double* shift, size_t n, double* sum, double* squares, double* out);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const DoublesKernel& doubles_kernel(const std::string& level);

}  // namespace coregain
