// The gain of one bin in closed form, at three precisions. docs/exact-order.md proves the bounds.
//
// With y = x - o (o: any fixed origin; here near the mean), D the points not in earlier bins, S those chosen so far,
//
//   a = 2 |S| - |D|        w = 2 sum_S y - sum_D y = 2 s - T + ...        both exact integers
//
//   squared Euclidean   P(x) = a |y|^2 - 2 y.w + const                      q = |y|^2
//   cosine              P(u) = -2 u.w + a q  (twice the gain, less a constant)   q = -2 u.o,  u = x / |x|
//
// so that score = a q - 2 z.w + const for both; const is the same for all candidates of a step and is left out.
#pragma once

#include <cstdint>
#include <vector>

#include "core/fixed_point.h"
#include "core/thread_pool.h"
#include "greedy/problem.h"
#include "kernels/dot.h"

namespace coregain {

class Objective {
 public:
  // Reads all of x (NotFinite names the first bad element) and prepares norms, origin and exact sums.
  Objective(const Problem& problem, ThreadPool& pool, const DotKernel& kernel);

  // Starts a bin over the points D that are left: those never taken.
  void begin_bin();
  // Moves row i from D \ S to S.
  void take(size_t i);

  struct Bounds {
    double low, high;
  };
  // Interval that holds the score of row i, from one float32 inner product. Safe on several threads.
  Bounds bounds32(size_t i) const;
  // The same from float64; `scratch` has d elements. Safe on several threads.
  Bounds bounds64(size_t i, double* scratch) const;
  // The candidate with the best score by exact integers; the lowest row on ties.
  size_t best_exact(const std::vector<size_t>& candidates) const;
  // Lowest row whose values are bit for bit those of row i: equal rows have equal scores.
  size_t twin(size_t i) const { return static_cast<size_t>(twin_[i]); }

  // The gain itself, with its constant and in the units of the input, in one fixed order of operations.
  double gain(size_t i) const;

 private:
  void scan();
  void measure_norms();
  void sum_and_choose_origin();
  void measure_rows();
  void find_twins();
  void refresh();
  // z of row i without the origin: x in units of 2^scale_, or u.
  void load(size_t i, double* z) const;
  WideInt exact_score(size_t i) const;
  // Bound on |a q| of row i that the error of q is relative to.
  double q_magnitude(size_t i) const { return cosine_ ? q_bound_ : q_[i]; }

  Matrix x_;
  bool cosine_;
  const DotKernel& kernel_;
  ThreadPool& pool_;
  size_t d_;

  int scale_ = 0;                     // |x| < 2^scale_
  int unit_ = 0;                      // every stored value (x, or u for cosine) is a multiple of 2^unit_
  std::vector<double> origin_;        // [d], as stored; a multiple of 2^unit_
  std::vector<double> z_origin_;      // [d], origin_ in the units of load()
  std::vector<double> inverse_norm_;  // cosine: [N], 1 / |x| with x in units of 2^scale_; 0 for a zero row
  std::vector<double> q_;             // [N]
  std::vector<double> norm32_;        // [N], >= length of the vector that the float32 product is taken of
  std::vector<int32_t> twin_;         // [N]
  double q_bound_ = 0;                // cosine: >= |q|
  bool direct_ = true;                // float32 products read the caller's rows, else copy_
  std::vector<float> copy_;           // [N, d], z - origin (squared Euclidean) or u, rounded to float32

  // State of the bin.
  int64_t a_ = 0;
  int64_t left_ = 0;                              // points never taken
  int64_t members_ = 0;                           // |D|
  double q_left_ = 0, q_all_ = 0, q_chosen_ = 0;  // sums of q over the points never taken, over D, over S
  FixedVector rest_;                              // sum of y over the points never taken
  FixedVector w_;
  std::vector<double> w64_;  // w in the units of load()
  std::vector<float> w32_;   // w64_ over a power of two, zero-padded
  double w_norm_ = 0;        // >= |w64_|
  double dot_unit_ = 0;      // what one unit of a float32 product is worth in units of z.w
  double relative32_ = 0, absolute32_ = 0, relative64_ = 0;
};

}  // namespace coregain
