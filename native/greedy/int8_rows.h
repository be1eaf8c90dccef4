// The points in 8 bits: what the lazy engine estimates scores with. docs/exact-order.md proves the bounds.
//
// With y of greedy/points.h in units of f, and D a diagonal of powers of two that evens the columns out,
//
//   y_i / D = s_i q_i + e_i,   q_i int8        D v = t V + h,   V int16
//
//   y_i.v = s_i t (q_i.V) + s_i q_i.h + e_i.(D v)
//
// so that |y_i.v - s_i t (q_i.V)| <= magnitude_i |h| + residual_i |D v|.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/thread_pool.h"
#include "greedy/points.h"
#include "kernels/int8.h"

namespace coregain {

// A float32 number above `value`.
inline float float_above(double value) {
  return static_cast<float>(value * (1 + 0x1p-20)) + 0x1p-140F;
}

// Some rows, in any order.
struct Int8Rows {
  const int8_t* q(size_t i) const { return values.data() + i * stride; }
  // The rows `from[list[i]]`.
  void gather(const Int8Rows& from, const std::vector<int32_t>& list, ThreadPool& pool);
  // Moves row `from` to `to`.
  void move(size_t from, size_t to);

  size_t stride = 0;
  Buffer<int8_t> values;     // q [rows rounded up to what kernels take at a time, stride]
  std::vector<int32_t> row;  // of the matrix: the first of its chain that is in no bin yet, -1 for none
  Buffer<float> scale;       // s
  Buffer<float> residual;    // >= |e|
  Buffer<float> magnitude;   // >= |s q|

  // Room for that many rows, with undefined contents.
  void reserve(size_t rows);
};

// An int16 form of a vector: D v is `scale` times the integers, up to an error of norm <= `error`, which allows for the
// rounding of Int8Kernel's products too. length >= |D v|.
struct Int16Form {
  double scale = 0, error = 0, length = 0;
};

class Quantiser {
 public:
  Quantiser(const Points& points, const VectorsKernel& vectors);

  // One row for each of points.first.
  Int8Rows rows(ThreadPool& pool, const Control& control) const;
  // v [d] in units of f; out has `stride` elements.
  Int16Form quantise(const double* v, int16_t* out) const;
  // The same of f y of a row of the matrix. `scratch` has d elements.
  Int16Form quantise_row(size_t row, double* scratch, int16_t* out) const;
  // D
  const double* spread() const { return spread_.data(); }
  size_t stride() const { return stride_; }

 private:
  const Points& points_;
  const VectorsKernel& vectors_;
  size_t stride_;
  std::vector<double> spread_;
};

}  // namespace coregain
