// The points in 8 bits: what the lazy engine estimates scores with. docs/exact-order.md proves the bounds.
//
// With y of greedy/points.h in units of f, and D a diagonal of powers of two that evens the columns out,
//
//   y_i / D = s_i q_i + e_i,   q_i int8        D v = t V + h,   V int16
//
//   y_i.v = s_i t (q_i.V) + s_i q_i.h + e_i.(D v)
//
// so that |y_i.v - s_i t (q_i.V)| <= length_i |h| + residual_i |D v|.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/thread_pool.h"
#include "greedy/points.h"
#include "kernels/int8.h"

namespace coregain {

// An int16 form of a vector: D v is `scale` times the integers, up to an error of norm <= `error`, which allows for the
// rounding of Int8Kernel's products too. length >= |D v|.
struct Int16Form {
  double scale = 0, error = 0, length = 0;
};

struct Int8Rows {
  // One slot for each of points.first.
  Int8Rows(const Points& points, ThreadPool& pool, const Control& control);

  // f y_i as the form that vectors take; out has `stride` elements.
  Int16Form quantise_row(size_t row, double* scratch, int16_t* out) const;
  // v [d] in units of f.
  Int16Form quantise(const double* v, int16_t* out) const;
  // >= |D v|
  double length(const double* v) const;

  const int8_t* q(size_t slot) const { return values.data() + slot * stride; }
  // Moves the contents of slot `from` to slot `to`.
  void move(size_t from, size_t to);

  const Points& points;
  std::vector<int32_t> row;    // of a slot: the first row of its chain in no bin yet, -1 for none
  size_t stride;
  std::vector<double> spread;  // D [d]
  Buffer<int8_t> values;       // q [slots rounded up, stride]
  std::vector<float> scale;    // s
  std::vector<float> residual;  // >= |e|
  std::vector<float> magnitude;  // >= |s q|
};

}  // namespace coregain
