// The points of a problem and what stays true of them through all bins. docs/exact-order.md has the proofs.
//
// z_i is the stored input that the order is defined on: the row itself (squared distance), or u = x / |x| in float64
// (cosine; 0 for a zero row), where |x| is the square root of the sum of squares taken left to right. o is an origin
// near the mean of z, and y = z - o. Fast arithmetic runs on f z with f = 2^-scale, so that nothing overflows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/control.h"
#include "core/fixed_point.h"
#include "core/thread_pool.h"
#include "greedy/problem.h"
#include "kernels/vectors.h"

namespace coregain {

struct Points {
  // Reads all of x. Throws Error ERR_NOT_FINITE, ERR_CANCELLED.
  Points(const Problem& problem, ThreadPool& pool, const Control& control);

  // z_i; in `scratch` [d] where it is not stored as such.
  const double* z(size_t i, double* scratch) const;
  // f y_i, up to one rounding an element; out has d elements.
  void y(size_t i, double* out) const;
  // >= |f y_i|
  double radius(size_t i) const;

  Matrix x;
  bool cosine;
  size_t n, d;
  double terms;  // d + 16: rounding errors of a float64 sum of d products, in units of 2^-53 of its magnitudes

  // Every |z| < 2^highest and is a multiple of 2^unit.
  int highest = 0, unit = 0;
  int bits = 0;  // what an exact w needs: greedy/objective.h

  int scale = 0;
  double f = 1;                  // 2^-scale
  std::vector<double> origin;    // o [d], a multiple of 2^unit
  std::vector<double> origin_f;  // f o
  double origin_norm = 0;        // >= |f o|
  FixedVector total;             // sum of y over all points, exact

  // q [N]: |f y|^2; cosine: -2 u.o. The part of the score that a = 2k - M multiplies.
  std::vector<double> q;
  std::vector<double> length;  // cosine: |x| [N], of the row times a power of two where squares could overflow

  // Rows of equal z form a chain in ascending order: only the first one alive can win.
  std::vector<int32_t> first;       // one row for each chain
  std::vector<int32_t> next_equal;  // [N], -1 at the end

  // Float32 products read the caller's rows, else `copy` [N, d], f y rounded. A copy is made of float64 data and where
  // the mean is so far out that the bounds of uncentred products would be of no use.
  bool direct = true;
  std::vector<float> copy;
  double longest = 0;  // >= the norm of every float32 row as it is stored

 private:
  void measure(ThreadPool& pool, const Control& control);
  void chain_equal_rows(std::vector<uint64_t>& hashes);
  void centre(ThreadPool& pool, const Control& control);
  void choose_float32(ThreadPool& pool, const Control& control);
  double row_length(size_t i, double* scratch) const;
  const double* row(size_t i, double* scratch) const;

  const VectorsKernel& vectors_;
};

}  // namespace coregain
