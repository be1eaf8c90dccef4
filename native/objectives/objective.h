// Objectives f over sets S of rows, with f of the empty set 0. Formulas and sources: docs/objectives.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "objectives/pairs.h"
#include "objectives/tiles.h"

namespace coregain::objectives {

// A set that grows by one row at a time. Results do not depend on the number of threads: sums have one order.
class Objective {
 public:
  Objective() = default;
  virtual ~Objective() = default;
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  // out[r] = f(S + rows[r]) - f(S), for rows that are not in S.
  virtual void gains(const int32_t* rows, size_t count, double* out) = 0;
  // S += row
  virtual void add(int32_t row) = 0;
  // f(S), where it is not the sum of the gains.
  virtual double value(double sum_of_gains) const { return sum_of_gains; }
};

using ObjectivePtr = std::unique_ptr<Objective>;

// base(x) + factor sum_{p in S} pair(p, x): graph cut and its relatives, squared distance, disparity sum. All gains are
// kept; S may also shrink.
class PairSum : public Objective {
 public:
  PairSum(Pairs pairs, std::vector<double> base, double factor);
  void gains(const int32_t* rows, size_t count, double* out) override;
  void add(int32_t row) override { shift(row, factor_); }
  void remove(int32_t row) { shift(row, -factor_); }
  // S = all rows; then the gain of x is that of x on top of all others.
  void add_all();

 private:
  void shift(int32_t row, double by);
  Pairs pairs_;
  std::vector<double> gains_;
  double factor_;
};

// sum_{i in V} s_ij - 2 lambda nu sum_{i in P} s_ij - lambda s_jj, minus 2 lambda s_pj for each p in S.
std::unique_ptr<PairSum> graph_cut(const Context& context, Measure measure, double gamma, const Matrix& x,
                                   const Matrix& away, double lambda, double nu);
ObjectivePtr graph_cut_towards(const Context& context, Measure measure, double gamma, const Matrix& x,
                               const Matrix& query, double lambda);
ObjectivePtr squared_distance(const Context& context, const Matrix& x);
ObjectivePtr disparity_sum(const Context& context, const Matrix& x);

// Farthest points: both keep each row's distance to the nearest of S.
ObjectivePtr k_center(const Context& context, const Matrix& x);
ObjectivePtr disparity_min(const Context& context, const Matrix& x);

// What coverage starts from and ends at, for each point; empty = 0 and no end.
struct Levels {
  std::vector<double> floor, cap;
  std::vector<double> bonus;  // of each candidate, modular
};
// sum_i max over S of s_ij, clamped to [floor_i, cap_i], minus floor_i; plus the bonuses of S. Points are `tiles.a`.
ObjectivePtr facility_location(Tiles tiles, Levels levels);
// sum_i min(sum over S of s_ij, cap_i)
ObjectivePtr saturated_coverage(Tiles tiles, const std::vector<double>& cap);
// Facility location over the `neighbours` most similar rows of each point; N * neighbours entries.
ObjectivePtr sparse_facility_location(const Tiles& tiles, size_t neighbours);

// log det(K_S - scale^2 K_SC K_C^-1 K_CS), the diagonals of K_S and K_C raised by `ridge`; C may be empty.
ObjectivePtr log_determinant(Pairs pairs, double ridge, const Matrix& condition, double scale);

// Nonnegative entries of rows, in compressed sparse rows, or a dense matrix where `offsets` is empty.
struct Entries {
  std::vector<int32_t> offsets, indices;
  std::vector<double> values;
  Matrix dense;
  size_t rows = 0, cols = 0;
  std::vector<double> weights;  // of columns
};
enum class Concave { kSqrt, kLog, kInverse };
ObjectivePtr set_cover(const Context& context, Entries entries);
ObjectivePtr probabilistic_set_cover(const Context& context, Entries entries);
ObjectivePtr feature_based(const Context& context, Entries entries, Concave concave);

// sum_k weight_k f_k
ObjectivePtr mixture(std::vector<std::pair<double, ObjectivePtr>> parts);

}  // namespace coregain::objectives
