// The host's side of matrix products: matrices on the device, the stages that they are filled and read through, and how
// a product is cut into blocks.
#include <algorithm>
#include <memory>

#include "cuda/linear.h"
#include "cuda/multiply.h"
#include "cuda/runtime.h"

namespace coregain::cuda {
namespace {

constexpr size_t kMostPartial = size_t{1} << 25;  // numbers of all parts of a product
constexpr size_t kLeastPart = 512;                // elements of a part
constexpr unsigned kWaves = 2;                    // blocks for each multiprocessor, where there are as many

// One stage, and the stream of its copies.
struct Stage {
  explicit Stage(size_t bytes) : memory(bytes, Place::kPinned) {}
  Array<char> memory;
  Stream stream;
};

class Linear {
 public:
  Linear(int32_t device, size_t bytes)
      : device_(device), limits_(open_device(device)), stages_{Stage(bytes), Stage(bytes)} {}
  ~Linear() { use_device_quietly(device_); }
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  int32_t device() const { return device_; }
  void use() const { use_device(device_); }
  Stage& stage(int32_t which) { return stages_[which == 0 ? 0 : 1]; }
  const Stream& stream() const { return stream_; }
  void arrive() const {
    for (const Stage& stage : stages_) stage.stream.wait();
  }
  unsigned multiprocessors() const { return limits_.multiprocessors; }

  // [size], or null where there is no room for it.
  double* partial(size_t size) {
    if (partial_.size() >= size) return partial_.data();
    stream_.wait();
    partial_ = Array<double>();
    if (size * sizeof(double) > free_bytes() / 2) return nullptr;
    partial_ = Array<double>(size, Place::kDevice);
    return partial_.data();
  }

 private:
  int32_t device_;
  DeviceLimits limits_;  // before the rest: it chooses the device
  Stage stages_[2];
  // before the stream: its destructor waits for what uses it
  Array<double> partial_;
  Stream stream_;
};

struct MatrixOnDevice {
  Linear& linear;
  size_t rows, cols, stride;
  bool is_double;
  Array<float> floats;
  Array<double> doubles;

  MatrixOnDevice(Linear& at, size_t r, size_t c, bool wide)
      : linear(at), rows(r), cols(c), stride(wide ? c : (c + 3) / 4 * 4), is_double(wide) {
    linear.use();
    const size_t bytes = rows * stride * (wide ? sizeof(double) : sizeof(float)), free = free_bytes();
    if (bytes > free) {
      char text[300];
      std::snprintf(text, sizeof text,
                    "A matrix of %zu x %zu needs %.2f GB on the device, and %.2f GB are free. Use fewer dimensions, "
                    "less `memory` (blocks of fewer rows), or the device \"cpu\".",
                    rows, cols, static_cast<double>(bytes) / 1e9, static_cast<double>(free) / 1e9);
      fail(CudaCode::kMemory, text, bytes);
    }
    if (wide)
      doubles = Array<double>(rows * stride, Place::kDevice);
    else
      floats = Array<float>(rows * stride, Place::kDevice);
  }
  ~MatrixOnDevice() {
    use_device_quietly(linear.device());
    // what was started may still use it
    static_cast<void>(cudaStreamSynchronize(linear.stream().get()));
    for (int32_t which = 0; which < 2; ++which)
      static_cast<void>(cudaStreamSynchronize(linear.stage(which).stream.get()));
  }
  MatrixOnDevice(const MatrixOnDevice&) = delete;
  MatrixOnDevice& operator=(const MatrixOnDevice&) = delete;

  char* row(size_t i) const {
    return is_double ? reinterpret_cast<char*>(doubles.data() + i * stride)
                     : reinterpret_cast<char*>(floats.data() + i * stride);
  }
  size_t row_bytes() const { return stride * (is_double ? sizeof(double) : sizeof(float)); }
};

MatrixOnDevice& matrix_of(void* matrix) {
  return *static_cast<MatrixOnDevice*>(matrix);
}
Linear& linear_of(void* linear) {
  return *static_cast<Linear*>(linear);
}

void expect_shapes(bool fits) {
  if (!fits) fail(CudaCode::kFailed, "the shapes of these matrices contradict each other");
}

void copy_rows(MatrixOnDevice& matrix, int64_t first, int64_t rows, int32_t which, bool in) {
  Linear& linear = matrix.linear;
  linear.use();
  Stage& stage = linear.stage(which);
  const auto from = static_cast<size_t>(first), count = static_cast<size_t>(rows);
  expect_shapes(first >= 0 && rows >= 0 && from + count <= matrix.rows);
  const size_t bytes = count * matrix.row_bytes();
  expect_shapes(bytes <= stage.memory.size());
  linear.stream().wait();  // products that write, or still read, these rows
  if (in)
    stage.stream.copy(matrix.row(from), static_cast<const char*>(stage.memory.data()), bytes);
  else
    stage.stream.copy(stage.memory.data(), static_cast<const char*>(matrix.row(from)), bytes);
}

template <bool kAcrossA, bool kAcrossB>
void launch_product(Linear& linear, const Factor& a, const Factor& b, const CudaMultiply& p, const Sums& sums) {
  using Kernel = Multiply<kAcrossA, kAcrossB>;
  const auto m = static_cast<size_t>(p.m), n = static_cast<size_t>(p.n), k = static_cast<size_t>(p.k);
  const size_t tiles = Kernel::tiles(m, n), wanted = size_t{kWaves} * linear.multiprocessors();
  size_t parts = std::min({(wanted + tiles - 1) / tiles, k / kLeastPart, kMostPartial / (m * n)});
  double* const partial = parts > 1 ? linear.partial(parts * m * n) : nullptr;
  if (partial == nullptr) parts = 1;
  const size_t depth = Kernel::kDepth;
  const size_t part = std::max(depth, (k + parts * depth - 1) / (parts * depth) * depth);
  parts = std::max<size_t>(1, (k + part - 1) / part);
  launch(linear.stream(), Grid{static_cast<unsigned>(tiles * parts), Kernel::kThreads, Kernel::kShared},
         Kernel{a, b, m, n, k, p.diagonal, part, sums, partial});
  if (partial != nullptr)
    launch(linear.stream(),
           Grid{static_cast<unsigned>(std::min<size_t>((m * n + AddParts::kThreads - 1) / AddParts::kThreads, 4096)),
                AddParts::kThreads},
           AddParts{partial, parts, m, n, p.diagonal, sums});
}

Factor factor_of(const CudaFactor& side, int64_t lines, int64_t elements) {
  const auto& matrix = *static_cast<const MatrixOnDevice*>(side.matrix);
  const int64_t rows = side.across != 0 ? elements : lines, cols = side.across != 0 ? lines : elements;
  expect_shapes(!matrix.is_double && side.first >= 0 && static_cast<size_t>(side.first + rows) <= matrix.rows &&
                static_cast<size_t>(cols) <= matrix.cols);
  return {matrix.floats.data() + static_cast<size_t>(side.first) * matrix.stride, matrix.stride};
}

}  // namespace

CudaCode linear_open(int32_t device, uint64_t bytes, void** linear, CudaStages* stages, CudaFailure* failure) {
  *linear = nullptr;
  return guarded(failure, [&] {
    auto opened = std::make_unique<Linear>(device, bytes);
    *stages = {{opened->stage(0).memory.data(), opened->stage(1).memory.data()}, bytes};
    *linear = opened.release();
  });
}

void linear_close(void* linear) {
  delete static_cast<Linear*>(linear);
}

CudaCode linear_free(void* linear, uint64_t* bytes, CudaFailure* failure) {
  return guarded(failure, [&] {
    linear_of(linear).use();
    *bytes = free_bytes();
  });
}

CudaCode matrix_open(void* linear, int64_t rows, int64_t cols, int32_t is_double, void** matrix, CudaFailure* failure) {
  *matrix = nullptr;
  return guarded(failure, [&] {
    *matrix = std::make_unique<MatrixOnDevice>(linear_of(linear), static_cast<size_t>(rows), static_cast<size_t>(cols),
                                               is_double != 0)
                  .release();
  });
}

void matrix_close(void* matrix) {
  delete static_cast<MatrixOnDevice*>(matrix);
}

CudaCode matrix_clear(void* matrix, CudaFailure* failure) {
  return guarded(failure, [&] {
    MatrixOnDevice& m = matrix_of(matrix);
    m.linear.use();
    m.linear.arrive();
    m.linear.stream().clear(m.row(0), m.rows * m.row_bytes());
  });
}

CudaCode matrix_put(void* matrix, int64_t first, int64_t rows, int32_t stage, CudaFailure* failure) {
  return guarded(failure, [&] { copy_rows(matrix_of(matrix), first, rows, stage, true); });
}

CudaCode matrix_get(void* matrix, int64_t first, int64_t rows, int32_t stage, CudaFailure* failure) {
  return guarded(failure, [&] { copy_rows(matrix_of(matrix), first, rows, stage, false); });
}

CudaCode stage_wait(void* linear, int32_t stage, CudaFailure* failure) {
  return guarded(failure, [&] {
    linear_of(linear).use();
    linear_of(linear).stage(stage).stream.wait();
  });
}

CudaCode multiply(const CudaMultiply* problem, CudaFailure* failure) {
  return guarded(failure, [&] {
    const CudaMultiply& p = *problem;
    MatrixOnDevice& to = matrix_of(p.to);
    Linear& linear = to.linear;
    linear.use();
    expect_shapes(p.m >= 0 && p.n >= 0 && p.k >= 0 && p.row >= 0 && p.col >= 0 &&
                  static_cast<size_t>(p.row + p.m) <= to.rows && static_cast<size_t>(p.col + p.n) <= to.cols &&
                  (to.is_double || p.write == CudaWrite::kStore));
    if (p.m == 0 || p.n == 0) return;
    const Factor a = factor_of(p.a, p.m, p.k), b = factor_of(p.b, p.n, p.k);
    const size_t at = static_cast<size_t>(p.row) * to.stride + static_cast<size_t>(p.col);
    const Sums sums = {to.is_double ? nullptr : to.floats.data() + at, to.is_double ? to.doubles.data() + at : nullptr,
                       to.stride, p.write == CudaWrite::kAdd};
    linear.arrive();
    if (p.a.across != 0 && p.b.across != 0) return launch_product<true, true>(linear, a, b, p, sums);
    if (p.a.across != 0) return launch_product<true, false>(linear, a, b, p, sums);
    if (p.b.across != 0) return launch_product<false, true>(linear, a, b, p, sums);
    return launch_product<false, false>(linear, a, b, p, sums);
  });
}

}  // namespace coregain::cuda
