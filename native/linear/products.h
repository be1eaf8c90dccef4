// The two products that principal components are made of, on rows as they come from a file.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "core/buffer.h"
#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "kernels/gemm.h"

namespace coregain::linear {

class Device;  // linear/device.h
class DeviceMatrix;
struct Held;

// Columns [first, first + cols) of rows, less `shift`, as float32.
struct Part {
  Matrix x;
  const double* shift = nullptr;  // [x.cols]; null = 0
  size_t first = 0;
  size_t cols = 0;
  // Where a device has the same values already: from row `held_first` of this matrix on.
  const DeviceMatrix* held = nullptr;
  size_t held_first = 0;

  // All columns.
  explicit Part(const Matrix& matrix, const double* less = nullptr) : x(matrix), shift(less), cols(matrix.cols) {}
  Part(const Matrix& matrix, const double* less, size_t from, size_t count)
      : x(matrix), shift(less), first(from), cols(count) {}

  // Elements [from, from + count) of a row of the part.
  void read(const GemmKernel& kernel, size_t row, size_t from, size_t count, float* out) const;
  // Where they are: float32 or float64.
  const char* at(size_t row, size_t from) const {
    return static_cast<const char*>(x.data) + (row * x.cols + first + from) * size();
  }
  // The same where nothing has to be done to them; or null.
  const float* plain(size_t row, size_t from) const {
    return x.is_double || shift != nullptr ? nullptr : x.f32(row) + first + from;
  }
  // Bytes of an element.
  size_t size() const { return x.is_double ? sizeof(double) : sizeof(float); }
};

struct Workers {
  ThreadPool& pool;
  const Control& control;
  const GemmKernel& kernel;
  Device* device = nullptr;  // null: the pool and the kernel do it all
};

// Vectors side by side, as GemmKernel takes them.
class Panels {
 public:
  // Zeros.
  Panels(size_t count, size_t depth);
  // The rows of `part`.
  Panels(const Part& part, const Workers& workers);
  // The rows of `part` become vectors first, first + 1, ...
  void put(size_t first, const Part& part, const Workers& workers);

  size_t count() const { return count_; }
  size_t depth() const { return depth_; }
  // Where they are on a device; null on the processor.
  const std::shared_ptr<const Held>& held() const { return held_; }
  size_t panels() const { return (count_ + GemmKernel::kPanel - 1) / GemmKernel::kPanel; }
  // Elements from `from` on of the vectors of a panel.
  const float* at(size_t panel, size_t from) const {
    return data_.data() + (panel * depth_ + from) * GemmKernel::kPanel;
  }

 private:
  size_t count_, depth_;
  Buffer<float> data_;
  std::shared_ptr<const Held> held_;
};

// Left factor of `combine`: [count, depth] float32, with room for whole blocks of rows.
class Coefficients {
 public:
  Coefficients(size_t count, size_t depth);
  size_t count() const { return count_; }
  size_t depth() const { return depth_; }
  size_t blocks() const { return (count_ + GemmKernel::kRows - 1) / GemmKernel::kRows; }
  size_t stride() const { return stride_; }
  float* row(size_t i) { return data_.data() + i * stride_; }
  const float* row(size_t i) const { return data_.data() + i * stride_; }

 private:
  size_t count_, depth_, stride_;
  Buffer<float> data_;
};

// A finished block of a product: value (first_row + i, first_col + j) is block[i * stride + j]. Called from several
// threads, each block once.
using Take = std::function<void(size_t first_row, size_t rows, size_t first_col, size_t cols, const double* block,
                                size_t stride)>;

constexpr size_t kAll = static_cast<size_t>(-1) / 2;

// Part [n, d] times vectors [m, d] transposed: [n, m]. Products are float32 sums of at most GemmKernel::kDepth terms,
// added in float64; the same bits for any number of threads and any SIMD level (on a device others, of 128 terms). Of
// row i, columns beyond `diagonal` + i may be missing. Throws Error ERR_CANCELLED.
void project(const Part& part, const Panels& vectors, size_t diagonal, const Workers& workers, const Take& take);

// Coefficients [m, n] times part [n, d]: [m, d]; where `lower`, what is above the diagonal may be missing. The rest as
// `project`.
void combine(const Coefficients& left, const Part& part, bool lower, const Workers& workers, const Take& take);

}  // namespace coregain::linear
