#include "reduce/pca.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/error.h"
#include "linear/products.h"
#include "reduce/pca_methods.h"

namespace coregain::reduce {

std::unique_ptr<PcaFit> PcaFit::make(const PcaTask& task) {
  if (task.method == "covariance") return covariance_fit(task);
  if (task.method == "gram") return gram_fit(task);
  return krylov_fit(task);
}

PcaFit::PcaFit(const PcaTask& t) : task(t), pool_(t.threads) {
  // the Gram matrix is as wide as there are rows
  const size_t widest = std::max(t.cols, t.method == "gram" ? t.rows : 0);
  if (t.device.library != nullptr) device_ = std::make_unique<linear::Device>(t.device, widest);
}

void PcaFit::feed_columns(const ColumnBlock&, const Control&, const std::function<void(size_t)>&) {
  throw Error("ERR_INTERNAL", "This method takes rows.");
}

void PcaFit::make_vectors(size_t k) {
  if (task.room == nullptr) vectors_ = Buffer<float>(k * task.cols);
  found_.vectors = {task.room == nullptr ? vectors_.data() : task.room, k * task.cols};
}

void transform(const Matrix& rows, const double* mean, const float* vectors, size_t k, const double* scale, void* out,
               bool is_double, unsigned threads, const std::string& simd, const Control& control,
               const linear::DeviceChoice& device) {
  ThreadPool pool(threads);
  std::unique_ptr<linear::Device> on;
  if (device.library != nullptr) on = std::make_unique<linear::Device>(device, std::max(rows.cols, k));
  const linear::Workers workers = {pool, control, gemm_kernel(simd), on.get()};
  const linear::Panels panels(linear::Part({vectors, false, k, rows.cols}), workers);
  // Float32 products of what is not finite are not either.
  std::vector<std::atomic<bool>> bad(rows.rows);
  linear::project(linear::Part(rows, mean), panels, linear::kAll, workers,
                  [&](size_t row, size_t count, size_t col, size_t cols, const double* block, size_t stride) {
                    for (size_t i = 0; i < count; ++i) {
                      for (size_t j = 0; j < cols; ++j) {
                        const double value = block[i * stride + j] * (scale == nullptr ? 1 : scale[col + j]);
                        if (!std::isfinite(value)) bad[row + i].store(true, std::memory_order_relaxed);
                        put(out, is_double, (row + i) * k + col + j, value);
                      }
                    }
                  });
  const auto at = std::find(bad.begin(), bad.end(), true);
  if (at != bad.end())
    throw Error("ERR_PCA_OVERFLOW", "The embedding matrix has values whose squares overflow. Scale it down first.",
                at - bad.begin());
}

namespace {

// Of a row: the sum of its squares, and its least and largest value.
struct Extent {
  double squares = 0;
  float least = 0, largest = 0;
};

Extent extent_of(const float* x, size_t d) {
  constexpr size_t kLanes = 8;  // side by side, so that no sum waits for the one before
  double squares[kLanes] = {};
  float least[kLanes] = {}, largest[kLanes] = {};
  const auto add = [&](size_t lane, float value) {
    squares[lane] += static_cast<double>(value) * static_cast<double>(value);
    least[lane] = value < least[lane] ? value : least[lane];
    largest[lane] = value > largest[lane] ? value : largest[lane];
  };
  size_t j = 0;
  for (; j + kLanes <= d; j += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) add(lane, x[j + lane]);
  for (; j < d; ++j) add(0, x[j]);
  Extent out;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    out.squares += squares[lane];
    out.least = std::min(out.least, least[lane]);
    out.largest = std::max(out.largest, largest[lane]);
  }
  return out;
}

}  // namespace

std::vector<char> normalise(float* vectors, size_t k, size_t d, ThreadPool& pool) {
  std::vector<char> turned(k, 0);
  pool.for_blocks(k, 1, [&](unsigned, size_t i, size_t) {
    float* const x = vectors + i * d;
    const auto [squares, least, largest] = extent_of(x, d);
    const bool first_is_least = -least == largest && *std::find_if(x, x + d, [most = largest](float value) {
      return std::fabs(value) == most;
    }) < 0;
    turned[i] = -least > largest || first_is_least;
    const double scale = squares > 0 ? (turned[i] != 0 ? -1 : 1) / std::sqrt(squares) : 0;
    for (size_t j = 0; j < d; ++j) x[j] = static_cast<float>(static_cast<double>(x[j]) * scale);
  });
  return turned;
}

}  // namespace coregain::reduce
