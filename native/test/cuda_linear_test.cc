// Matrix products and PCA on a device (compiled for the processor, cuda_emulation.h): products are within the error of
// their sums, and principal components agree with those of the processor to float32 (docs/gpu.md).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.h"
#include "core/error.h"
#include "cuda_library_emulated.h"
#include "fitted.h"
#include "linear/device.h"
#include "linear/eigen.h"
#include "reduce/pca.h"
#include "spectrum.h"

namespace coregain {
namespace {

using linear::Device;
using linear::DeviceMatrix;

struct Setup {
  explicit Setup(size_t widest, unsigned threads = 2)
      : pool(threads), device({coregain_cuda_table(), 0}, widest), workers{pool, control, gemm_kernel(""), &device} {}
  ThreadPool pool;
  const Control control;
  Device device;
  const linear::Workers workers;
};

// Element (line, k) of a factor that is stored either way.
float element(const std::vector<float>& x, size_t cols, size_t first, bool across, size_t line, size_t k) {
  return across ? x[(first + k) * cols + line] : x[(first + line) * cols + k];
}

TEST("products of factors stored either way, of a part of the rows, added or not, whole or in parts along k") {
  for (const auto& [m, n, k] : {std::array<size_t, 3>{1, 1, 1}, {3, 70, 17}, {130, 65, 128}, {40, 30, 1500}}) {
    for (const bool a_across : {false, true}) {
      for (const bool b_across : {false, true}) {
        Setup s(2000);
        const size_t a_first = 2, b_first = 5;
        const size_t a_rows = a_first + (a_across ? k : m), a_cols = a_across ? m : k;
        const size_t b_rows = b_first + (b_across ? k : n), b_cols = b_across ? n : k;
        const std::vector<float> a = normal(a_rows * a_cols, 1), b = normal(b_rows * b_cols, 2);
        const DeviceMatrix left(linear::Part({a.data(), false, a_rows, a_cols}), s.workers);
        const DeviceMatrix right(linear::Part({b.data(), false, b_rows, b_cols}), s.workers);
        // at (1, 2) of a larger matrix, whose other elements stay 0
        DeviceMatrix sums(s.device, m + 1, n + 2, DeviceMatrix::Type::kDouble);
        sums.clear();
        const CudaFactor first = left.side(a_first, a_across), second = right.side(b_first, b_across);
        for (int turn = 0; turn < 2; ++turn)
          sums.product(first, second, {m, n, k}, CudaWrite::kAdd, linear::kAll, 1, 2);
        DeviceMatrix floats(s.device, m, n, DeviceMatrix::Type::kFloat);
        floats.product(first, second, {m, n, k}, CudaWrite::kStore);
        std::vector<double> got((m + 1) * (n + 2));
        std::vector<float> rounded(m * n);
        sums.read(0, m + 1, s.workers,
                  [&](size_t row, const double* values) { std::copy_n(values, n + 2, &got[row * (n + 2)]); });
        floats.read(0, m, s.workers,
                    [&](size_t row, const float* values) { std::copy_n(values, n, &rounded[row * n]); });
        for (size_t i = 0; i < m + 1; ++i) EXPECT(got[i * (n + 2)] == 0 && got[i * (n + 2) + 1] == 0);
        for (size_t j = 0; j < n + 2; ++j) EXPECT(got[j] == 0);
        for (size_t i = 0; i < m; ++i) {
          for (size_t j = 0; j < n; ++j) {
            double want = 0, magnitudes = 0;
            for (size_t t = 0; t < k; ++t) {
              const double term = static_cast<double>(element(a, a_cols, a_first, a_across, i, t)) *
                                  static_cast<double>(element(b, b_cols, b_first, b_across, j, t));
              want += term;
              magnitudes += std::fabs(term);
            }
            const double error = magnitudes * 129 * 0x1.01p-24;
            EXPECT(std::fabs(got[(i + 1) * (n + 2) + j + 2] - 2 * want) <= 2 * error);
            EXPECT(std::fabs(static_cast<double>(rounded[i * n + j]) - want) <= error + std::fabs(want) * 0x1p-24);
          }
        }
      }
    }
  }
}

TEST("a symmetric product is right on and below its diagonal, wherever that is") {
  const size_t n = 300, k = 700, diagonal = 40;
  Setup s(k);
  const std::vector<float> x = normal(n * k, 3);
  const DeviceMatrix rows(linear::Part({x.data(), false, n, k}), s.workers);
  DeviceMatrix whole(s.device, n, n, DeviceMatrix::Type::kDouble), lower(s.device, n, n, DeviceMatrix::Type::kDouble);
  whole.product(rows.side(), rows.side(), {n, n, k}, CudaWrite::kStore);
  lower.product(rows.side(), rows.side(), {n, n, k}, CudaWrite::kStore, diagonal);
  std::vector<double> a(n * n), b(n * n);
  whole.read(0, n, s.workers, [&](size_t row, const double* values) { std::copy_n(values, n, &a[row * n]); });
  lower.read(0, n, s.workers, [&](size_t row, const double* values) { std::copy_n(values, n, &b[row * n]); });
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      EXPECT(std::fabs(a[i * n + j] - a[j * n + i]) < 1e-3);
      if (j <= i + diagonal) EXPECT(std::fabs(b[i * n + j] - a[i * n + j]) < 1e-3);
    }
  }
}

TEST("rows and vectors that a device holds already give the products of those that are sent") {
  const size_t n = 70, d = 330, m = 50;
  Setup s(d);
  const std::vector<float> x = normal(n * d, 4), v = normal(m * d, 5);
  const std::vector<double> shift(d, 0.25);
  linear::Part part({x.data(), false, n, d}, shift.data()), vectors({v.data(), false, m, d});
  const auto project = [&] {
    const linear::Panels panels(vectors, s.workers);
    std::vector<double> out(n * m, 0);
    linear::project(part, panels, linear::kAll, s.workers,
                    [&](size_t row, size_t rows, size_t col, size_t cols, const double* block, size_t stride) {
                      for (size_t i = 0; i < rows; ++i)
                        std::copy_n(block + i * stride, cols, &out[(row + i) * m + col]);
                    });
    return out;
  };
  const std::vector<double> sent = project();
  // behind two other rows
  DeviceMatrix rows(s.device, n + 2, d, DeviceMatrix::Type::kFloat);
  rows.put(2, part, s.workers);
  const DeviceMatrix there(vectors, s.workers);
  part.held = &rows;
  part.held_first = 2;
  vectors.held = &there;
  EXPECT(project() == sent);
  for (size_t i = 0; i < n; ++i) {
    for (size_t q = 0; q < m; ++q) {
      double sum = 0;
      for (size_t j = 0; j < d; ++j)
        sum += (static_cast<double>(x[i * d + j]) - 0.25) * static_cast<double>(v[q * d + j]);
      EXPECT(std::fabs(sent[i * m + q] - sum) < 1e-4);
    }
  }
}

Fitted fit_on_device(const Matrix& x, reduce::PcaTask task, size_t block) {
  task.device = {coregain_cuda_table(), 0};
  const size_t before = cuda::emulated().launches;
  Fitted out = fit(x, task, block);
  EXPECT(cuda::emulated().launches > before);
  return out;
}

// Bounds the largest sine of an angle between two spaces of k orthonormal rows each: the length of what B has outside
// A.
double sine(const std::vector<float>& a, const std::vector<float>& b, size_t k, size_t d) {
  double squares = 0;
  std::vector<double> rest(d);
  for (size_t q = 0; q < k; ++q) {
    std::copy_n(&b[q * d], d, rest.begin());
    for (size_t p = 0; p < k; ++p) {
      double along = 0;
      for (size_t j = 0; j < d; ++j) along += static_cast<double>(a[p * d + j]) * static_cast<double>(b[q * d + j]);
      for (size_t j = 0; j < d; ++j) rest[j] -= along * static_cast<double>(a[p * d + j]);
    }
    for (const double value : rest) squares += value * value;
  }
  return std::sqrt(squares);
}

TEST("every method finds on a device what it finds on the processor, to float32") {
  struct Shape {
    size_t n, d, k, block;
    bool whole;
  };
  for (const Shape& s : {Shape{400, 90, 8, 400, true},
                         {400, 90, 8, 130, true},
                         {400, 90, 8, 130, false},
                         {90, 260, 8, 90, true},
                         {90, 260, 8, 25, false}}) {
    const std::vector<float> x = spectrum(s.n, s.d, 11);
    const std::vector<double> wide(x.begin(), x.end());
    for (const char* method : {"covariance", "gram", "krylov"}) {
      for (const bool is_double : {false, true}) {
        const Matrix matrix = {is_double ? static_cast<const void*>(wide.data()) : x.data(), is_double, s.n, s.d};
        reduce::PcaTask task;
        task.method = method;
        task.dims = s.k;
        task.block_columns = 8;
        task.by_columns = std::string(method) == "gram" && s.whole;
        task.resident_rows = s.whole ? s.n : 40;
        // whole chunks of columns
        const size_t block = task.by_columns ? 192 : s.block;
        task.threads = 2;
        const Fitted want = fit(matrix, task, block), got = fit_on_device(matrix, task, block);
        EXPECT(got.found.variance.size() == s.k && want.found.variance.size() == s.k);
        double variance = 0, scores = 0;
        for (size_t q = 0; q < s.k; ++q)
          variance =
              std::max(variance, std::fabs(got.found.variance[q] - want.found.variance[q]) / want.found.variance[0]);
        for (size_t i = 0; i < got.scores.size(); ++i)
          scores = std::max(scores, std::fabs(got.scores[i] - want.scores[i]));
        // Both are off the covariance by some 2^-24 of its size, and the spaces by that over the gap behind them, which
        // is 1/8^2 - 1/9^2 of it. Krylov's spaces have not met what they miss, so they differ a little more.
        EXPECT(sine(want.vectors, got.vectors, s.k, s.d) < (std::string(method) == "krylov" ? 1e-4 : 1e-5));
        EXPECT(variance < 1e-6);
        EXPECT(scores < 1e-4);
        // Where rows may be overwritten: the same bits, as the same mean is taken off them.
        if (s.whole && std::string(method) == "krylov") {
          std::vector<float> copy = x;
          std::vector<double> wide_copy = wide;
          reduce::PcaTask over = task;
          over.overwrite = true;
          const Fitted spoilt =
              fit_on_device({is_double ? static_cast<const void*>(wide_copy.data()) : copy.data(), is_double, s.n, s.d},
                            over, s.block);
          EXPECT(spoilt.found.variance == got.found.variance && spoilt.scores == got.scores);
          EXPECT(spoilt.vectors == got.vectors);
        }
        // the same bits again, and for another number of threads
        task.threads = 3;
        const Fitted again = fit_on_device(matrix, task, block);
        EXPECT(again.vectors == got.vectors && again.scores == got.scores &&
               again.found.variance == got.found.variance);
      }
    }
  }
}

TEST("rows that stay on a device give what rows give that are sent in every pass") {
  const size_t n = 300, d = 500;
  const std::vector<float> x = spectrum(n, d, 21);
  reduce::PcaTask task;
  task.method = "krylov";
  task.dims = 24;
  task.block_columns = 8;
  cuda::Emulated& device = cuda::emulated();
  const size_t usual = device.memory;
  device.most_used = 0;
  const Fitted stay = fit_on_device({x.data(), false, n, d}, task, 100);
  const size_t with = device.most_used;
  device.memory = size_t{500} << 20;  // less than what rows that stay leave to the rest
  device.most_used = 0;
  const Fitted sent = fit_on_device({x.data(), false, n, d}, task, 100);
  EXPECT(with >= device.most_used + (n - 100) * d * sizeof(float));
  device.memory = usual;
  EXPECT(stay.vectors == sent.vectors && stay.scores == sent.scores);
  EXPECT(device.used == 0);
}

TEST("where memory lacks, the bytes and the cure are said; a cancelled fit ends; nothing stays behind") {
  const size_t n = 120, d = 400;
  const std::vector<float> x = spectrum(n, d, 31);
  cuda::Emulated& device = cuda::emulated();
  const size_t usual = device.memory;
  for (const char* method : {"covariance", "gram", "krylov"}) {
    reduce::PcaTask task;
    task.method = method;
    task.dims = 10;
    task.block_columns = 8;
    task.resident_rows = n;
    device.memory = (size_t{64} << 20) + (size_t{100} << 10);
    std::string code, message;
    try {
      fit_on_device({x.data(), false, n, d}, task, n);
    } catch (const Error& error) {
      code = error.code;
      message = error.what();
    }
    device.memory = usual;
    EXPECT(code == "ERR_MEMORY");
    EXPECT(message.find(" needs 0.00 GB on the device") != std::string::npos &&
           message.find("or the device \"cpu\"") != std::string::npos);
    task.rows = n;
    task.cols = d;
    task.device = {coregain_cuda_table(), 0};
    Control control;
    control.cancel();
    code = "";
    try {
      reduce::PcaFit::make(task)->feed({x.data(), false, n, d}, 0, control, [](size_t) {});
    } catch (const Error& error) {
      code = error.code;
    }
    EXPECT(code == "ERR_CANCELLED");
    EXPECT(device.used == 0);
  }
}

TEST("a thread that never chose a device may close what others opened") {
  const std::vector<float> x = normal(40, 6);
  auto s = std::make_unique<Setup>(10);
  auto rows = std::make_unique<DeviceMatrix>(linear::Part({x.data(), false, 4, 10}), s->workers);
  std::thread([&] {
    rows.reset();
    s.reset();
  }).join();
  EXPECT(cuda::emulated().used == 0);
}

TEST("a device that there is no machine code for is refused by name") {
  const int before = std::exchange(cuda::emulated().major, 7);
  std::string code, message;
  try {
    const Setup s(10);
  } catch (const Error& error) {
    code = error.code;
    message = error.what();
  }
  CudaDevice device{};
  int32_t count = 0;
  CudaFailure failure;
  EXPECT(coregain_cuda_table()->devices(&device, 1, &count, &failure) == CudaCode::kUnavailable);
  EXPECT(std::string(static_cast<const char*>(failure.message)).find("and no device has it") != std::string::npos);
  cuda::emulated().major = before;
  EXPECT(coregain_cuda_table()->devices(&device, 1, &count, &failure) == CudaCode::kOk && count == 1);
  EXPECT(code == "ERR_DEVICE");
  EXPECT(message.find("cuda:0 is of compute capability 7.0, and kernels need 8.0") == 0);
}

TEST("a product whose shapes contradict each other is refused") {
  Setup s(10);
  DeviceMatrix a(s.device, 4, 10, DeviceMatrix::Type::kFloat), c(s.device, 4, 4, DeviceMatrix::Type::kDouble);
  EXPECT_THROWS(c.product(a.side(), a.side(), {4, 4, 11}, CudaWrite::kStore));
  EXPECT_THROWS(c.product(a.side(1), a.side(), {4, 4, 10}, CudaWrite::kStore));
  EXPECT_THROWS(c.product(a.side(), a.side(), {4, 4, 10}, CudaWrite::kStore, linear::kAll, 1));
  EXPECT_THROWS(c.product(c.side(), a.side(), {4, 4, 4}, CudaWrite::kStore));
  EXPECT_THROWS(a.product(a.side(), a.side(), {4, 4, 10}, CudaWrite::kAdd));
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
