// How alike, or how far apart, two rows are: in float64, from the values as given.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "kernels/panel.h"

namespace coregain::objectives {

// What every objective works with.
struct Context {
  ThreadPool& pool;
  const Control& control;
  const PanelKernel& kernel;
};

enum class Measure {
  kCosine,           // (1 + cos) / 2; the cosine of a zero row is 0
  kRbf,              // exp(-gamma |x - y|^2)
  kDistance,         // |x - y|
  kSquaredDistance,  // |x - y|^2
};

// Rows i of `a` against rows j of `b`, both of one type and with as many columns.
class Pairs {
 public:
  Pairs(const Context& context, Measure measure, double gamma, const Matrix& a, const Matrix& b);

  double operator()(size_t i, size_t j) const;
  // out[i - begin] = pair(i, j), begin <= i < end
  void column(size_t j, size_t begin, size_t end, double* out) const;
  // sums[j] = sum_i pair(i, j)
  std::vector<double> column_sums() const;
  // most[j] = max_i pair(i, j), 0 where `a` is empty
  std::vector<double> column_maxima() const;

  const Context& context() const { return context_; }
  const Matrix& a() const { return a_; }
  const Matrix& b() const { return b_; }
  Measure measure() const { return measure_; }
  double gamma() const { return gamma_; }

 private:
  template <typename T>
  double value(size_t i, size_t j) const;
  template <typename T>
  std::vector<double> closed_sums() const;

  Context context_;
  Measure measure_;
  double gamma_;
  Matrix a_, b_;
  std::vector<double> inverse_a_, inverse_b_;  // 1 / |x|, 0 for a zero row; cosine only
};

// One pair, of rows i of `a` and j of `b`.
double pair_of(Measure measure, double gamma, const Matrix& a, size_t i, const Matrix& b, size_t j);

// Mean of each column.
std::vector<double> column_means(const Matrix& x);
// 1 / sum of the columns' variances; 1 where they are all 0.
double default_gamma(const Matrix& x);
// Throws Error ERR_NOT_FINITE with the first row that has a NaN or an infinity, or a value whose square overflows.
void check_finite(const Matrix& x, ThreadPool& pool);

}  // namespace coregain::objectives
