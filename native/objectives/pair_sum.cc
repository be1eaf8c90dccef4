// Objectives whose gain is base(x) + factor * sum over S of pair(p, x): each step adds one column of pairs to all
// gains.
#include <utility>

#include "objectives/objective.h"

namespace coregain::objectives {
namespace {

constexpr size_t kBlock = 512;

}  // namespace

PairSum::PairSum(Pairs pairs, std::vector<double> base, double factor)
    : pairs_(std::move(pairs)), gains_(std::move(base)), factor_(factor) {}

void PairSum::gains(const int32_t* rows, size_t count, double* out) {
  for (size_t r = 0; r < count; ++r) out[r] = gains_[static_cast<size_t>(rows[r])];
}

void PairSum::shift(int32_t row, double by) {
  if (by == 0) return;
  pairs_.context().pool.for_blocks(gains_.size(), kBlock, [&](unsigned, size_t begin, size_t end) {
    double column[kBlock];
    pairs_.column(static_cast<size_t>(row), begin, end, column);
    // The row's own gain is that of adding it to the others: no pair with itself.
    for (size_t i = begin; i < end; ++i)
      if (i != static_cast<size_t>(row)) gains_[i] += by * column[i - begin];
  });
}

void PairSum::add_all() {
  const std::vector<double> sums = pairs_.column_sums();
  for (size_t i = 0; i < gains_.size(); ++i) gains_[i] += factor_ * (sums[i] - pairs_(i, i));
}

std::unique_ptr<PairSum> graph_cut(const Context& context, Measure measure, double gamma, const Matrix& x,
                                   const Matrix& away, double lambda, double nu) {
  Pairs pairs(context, measure, gamma, x, x);
  std::vector<double> base = pairs.column_sums();
  const std::vector<double> from = Pairs(context, measure, gamma, away, x).column_sums();
  for (size_t i = 0; i < base.size(); ++i) base[i] -= 2 * lambda * nu * from[i] + lambda * pairs(i, i);
  return std::make_unique<PairSum>(std::move(pairs), std::move(base), -2 * lambda);
}

ObjectivePtr graph_cut_towards(const Context& context, Measure measure, double gamma, const Matrix& x,
                               const Matrix& query, double lambda) {
  std::vector<double> base = Pairs(context, measure, gamma, query, x).column_sums();
  for (double& value : base) value *= 2 * lambda;
  return std::make_unique<PairSum>(Pairs(context, measure, gamma, x, x), std::move(base), 0);
}

ObjectivePtr squared_distance(const Context& context, const Matrix& x) {
  Pairs pairs(context, Measure::kSquaredDistance, 0, x, x);
  std::vector<double> base = pairs.column_sums();
  for (double& value : base) value = -value;
  return std::make_unique<PairSum>(std::move(pairs), std::move(base), 2);
}

ObjectivePtr disparity_sum(const Context& context, const Matrix& x) {
  return std::make_unique<PairSum>(Pairs(context, Measure::kDistance, 0, x, x), std::vector<double>(x.rows, 0), 1);
}

}  // namespace coregain::objectives
