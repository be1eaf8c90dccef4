#include "reduce/moments.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace coregain::reduce {
namespace {

constexpr double kMostSquares = 1e34;  // of a column: its float32 products stay finite
constexpr size_t kColumns = 512;       // of a thread: their sums stay in the first cache

double element(const Matrix& x, size_t row, size_t col) {
  return x.is_double ? x.f64(row)[col] : static_cast<double>(x.f32(row)[col]);
}

}  // namespace

void Moments::add(const Matrix& block, bool overwrite, ThreadPool& pool, const Control& control,
                  const DoublesKernel& kernel) {
  const size_t cols = sum_.size();
  const bool first = rows_ == 0;
  if (first) shift_.assign(cols, 0);
  const auto sum_up = [&](size_t begin, size_t count, const double* shift, double* sum, double* squares, bool centre) {
    for (size_t i = 0; i < block.rows; ++i) {
      if (block.is_double) {
        const double* const x = block.f64(i) + begin;
        kernel.add_doubles(x, shift, count, sum, squares, centre ? const_cast<double*>(x) : nullptr);
      } else {
        const float* const x = block.f32(i) + begin;
        kernel.add_floats(x, shift, count, sum, squares, centre ? const_cast<float*>(x) : nullptr);
      }
    }
  };
  pool.for_blocks(cols, kColumns, [&](unsigned, size_t begin, size_t end) {
    control.check();
    bool finite = true;
    if (first && !about_zero_) {
      sum_up(begin, end - begin, nullptr, &shift_[begin], nullptr, false);
      for (size_t j = begin; j < end; ++j) finite &= std::isfinite(shift_[j] /= static_cast<double>(block.rows));
    }
    // a mean that is not finite would hide which row is to blame
    sum_up(begin, end - begin, &shift_[begin], &sum_[begin], &squares_[begin], overwrite && finite);
  });
  for (size_t j = 0; j < cols; ++j) {
    if (squares_[j] < kMostSquares) continue;
    for (size_t i = 0; i < block.rows; ++i)
      for (size_t c = 0; c < cols; ++c)
        if (!std::isfinite(element(block, i, c)))
          throw Error("ERR_NOT_FINITE", "The embedding matrix has a value that is not finite.",
                      static_cast<int64_t>(i));
    size_t largest = 0;
    for (size_t i = 1; i < block.rows; ++i)
      if (std::fabs(element(block, i, j)) > std::fabs(element(block, largest, j))) largest = i;
    throw Error("ERR_PCA_OVERFLOW", "The embedding matrix has values whose squares overflow. Scale it down first.",
                static_cast<int64_t>(largest));
  }
  rows_ += block.rows;
}

std::vector<double> Moments::mean() const {
  std::vector<double> mean(sum_.size());
  for (size_t j = 0; j < mean.size(); ++j) mean[j] = shift_[j] + drift(j);
  return mean;
}

double Moments::scatter() const {
  double total = 0;
  for (size_t j = 0; j < sum_.size(); ++j) total += std::max(0.0, squares_[j] - sum_[j] * drift(j));
  return total;
}

}  // namespace coregain::reduce
