#include "objectives/pairs.h"

#include <algorithm>
#include <atomic>

#include "core/error.h"

namespace coregain::objectives {
namespace {

constexpr size_t kLanes = 8;
constexpr size_t kBlock = 256;
constexpr double kLargest = 1e150;

template <typename T>
const T* row_of(const Matrix& x, size_t row) {
  return static_cast<const T*>(x.data) + row * x.cols;
}

// Sum of term(j) over the columns, in lanes: one order on every machine.
template <typename Term>
double sum_over(size_t cols, const Term& term) {
  double lanes[kLanes] = {};
  size_t j = 0;
  for (; j + kLanes <= cols; j += kLanes)
    for (size_t t = 0; t < kLanes; ++t) lanes[t] += term(j + t);
  for (size_t t = 0; j + t < cols; ++t) lanes[t] += term(j + t);
  for (size_t width = kLanes / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) lanes[t] += lanes[t + width];
  return lanes[0];
}

template <typename T>
double dot(const T* x, const T* y, size_t cols) {
  return sum_over(cols, [&](size_t j) { return static_cast<double>(x[j]) * static_cast<double>(y[j]); });
}

template <typename T>
double squared_distance(const T* x, const T* y, size_t cols) {
  return sum_over(cols, [&](size_t j) {
    const double difference = static_cast<double>(x[j]) - static_cast<double>(y[j]);
    return difference * difference;
  });
}

template <typename T>
std::vector<double> inverse_norms(const Context& context, const Matrix& x) {
  std::vector<double> inverse(x.rows);
  context.pool.for_blocks(x.rows, kBlock, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const double squared = dot(row_of<T>(x, i), row_of<T>(x, i), x.cols);
      inverse[i] = squared > 0 ? 1 / std::sqrt(squared) : 0;
    }
  });
  return inverse;
}

template <typename T>
double one_pair(Measure measure, double gamma, const T* x, const T* y, size_t cols) {
  if (measure == Measure::kCosine) {
    const double squares = dot(x, x, cols) * dot(y, y, cols);
    return squares > 0 ? 0.5 + 0.5 * dot(x, y, cols) / std::sqrt(squares) : 0.5;
  }
  const double squared = squared_distance(x, y, cols);
  if (measure == Measure::kRbf) return std::exp(-gamma * squared);
  return measure == Measure::kDistance ? std::sqrt(squared) : squared;
}

template <typename T>
std::vector<double> means(const Matrix& x) {
  std::vector<double> mean(x.cols, 0);
  for (size_t i = 0; i < x.rows; ++i) {
    const T* row = row_of<T>(x, i);
    for (size_t j = 0; j < x.cols; ++j) mean[j] += static_cast<double>(row[j]);
  }
  for (double& value : mean) value /= static_cast<double>(x.rows);
  return mean;
}

template <typename T>
double variance(const Matrix& x) {
  const std::vector<double> mean = means<T>(x);
  double sum = 0;
  for (size_t i = 0; i < x.rows; ++i) {
    const T* row = row_of<T>(x, i);
    sum += sum_over(x.cols, [&](size_t j) {
      const double difference = static_cast<double>(row[j]) - mean[j];
      return difference * difference;
    });
  }
  return sum / static_cast<double>(x.rows);
}

template <typename T>
size_t first_bad_row(const Matrix& x, ThreadPool& pool) {
  std::atomic<size_t> first{x.rows};
  pool.for_blocks(x.rows, kBlock, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const T* row = row_of<T>(x, i);
      bool good = true;
      for (size_t j = 0; j < x.cols; ++j) good &= std::fabs(static_cast<double>(row[j])) <= kLargest;
      if (good) continue;
      size_t seen = first.load();
      while (i < seen && !first.compare_exchange_weak(seen, i)) {
      }
      return;
    }
  });
  return first;
}

}  // namespace

Pairs::Pairs(const Context& context, Measure measure, double gamma, const Matrix& a, const Matrix& b)
    : context_(context), measure_(measure), gamma_(gamma), a_(a), b_(b) {
  if (measure != Measure::kCosine) return;
  inverse_a_ = a.is_double ? inverse_norms<double>(context, a) : inverse_norms<float>(context, a);
  inverse_b_ = b.is_double ? inverse_norms<double>(context, b) : inverse_norms<float>(context, b);
}

template <typename T>
double Pairs::value(size_t i, size_t j) const {
  const T* x = row_of<T>(a_, i);
  const T* y = row_of<T>(b_, j);
  if (measure_ == Measure::kCosine) return 0.5 + 0.5 * (dot(x, y, a_.cols) * inverse_a_[i] * inverse_b_[j]);
  const double squared = squared_distance(x, y, a_.cols);
  if (measure_ == Measure::kRbf) return std::exp(-gamma_ * squared);
  return measure_ == Measure::kDistance ? std::sqrt(squared) : squared;
}

double Pairs::operator()(size_t i, size_t j) const {
  return a_.is_double ? value<double>(i, j) : value<float>(i, j);
}

void Pairs::column(size_t j, size_t begin, size_t end, double* out) const {
  if (a_.is_double) {
    for (size_t i = begin; i < end; ++i) out[i - begin] = value<double>(i, j);
  } else {
    for (size_t i = begin; i < end; ++i) out[i - begin] = value<float>(i, j);
  }
}

// The sums run over all rows of `a`, but need only their sum and that of their squares: no N x N work.
template <typename T>
std::vector<double> Pairs::closed_sums() const {
  const size_t d = a_.cols;
  const auto n = static_cast<double>(a_.rows);
  const bool cosine = measure_ == Measure::kCosine;
  const std::vector<double> mean = cosine ? std::vector<double>(d, 0) : means<T>(a_);
  std::vector<double> total(d, 0);
  double squares = 0;
  for (size_t i = 0; i < a_.rows; ++i) {
    const T* row = row_of<T>(a_, i);
    const double scale = cosine ? inverse_a_[i] : 1;
    for (size_t j = 0; j < d; ++j) {
      const double y = (static_cast<double>(row[j]) - mean[j]) * scale;
      total[j] += y;
      squares += y * y;
    }
  }
  std::vector<double> sums(b_.rows);
  context_.pool.for_blocks(b_.rows, kBlock, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const T* row = row_of<T>(b_, i);
      const double inner = sum_over(d, [&](size_t j) { return (static_cast<double>(row[j]) - mean[j]) * total[j]; });
      if (cosine) {
        sums[i] = 0.5 * (n + inner * inverse_b_[i]);
        continue;
      }
      const double own = sum_over(d, [&](size_t j) {
        const double y = static_cast<double>(row[j]) - mean[j];
        return y * y;
      });
      sums[i] = n * own + squares - 2 * inner;
    }
  });
  return sums;
}

std::vector<double> Pairs::column_sums() const {
  if (a_.rows == 0) return std::vector<double>(b_.rows, 0);
  if (measure_ == Measure::kCosine || measure_ == Measure::kSquaredDistance)
    return a_.is_double ? closed_sums<double>() : closed_sums<float>();
  std::vector<double> sums(b_.rows);
  context_.pool.for_blocks(b_.rows, 8, [&](unsigned, size_t begin, size_t end) {
    context_.control.check();
    for (size_t j = begin; j < end; ++j)
      for (size_t i = 0; i < a_.rows; ++i) sums[j] += (*this)(i, j);
  });
  return sums;
}

std::vector<double> Pairs::column_maxima() const {
  std::vector<double> most(b_.rows, 0);
  context_.pool.for_blocks(b_.rows, 8, [&](unsigned, size_t begin, size_t end) {
    context_.control.check();
    for (size_t j = begin; j < end; ++j)
      for (size_t i = 0; i < a_.rows; ++i) most[j] = std::max(most[j], (*this)(i, j));
  });
  return most;
}

double pair_of(Measure measure, double gamma, const Matrix& a, size_t i, const Matrix& b, size_t j) {
  return a.is_double ? one_pair(measure, gamma, a.f64(i), b.f64(j), a.cols)
                     : one_pair(measure, gamma, a.f32(i), b.f32(j), a.cols);
}

std::vector<double> column_means(const Matrix& x) {
  return x.is_double ? means<double>(x) : means<float>(x);
}

double default_gamma(const Matrix& x) {
  const double sum = x.is_double ? variance<double>(x) : variance<float>(x);
  return sum > 0 ? 1 / sum : 1;
}

void check_finite(const Matrix& x, ThreadPool& pool) {
  const size_t row = x.is_double ? first_bad_row<double>(x, pool) : first_bad_row<float>(x, pool);
  if (row == x.rows) return;
  throw Error("ERR_NOT_FINITE",
              "The embedding matrix has a value in row " + std::to_string(row) +
                  " that is not finite, or beyond 1e150 in magnitude. Remove, repair or scale that row.",
              static_cast<int64_t>(row));
}

}  // namespace coregain::objectives
