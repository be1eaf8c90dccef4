// Rows made ready for the pairwise kernels: moved to an origin where numbers are small, and rounded to the precision in
// which products are computed. docs/kernels.md derives the bounds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "cuda/api.h"
#include "kernels/gemm.h"
#include "kernels/int8.h"

namespace coregain::pairwise {

using Precision = CudaPrecision;

struct PointsTask {
  Matrix x;
  // Rows are divided by their lengths first, in float64, then rounded to the type of the matrix; a zero row stays.
  bool normalize = false;
  Precision precision = Precision::kFp32;
  unsigned threads = 0;
  std::string simd;
  // Null: the processor, which has kFp32 and kInt8.
  const CudaTable* library = nullptr;
  int32_t device = 0;
  // [x.cols]; null: the mean of the rows, or 0 where they are of unit length.
  const double* origin = nullptr;
};

// What underflow costs a product, for each column: products and sums below float32's normal numbers may be lost.
constexpr double kUnderflow = 0x1p-124;
// Numbers above may be divided by 127 or 32767 without losing digits.
constexpr double kLeast = 0x1p-900;

// What one side of a product is off by: |y| <= radius, |y - rounded y| <= residual.
struct Length {
  double radius = 0, residual = 0;
};

// y_i = x_i - origin, in float64, and its rounded form. `x` stays as it is while the points live.
class Points {
 public:
  // Throws Error ERR_NOT_FINITE or ERR_RANGE with the first row at fault, ERR_PRECISION, ERR_SIMD, ERR_MEMORY,
  // ERR_DEVICE, ERR_CANCELLED.
  Points(const PointsTask& task, Control& control);
  ~Points();
  Points(const Points&) = delete;
  Points& operator=(const Points&) = delete;

  size_t rows() const { return x_.rows; }
  size_t cols() const { return x_.cols; }
  // The rows as they were given, or at unit length.
  const Matrix& x() const { return x_; }
  bool normalized() const { return task_.normalize; }
  Precision precision() const { return task_.precision; }
  const std::vector<double>& origin() const { return origin_; }
  double y(size_t row, size_t j) const {
    return (x_.is_double ? x_.f64(row)[j] : static_cast<double>(x_.f32(row)[j])) - origin_[j];
  }
  // |y_i|^2, relative error below (d + 2) 2^-53
  double square(size_t row) const { return squares_[row]; }
  const std::vector<double>& squares() const { return squares_; }
  // As the left side of a product, and as the right one: there the processor's 8-bit kernel takes 16 bits.
  Length left(size_t row) const { return {radius_[row], residual_[row]}; }
  Length right(size_t row) const;
  // Most that a product of two such sides is off by: inputs rounded, then gamma() of the sums.
  double error(const Length& left, const Length& right) const;
  double gamma() const { return gamma_; }
  ThreadPool& pool() const { return *pool_; }
  const std::string& simd() const { return task_.simd; }

  // Rounded rows: float32, bfloat16 or int8 [rows, stride bytes], zero behind d.
  const char* form(size_t row) const { return forms_.data() + row * stride_; }
  size_t stride() const { return stride_; }
  // int8 only: the row is about scale times its integers.
  const std::vector<double>& scales() const { return scales_; }

  // Null on the processor.
  void* device() const { return device_.get(); }
  const CudaTable& library() const { return *task_.library; }

 private:
  void normalize(Control& control);
  void round(Control& control);
  void open_device();

  PointsTask task_;
  Matrix x_;
  std::unique_ptr<ThreadPool> pool_;
  Buffer<char> unit_;
  std::vector<double> origin_, squares_, radius_, residual_, scales_;
  size_t stride_ = 0;
  Buffer<char> forms_;
  double gamma_ = 0;
  std::unique_ptr<void, void (*)(void*)> device_{nullptr, nullptr};
};

// A vector as a sum of terms in a precision, each exact up to the next: what multiplies all rows at once.
struct Terms {
  std::vector<char> forms;     // [count, stride]
  std::vector<double> scales;  // [count]
  double unit = 1;             // power of two that the scales have in common
  double residual = 0;         // >= |w - sum of scale term|
  size_t count = 0;
};
Terms split(const std::vector<double>& w, Precision precision, size_t stride);

// Throws what a call of the CUDA library answered.
void check_device(CudaCode code, const CudaFailure& failure, const Control& control);

}  // namespace coregain::pairwise
