// k-center (Gonzalez, 1985) and disparity-min: both keep the distance of each row to the nearest row of S.
#include <algorithm>
#include <limits>
#include <utility>

#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

class Nearest : public Objective {
 public:
  Nearest(Pairs pairs, std::vector<double> start) : pairs_(std::move(pairs)), nearest_(std::move(start)) {}

  void add(int32_t row) override {
    if (size_++ == 0) std::fill(nearest_.begin(), nearest_.end(), std::numeric_limits<double>::infinity());
    pairs_.context().pool.for_blocks(nearest_.size(), kBlock, [&](unsigned, size_t begin, size_t end) {
      double column[kBlock];
      pairs_.column(static_cast<size_t>(row), begin, end, column);
      for (size_t i = begin; i < end; ++i) nearest_[i] = std::min(nearest_[i], column[i - begin]);
    });
  }

 protected:
  static constexpr size_t kBlock = 512;
  Pairs pairs_;
  std::vector<double> nearest_;
  size_t size_ = 0;
};

class KCenter : public Nearest {
 public:
  using Nearest::Nearest;
  void gains(const int32_t* rows, size_t count, double* out) override {
    for (size_t r = 0; r < count; ++r) out[r] = nearest_[static_cast<size_t>(rows[r])];
  }
  double value(double) const override { return size_ == 0 ? 0 : -*std::max_element(nearest_.begin(), nearest_.end()); }
};

class DisparityMin : public Nearest {
 public:
  using Nearest::Nearest;
  void gains(const int32_t* rows, size_t count, double* out) override {
    for (size_t r = 0; r < count; ++r) out[r] = with(rows[r]) - least();
  }
  void add(int32_t row) override {
    least_ = with(row);
    Nearest::add(row);
  }

 private:
  // f(S) and f(S + row); 0 below two rows
  double least() const { return size_ < 2 ? 0 : least_; }
  double with(int32_t row) const {
    const double near = nearest_[static_cast<size_t>(row)];
    return size_ == 0 ? 0 : size_ == 1 ? near : std::min(least_, near);
  }
  double least_ = 0;
};

}  // namespace

ObjectivePtr k_center(const Context& context, const Matrix& x) {
  // The first row is the one farthest from the mean.
  const std::vector<double> mean = column_means(x);
  std::vector<double> start(x.rows);
  for (size_t i = 0; i < x.rows; ++i) {
    double squared = 0;
    for (size_t j = 0; j < x.cols; ++j) {
      const double difference = (x.is_double ? x.f64(i)[j] : static_cast<double>(x.f32(i)[j])) - mean[j];
      squared += difference * difference;
    }
    start[i] = std::sqrt(squared);
  }
  return std::make_unique<KCenter>(Pairs(context, Measure::kDistance, 0, x, x), std::move(start));
}

ObjectivePtr disparity_min(const Context& context, const Matrix& x) {
  return std::make_unique<DisparityMin>(Pairs(context, Measure::kDistance, 0, x, x), std::vector<double>(x.rows, 0));
}

}  // namespace coregain::objectives
