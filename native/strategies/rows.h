// What the strategies compute on: float32 rows, centred, so that one definition of every distance holds on all
// machines.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "kernels/dot.h"

namespace coregain::strategies {

// y_i = float32(x_i - mean), mean in float64 over the rows in order. Inner products of y are defined in float64, four
// sums side by side; float32 ones only rule out what they can.
class Rows {
 public:
  // Throws Error ERR_NOT_FINITE (with the first row that has a NaN or an infinity), ERR_RANGE where y leaves float32,
  // ERR_CANCELLED.
  Rows(const Matrix& x, ThreadPool& pool, const Control& control, const std::string& simd);

  const float* row(size_t i) const { return y_.data() + i * stride_; }
  // |y_i|^2
  double square(size_t i) const { return squares_[i]; }
  // y_i.v, v [d padded with zeros to `stride`]
  double product(size_t i, const float* v) const;
  // The same in float32 of up to four rows: off by at most error() |y| |v|.
  void products(const size_t* rows, size_t count, const float* v, double* out) const;
  double error() const { return error_; }
  size_t stride() const { return stride_; }

  const size_t n, d;
  std::vector<double> mean;

 private:
  const DotKernel& kernel_;
  size_t stride_;
  double error_;
  Buffer<float> y_;
  std::vector<double> squares_;
};

// Mean of the rows: float64 sums of blocks of 1024 rows, added in their order. Throws Error ERR_NOT_FINITE,
// ERR_CANCELLED.
std::vector<double> mean_of(const Matrix& x, ThreadPool& pool, const Control& control);

// One definition of an inner product of float32 vectors: float64, four sums side by side.
double product(const float* a, const float* b, size_t d);

}  // namespace coregain::strategies
