// Mean and spread of the columns of a matrix that comes block by block.
#pragma once

#include <cstddef>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "kernels/doubles.h"

namespace coregain::reduce {

class Moments {
 public:
  // About zero instead of the mean: for rows that are centred already, or together.
  Moments(size_t cols, bool about_zero) : about_zero_(about_zero), sum_(cols, 0), squares_(cols, 0) {}

  // Blocks in the order of their rows. Throws Error ERR_NOT_FINITE or ERR_PCA_OVERFLOW with the row of the
  // block, ERR_CANCELLED.
  void add(const Matrix& block, bool overwrite, ThreadPool& pool, const Control& control, const DoublesKernel& kernel);

  size_t rows() const { return rows_; }
  // Mean of the first block, [cols]: what is subtracted before anything is summed or rounded to float32, so that a
  // common mean costs no digits.
  const std::vector<double>& shift() const { return shift_; }
  // Mean of all rows less the shift.
  double drift(size_t col) const { return about_zero_ ? 0 : sum_[col] / static_cast<double>(rows_); }
  std::vector<double> mean() const;
  // Sum over rows and columns of (x - mean)^2.
  double scatter() const;

 private:
  bool about_zero_;
  size_t rows_ = 0;
  std::vector<double> shift_, sum_, squares_;
};

}  // namespace coregain::reduce
