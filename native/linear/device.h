// Matrices on a CUDA device and their products (docs/gpu.md): what `project` and `combine` of linear/products.h are
// made of there, and what keeps rows, vectors and sums where they are from one product to the next.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "core/control.h"
#include "cuda/api.h"
#include "linear/products.h"

namespace coregain::linear {

// Which device, and what it is reached through.
struct DeviceChoice {
  const CudaTable* library = nullptr;  // null: the processor
  int32_t index = 0;
};

// A device that holds matrices. Used by one thread at a time; the matrices go first.
class Device {
 public:
  // `widest`: columns of the widest matrix. Throws Error ERR_DEVICE, ERR_MEMORY.
  Device(const DeviceChoice& choice, size_t widest);
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Bytes that matrices may still take.
  size_t free() const;

 private:
  friend class DeviceMatrix;
  const CudaTable& library_;
  CudaStages stages_{};
  std::unique_ptr<void, void (*)(void*)> handle_;
};

// float32 [rows, cols], a factor of products, or float64, which they are added to. Not cleared.
class DeviceMatrix {
 public:
  enum class Type { kFloat, kDouble };
  // Throws Error ERR_MEMORY with the bytes that are needed.
  DeviceMatrix(Device& device, size_t rows, size_t cols, Type type);
  // float32, the values of a part.
  DeviceMatrix(const Part& part, const Workers& workers);

  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  size_t bytes() const { return rows_ * row_bytes(); }
  void clear();
  // Rows first .. of a float32 matrix become those of a part.
  void put(size_t first, const Part& part, const Workers& workers);
  // The same of rows that `fill(row, out)` writes, [cols] each; called from several threads.
  void put(size_t first, size_t rows, const std::function<void(size_t, float*)>& fill, const Workers& workers);
  // take(row, values) of rows [first, first + rows), from several threads. Of the type of the matrix.
  void read(size_t first, size_t rows, const Workers& workers,
            const std::function<void(size_t, const float*)>& take) const;
  void read(size_t first, size_t rows, const Workers& workers,
            const std::function<void(size_t, const double*)>& take) const;

  // Rows first .. as a side of a product, or where `across` their transpose.
  CudaFactor side(size_t first = 0, bool across = false) const {
    return {handle_.get(), static_cast<int64_t>(first), across ? 1 : 0};
  }
  // At (row, col) of this matrix: element (i, j), i < m, j < n, becomes sum over k of a(i, k) b(j, k), or it is added.
  // Float32 sums of 128 products, then float64. What is beyond column i + diagonal of the product may be anything.
  struct Size {
    size_t m, n, k;
  };
  void product(const CudaFactor& a, const CudaFactor& b, Size size, CudaWrite write, size_t diagonal = kAll,
               size_t row = 0, size_t col = 0);

 private:
  size_t row_bytes() const;
  // Calls work(first row, rows, stage) for as many rows as a stage has room for, stages in turn.
  template <typename F>
  void in_stages(size_t first, size_t rows, const F& work) const;
  template <typename T>
  void read_as(size_t first, size_t rows, const Workers& workers,
               const std::function<void(size_t, const T*)>& take) const;
  void wait(int32_t stage) const;

  Device& device_;
  size_t rows_, cols_;
  Type type_;
  std::unique_ptr<void, void (*)(void*)> handle_;
};

// The matrix that has the part, made where there is none yet; and the row at which it begins.
struct Held {
  std::shared_ptr<const DeviceMatrix> matrix;
  size_t first;
};
Held hold(const Part& part, const Workers& workers);

// Adds coefficients [m, n] times part [n, d] to `sums`.
void add_combined(const Coefficients& left, const Part& part, const Workers& workers, DeviceMatrix& sums);

// `project` and `combine` on the workers' device.
void project_on_device(const Part& part, const Held& vectors, size_t count, size_t diagonal, const Workers& workers,
                       const Take& take);
void combine_on_device(const Coefficients& left, const Part& part, bool lower, const Workers& workers,
                       const Take& take);

}  // namespace coregain::linear
