#include "linear/device.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/cuda_library.h"

namespace coregain::linear {
namespace {

constexpr size_t kStage = size_t{32} << 20;  // bytes of a stage
constexpr size_t kRowsTogether = 16;         // that a thread fills or takes at a time

void check(CudaCode code, const CudaFailure& failure) {
  if (code != CudaCode::kOk) throw cuda_error(code, failure);
}

}  // namespace

Device::Device(const DeviceChoice& choice, size_t widest)
    : library_(*choice.library), handle_(nullptr, choice.library->linear_close) {
  void* handle = nullptr;
  CudaFailure failure;
  const CudaCode code =
      library_.linear_open(choice.index, std::max(kStage, (widest + 4) * sizeof(double)), &handle, &stages_, &failure);
  handle_.reset(handle);
  check(code, failure);
}

size_t Device::free() const {
  uint64_t bytes = 0;
  CudaFailure failure;
  check(library_.linear_free(handle_.get(), &bytes, &failure), failure);
  return bytes;
}

DeviceMatrix::DeviceMatrix(Device& device, size_t rows, size_t cols, Type type)
    : device_(device), rows_(rows), cols_(cols), type_(type), handle_(nullptr, device.library_.matrix_close) {
  void* handle = nullptr;
  CudaFailure failure;
  const CudaCode code =
      device.library_.matrix_open(device.handle_.get(), static_cast<int64_t>(rows), static_cast<int64_t>(cols),
                                  type == Type::kDouble ? 1 : 0, &handle, &failure);
  handle_.reset(handle);
  check(code, failure);
}

DeviceMatrix::DeviceMatrix(const Part& part, const Workers& workers)
    : DeviceMatrix(*workers.device, part.x.rows, part.cols, Type::kFloat) {
  put(0, part, workers);
}

size_t DeviceMatrix::row_bytes() const {
  return type_ == Type::kDouble ? cols_ * sizeof(double) : (cols_ + 3) / 4 * 4 * sizeof(float);
}

void DeviceMatrix::wait(int32_t stage) const {
  CudaFailure failure;
  check(device_.library_.stage_wait(device_.handle_.get(), stage, &failure), failure);
}

void DeviceMatrix::clear() {
  CudaFailure failure;
  check(device_.library_.matrix_clear(handle_.get(), &failure), failure);
}

template <typename F>
void DeviceMatrix::in_stages(size_t first, size_t rows, const F& work) const {
  const size_t together = device_.stages_.bytes / row_bytes();
  int32_t stage = 0;
  for (size_t done = 0; done < rows; done += together, stage = 1 - stage)
    work(first + done, std::min(together, rows - done), stage);
}

void DeviceMatrix::put(size_t first, const Part& part, const Workers& workers) {
  put(
      first, part.x.rows, [&](size_t row, float* out) { part.read(workers.kernel, row - first, 0, part.cols, out); },
      workers);
}

void DeviceMatrix::put(size_t first, size_t rows, const std::function<void(size_t, float*)>& fill,
                       const Workers& workers) {
  const size_t stride = row_bytes() / sizeof(float);
  in_stages(first, rows, [&](size_t from, size_t count, int32_t stage) {
    wait(stage);
    auto* const to = static_cast<float*>(device_.stages_.memory[stage]);
    workers.pool.for_blocks(count, kRowsTogether, [&](unsigned, size_t begin, size_t end) {
      workers.control.check();
      for (size_t i = begin; i < end; ++i) {
        fill(from + i, to + i * stride);
        std::fill(to + i * stride + cols_, to + (i + 1) * stride, 0.0F);
      }
    });
    CudaFailure failure;
    check(device_.library_.matrix_put(handle_.get(), static_cast<int64_t>(from), static_cast<int64_t>(count), stage,
                                      &failure),
          failure);
  });
}

namespace {

// Rows of a stage, to whoever wants them.
template <typename T>
void hand_out(const void* stage, size_t stride, size_t from, size_t count, const Workers& workers,
              const std::function<void(size_t, const T*)>& take) {
  workers.pool.for_blocks(count, kRowsTogether, [&](unsigned, size_t begin, size_t end) {
    workers.control.check();
    for (size_t i = begin; i < end; ++i) take(from + i, static_cast<const T*>(stage) + i * stride);
  });
}

}  // namespace

template <typename T>
void DeviceMatrix::read_as(size_t first, size_t rows, const Workers& workers,
                           const std::function<void(size_t, const T*)>& take) const {
  struct {
    size_t from, count;
  } under_way[2] = {};
  const auto end = [&](int32_t stage) {
    if (under_way[stage].count == 0) return;
    wait(stage);
    hand_out<T>(device_.stages_.memory[stage], row_bytes() / sizeof(T), under_way[stage].from, under_way[stage].count,
                workers, take);
    under_way[stage].count = 0;
  };
  int32_t last = 0;
  // one stage is read while the other is on its way
  in_stages(first, rows, [&](size_t from, size_t count, int32_t stage) {
    end(stage);
    wait(stage);
    CudaFailure failure;
    check(device_.library_.matrix_get(handle_.get(), static_cast<int64_t>(from), static_cast<int64_t>(count), stage,
                                      &failure),
          failure);
    under_way[stage] = {from, count};
    last = stage;
  });
  end(1 - last);
  end(last);
}

void DeviceMatrix::read(size_t first, size_t rows, const Workers& workers,
                        const std::function<void(size_t, const float*)>& take) const {
  read_as<float>(first, rows, workers, take);
}
void DeviceMatrix::read(size_t first, size_t rows, const Workers& workers,
                        const std::function<void(size_t, const double*)>& take) const {
  read_as<double>(first, rows, workers, take);
}

void DeviceMatrix::product(const CudaFactor& a, const CudaFactor& b, Size size, CudaWrite write, size_t diagonal,
                           size_t row, size_t col) {
  const CudaMultiply problem = {
      .a = a,
      .b = b,
      .to = handle_.get(),
      .row = static_cast<int64_t>(row),
      .col = static_cast<int64_t>(col),
      .m = static_cast<int64_t>(size.m),
      .n = static_cast<int64_t>(size.n),
      .k = static_cast<int64_t>(size.k),
      .diagonal = static_cast<int64_t>(std::min(diagonal, size.n)),
      .write = write,
  };
  CudaFailure failure;
  check(device_.library_.multiply(&problem, &failure), failure);
}

Held hold(const Part& part, const Workers& workers) {
  // somebody else's: nothing to free
  if (part.held != nullptr) return {{std::shared_ptr<void>(), part.held}, part.held_first};
  return {std::make_shared<const DeviceMatrix>(part, workers), 0};
}

void project_on_device(const Part& part, const Held& vectors, size_t count, size_t diagonal, const Workers& workers,
                       const Take& take) {
  const Held rows = hold(part, workers);
  DeviceMatrix out(*workers.device, part.x.rows, count, DeviceMatrix::Type::kDouble);
  out.product(rows.matrix->side(rows.first), vectors.matrix->side(vectors.first), {part.x.rows, count, part.cols},
              CudaWrite::kStore, diagonal);
  out.read(0, part.x.rows, workers, [&](size_t row, const double* values) {
    take(row, 1, 0, diagonal == kAll ? count : std::min(count, diagonal + row + 1), values, count);
  });
}

namespace {

void multiply_combined(const Coefficients& left, const Part& part, bool lower, CudaWrite write, const Workers& workers,
                       DeviceMatrix& to) {
  const Held rows = hold(part, workers);
  DeviceMatrix factors(*workers.device, left.count(), left.depth(), DeviceMatrix::Type::kFloat);
  factors.put(
      0, left.count(), [&](size_t row, float* out) { std::copy_n(left.row(row), left.depth(), out); }, workers);
  to.product(factors.side(), rows.matrix->side(rows.first, true), {left.count(), part.cols, left.depth()}, write,
             lower ? 0 : kAll);
}

}  // namespace

void add_combined(const Coefficients& left, const Part& part, const Workers& workers, DeviceMatrix& sums) {
  multiply_combined(left, part, false, CudaWrite::kAdd, workers, sums);
}

void combine_on_device(const Coefficients& left, const Part& part, bool lower, const Workers& workers,
                       const Take& take) {
  DeviceMatrix out(*workers.device, left.count(), part.cols, DeviceMatrix::Type::kDouble);
  multiply_combined(left, part, lower, CudaWrite::kStore, workers, out);
  out.read(0, left.count(), workers, [&](size_t row, const double* values) {
    take(row, 1, 0, lower ? std::min(part.cols, row + 1) : part.cols, values, part.cols);
  });
}

}  // namespace coregain::linear
