// Greedy MAP inference of determinantal point processes (Chen, Zhang, Zhou, NeurIPS 2018, algorithm 1): a row keeps its
// row of the Cholesky factor of the kernel over S, so that its gain costs one product a step. The factor of a row is
// only brought up to date when somebody asks for its gain: with the lazy optimizer most rows stay far behind.
#include <algorithm>
#include <atomic>
#include <utility>

#include "core/cpu.h"
#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

double inner(const double* x, const double* y, size_t count) {
  double lanes[4] = {};
  size_t j = 0;
  for (; j + 4 <= count; j += 4)
    for (size_t t = 0; t < 4; ++t) lanes[t] += x[j + t] * y[j + t];
  for (size_t t = 0; j + t < count; ++t) lanes[t] += x[j + t] * y[j + t];
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

class LogDeterminant : public Objective {
 public:
  LogDeterminant(Pairs pairs, double ridge, const Matrix& condition, double scale)
      : pairs_(std::move(pairs)),
        ridge_(ridge),
        conditions_(condition.rows),
        factor_(pairs_.a().rows),
        variance_(factor_.size()) {
    const Context& context = pairs_.context();
    const std::vector<double> triangle = cholesky(condition);
    const Pairs across(context, pairs_.measure(), pairs_.gamma(), condition, pairs_.b());
    context.pool.for_blocks(factor_.size(), 64, [&](unsigned, size_t begin, size_t end) {
      context.control.check();
      for (size_t i = begin; i < end; ++i) {
        variance_[i] = pairs_(i, i) + ridge_;
        // K_iC L^-T, as if the rows of C had been chosen first
        std::vector<double>& factor = factor_[i];
        factor.resize(conditions_);
        for (size_t c = 0; c < conditions_; ++c) {
          const double* row = triangle.data() + c * conditions_;
          factor[c] = (across(c, i) - inner(row, factor.data(), c)) / row[c];
        }
        for (double& value : factor) {
          value *= scale;
          variance_[i] -= value * value;
        }
      }
    });
    grew(factor_.size() * conditions_);
  }

  void gains(const int32_t* rows, size_t count, double* out) override {
    pairs_.context().pool.for_blocks(count, 16, [&](unsigned, size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) {
        const auto row = static_cast<size_t>(rows[r]);
        catch_up(row);
        out[r] = std::log(variance(row));
      }
    });
  }

  void add(int32_t row) override {
    catch_up(static_cast<size_t>(row));
    chosen_.push_back(static_cast<size_t>(row));
    deviation_.push_back(std::sqrt(variance(static_cast<size_t>(row))));
  }

 private:
  // The variance of a row given S is at least `ridge`; rounding may not bring it below.
  double variance(size_t row) const { return std::max(variance_[row], ridge_); }

  void catch_up(size_t row) {
    std::vector<double>& factor = factor_[row];
    const size_t from = factor.size() - conditions_;
    if (from == chosen_.size()) return;
    const size_t wanted = conditions_ + chosen_.size();
    if (factor.capacity() < wanted) factor.reserve(std::max(wanted, factor.capacity() * 3 / 2));
    for (size_t t = from; t < chosen_.size(); ++t) {
      const double left = pairs_(chosen_[t], row) - inner(factor_[chosen_[t]].data(), factor.data(), factor.size());
      factor.push_back(left / deviation_[t]);
      variance_[row] -= factor.back() * factor.back();
    }
    grew(chosen_.size() - from);
  }

  void grew(size_t values) {
    if ((values_ += values) * sizeof(double) < physical_memory()) return;
    throw Error("ERR_OUT_OF_MEMORY",
                "The Cholesky factors of log-determinant would take more memory than this machine has: one float64 "
                "for each pair of row and selected row. Use a smaller budget, or the lazy or stochastic optimizer.");
  }

  // Row-major lower triangle of the kernel over `c`.
  std::vector<double> cholesky(const Matrix& c) const {
    const size_t n = c.rows;
    std::vector<double> lower(n * n, 0);
    const Pairs within(pairs_.context(), pairs_.measure(), pairs_.gamma(), c, c);
    for (size_t i = 0; i < n; ++i) {
      pairs_.context().control.check();
      double* row = lower.data() + i * n;
      for (size_t j = 0; j < i; ++j) row[j] = (within(j, i) - inner(lower.data() + j * n, row, j)) / lower[j * n + j];
      row[i] = std::sqrt(std::max(ridge_, within(i, i) + ridge_ - inner(row, row, i)));
    }
    return lower;
  }

  Pairs pairs_;
  double ridge_;
  size_t conditions_;
  std::vector<std::vector<double>> factor_;  // conditions_ values, then one for each row of S that has been seen
  std::vector<double> variance_;
  std::vector<size_t> chosen_;
  std::vector<double> deviation_;
  std::atomic<size_t> values_{0};
};

}  // namespace

ObjectivePtr log_determinant(Pairs pairs, double ridge, const Matrix& condition, double scale) {
  return std::make_unique<LogDeterminant>(std::move(pairs), ridge, condition, scale);
}

}  // namespace coregain::objectives
