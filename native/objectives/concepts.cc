// Objectives over nonnegative entries of rows: set cover, its probabilistic form, and concave functions of sums.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "core/error.h"
#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

// Term: the state of a column, starting at Term::kStart; gain(state, value) and next(state, value).
template <typename Term>
class Columns : public Objective {
 public:
  Columns(const Context& context, Entries entries, Term term = {})
      : context_(context), entries_(std::move(entries)), term_(term), state_(entries_.cols, Term::kStart) {}

  void gains(const int32_t* rows, size_t count, double* out) override {
    context_.pool.for_blocks(count, 64, [&](unsigned, size_t begin, size_t end) {
      for (size_t r = begin; r < end; ++r) {
        double gain = 0;
        each(rows[r], [&](size_t column, double value) {
          gain += entries_.weights[column] * term_.gain(state_[column], value);
        });
        out[r] = gain;
      }
    });
  }

  void add(int32_t row) override {
    each(row, [&](size_t column, double value) { state_[column] = term_.next(state_[column], value); });
  }

 private:
  template <typename Body>
  void each(int32_t at, const Body& body) const {
    const auto row = static_cast<size_t>(at);
    if (entries_.offsets.empty()) {
      const Matrix& x = entries_.dense;
      for (size_t j = 0; j < x.cols; ++j) body(j, x.is_double ? x.f64(row)[j] : static_cast<double>(x.f32(row)[j]));
      return;
    }
    const auto end = static_cast<size_t>(entries_.offsets[row + 1]);
    for (auto e = static_cast<size_t>(entries_.offsets[row]); e < end; ++e)
      body(static_cast<size_t>(entries_.indices[e]), entries_.values[e]);
  }

  Context context_;
  Entries entries_;
  Term term_;
  std::vector<double> state_;
};

struct Covered {
  static constexpr double kStart = 0;
  static double gain(double covered, double value) { return value > 0 && covered == 0 ? 1 : 0; }
  static double next(double covered, double value) { return value > 0 ? 1 : covered; }
};

struct Missed {  // probability that no row of S has the concept
  static constexpr double kStart = 1;
  static double gain(double missed, double value) { return missed * value; }
  static double next(double missed, double value) { return missed * (1 - value); }
};

struct Saturation {  // sum of the column over S
  static constexpr double kStart = 0;
  Concave concave;
  // g(sum + value) - g(sum), written so that nothing cancels
  double gain(double sum, double value) const {
    if (value == 0) return 0;
    if (concave == Concave::kSqrt) return value / (std::sqrt(sum + value) + std::sqrt(sum));
    if (concave == Concave::kLog) return std::log1p(value / (1 + sum));
    return value / ((1 + sum) * (1 + sum + value));
  }
  static double next(double sum, double value) { return sum + value; }
};

}  // namespace

ObjectivePtr set_cover(const Context& context, Entries entries) {
  return std::make_unique<Columns<Covered>>(context, std::move(entries));
}

ObjectivePtr probabilistic_set_cover(const Context& context, Entries entries) {
  return std::make_unique<Columns<Missed>>(context, std::move(entries));
}

ObjectivePtr feature_based(const Context& context, Entries entries, Concave concave) {
  const Matrix& x = entries.dense;
  for (size_t row = 0; entries.offsets.empty() && row < x.rows; ++row)
    for (size_t j = 0; j < x.cols; ++j) {
      if ((x.is_double ? x.f64(row)[j] : static_cast<double>(x.f32(row)[j])) >= 0) continue;
      throw Error("ERR_NEGATIVE_FEATURE",
                  "The embedding matrix has a negative value in row " + std::to_string(row) + ", column " +
                      std::to_string(j) +
                      " (counted from 0). feature-based needs nonnegative features: shift, clip or square them.",
                  static_cast<int64_t>(row));
    }
  return std::make_unique<Columns<Saturation>>(context, std::move(entries), Saturation{concave});
}

}  // namespace coregain::objectives
