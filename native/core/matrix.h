// A view of rows of features that somebody else owns.
#pragma once

#include <cstddef>

namespace coregain {

// N rows of d features, row-major, float32 or float64, only read.
struct Matrix {
  const void* data = nullptr;
  bool is_double = false;
  size_t rows = 0;
  size_t cols = 0;

  const float* f32(size_t row) const { return static_cast<const float*>(data) + row * cols; }
  const double* f64(size_t row) const { return static_cast<const double*>(data) + row * cols; }
};

}  // namespace coregain
