// The gain within one bin, in closed form and at three precisions. docs/exact-order.md proves the bounds.
//
// With D the points not in earlier bins, S those of them chosen for this bin so far and (greedy/points.h) y = z - o,
//
//   a = 2 |S| - |D|        w = 2 sum_S y - sum_D y        both exact integers
//
//   score(x) = a q - 2 z.w = gain(x) / scale + const,      const the same for all x of a step.
#pragma once

#include <cstdint>
#include <vector>

#include "core/fixed_point.h"
#include "core/thread_pool.h"
#include "greedy/points.h"
#include "kernels/dot.h"

namespace coregain {

// An interval that holds the score of a row.
struct Bounds {
  double low, high;
};

class Objective {
 public:
  Objective(const Points& points, const DotKernel& kernel, const VectorsKernel& vectors);

  // Starts a bin over D = the rows that are not marked as taken.
  void begin_bin(const std::vector<uint8_t>& taken);
  // Moves row i from D \ S to S.
  void take(size_t i);
  // The same for rows one after the other, with the gain of each when it was taken: what gain and take give by turns,
  // but shared out, by columns and then by rows.
  void take_all(const int32_t* rows, size_t count, ThreadPool& pool, double* gains);

  // a, and w in units of f, rounded to float64.
  double a() const { return static_cast<double>(a_); }
  const double* w() const { return w64_.data(); }

  // For rows[0 .. count), count <= DotKernel::kRows: bounds of a q - 2 y.w from float32 inner products.
  void bounds32(const int32_t* rows, size_t count, Bounds* out) const;
  // Bounds from a float64 inner product, of a q - 2 y.w (squared distance) or a q - 2 z.w (cosine): compare them with
  // each other only. `scratch` has d elements, here and below.
  Bounds bounds64(size_t i, double* scratch) const;
  // What float64 may lose of a q - 2 y.w over `updates` updates in this bin, for rows with |q| and |y| up to these.
  double roundoff(double q, double radius, size_t updates) const {
    const Roundoff r = roundoff();
    const double rounds = 1 + static_cast<double>(updates) / 16;
    return rounds * (r.q * q + r.radius * radius) + r.constant;
  }
  // The same in parts, for at most 16 updates: q |q| + radius |y| + constant.
  struct Roundoff {
    double q, radius, constant;
  };
  Roundoff roundoff() const;
  // Whether float64 computes on integers below 2^53, so that bounds64 has no width and equal bounds are a true tie.
  bool float64_is_exact() const { return float64_is_exact_; }
  // How far off q is, per |q| (cosine: absolute).
  double q_error() const { return q_error_; }
  // The row of the best score by exact integers, the lowest one on ties.
  size_t best_exact(const std::vector<size_t>& rows) const;

  // The gain of row i, with its constant and in the units of the input: one fixed order of float64 operations.
  double gain(size_t i, double* scratch) const;

 private:
  void refresh();
  double norm32(size_t i) const;
  double product64(size_t i, double* scratch) const;
  double product64(const double* z, const double* w) const;
  double gain(double product, double q, double a, double q_chosen) const;
  void exact_score(size_t i, double* scratch, WideInt& out) const;

  const Points& p_;
  const DotKernel& kernel_;
  const VectorsKernel& vectors_;
  bool float64_is_exact_;
  double unit64_;      // half an ulp of 1: 2^-53, or 0 where float64 is exact
  double relative32_;  // error of a float32 product per |z| |w|
  double q_error_;     // error of q per |q| (cosine: absolute)

  int64_t a_ = 0;
  double q_all_ = 0, q_chosen_ = 0;  // sums of q over D and S
  int64_t members_ = 0;              // |D|
  FixedVector rest_;                 // sum of y over D
  FixedVector w_;
  std::vector<double> w64_;  // f w
  std::vector<float> w32_;   // w64_ times a power of two, zero-padded
  double w_norm_ = 0;        // >= |f w|
  double w_largest_ = 0;     // largest w_norm_ of this bin
  double shift_ = 0;         // 2 o.w, what float32 products of uncentred rows leave out
  double unit32_ = 0;        // what 1 in a float32 product is worth in units of the score
  double underflow32_ = 0;   // absolute error of a float32 product by underflow
};

}  // namespace coregain
