#include <algorithm>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "linear/device.h"
#include "linear/eigen.h"
#include "linear/products.h"
#include "reduce/moments.h"
#include "reduce/pca_methods.h"

namespace coregain::reduce {
namespace {

constexpr size_t kRows = 8 * GemmKernel::kDepth;  // that are transposed at a time

class CovarianceFit : public PcaFit {
 public:
  explicit CovarianceFit(const PcaTask& t) : PcaFit(t), moments_(t.cols, t.about_zero), scatter_(t.cols * t.cols) {
    std::fill_n(scatter_.data(), scatter_.size(), 0.0);
    if (device_ == nullptr) return;
    on_device_ = std::make_unique<linear::DeviceMatrix>(*device_, t.cols, t.cols, linear::DeviceMatrix::Type::kDouble);
    on_device_->clear();
  }

  size_t first_row() const override { return done_ ? task.rows : 0; }

  void feed(const Matrix& block, size_t, const Control& control, const std::function<void(size_t)>& done) override {
    moments_.add(block, false, pool_, control, doubles_kernel(task.simd));
    const linear::Workers workers = workers_of(control);
    const size_t d = task.cols;
    if (on_device_ != nullptr) {
      const linear::DeviceMatrix rows(linear::Part(block, moments_.shift().data()), workers);
      on_device_->product(rows.side(0, true), rows.side(0, true), {d, d, block.rows}, CudaWrite::kAdd, 0);
      done(block.rows);
      return;
    }
    for (size_t from = 0; from < block.rows; from += kRows) {
      const size_t count = std::min(kRows, block.rows - from);
      const Matrix rows = {block.is_double ? static_cast<const void*>(block.f64(from)) : block.f32(from),
                           block.is_double, count, d};
      const linear::Part part(rows, moments_.shift().data());
      linear::Coefficients columns(d, count);
      transpose(part, columns, workers.kernel);
      linear::combine(columns, part, true, workers,
                      [&](size_t row, size_t height, size_t col, size_t width, const double* sums, size_t stride) {
                        for (size_t i = 0; i < height; ++i)
                          for (size_t j = 0; j < width; ++j) scatter_[(row + i) * d + col + j] += sums[i * stride + j];
                      });
      done(from + count);
    }
  }

  void end_pass(const Control& control) override {
    const size_t d = task.cols;
    const auto n = static_cast<double>(moments_.rows());
    if (on_device_ != nullptr)
      on_device_->read(0, d, workers_of(control),
                       [&](size_t row, const double* sums) { std::copy_n(sums, row + 1, scatter_.data() + row * d); });
    on_device_.reset();
    for (size_t i = 0; i < d; ++i) {
      for (size_t j = 0; j <= i; ++j) {
        const double centred = scatter_[i * d + j] - n * moments_.drift(i) * moments_.drift(j);
        scatter_[i * d + j] = scatter_[j * d + i] = centred;
      }
    }
    const size_t wanted = std::min({task.dims, task.rows - 1, d});
    const linear::Eigen e = linear::eigen(scatter_, d, wanted, pool_, control, doubles_kernel(task.simd));
    scatter_ = {};
    const size_t k = describe(e.values, moments_.scatter(), task.rows, task.dims, found_);
    found_.mean = moments_.mean();
    found_.passes = 1;
    make_vectors(k);
    for (size_t i = 0; i < k * d; ++i) found_.vectors[i] = static_cast<float>(e.vectors[i]);
    normalise(found_.vectors.data(), k, d, pool_);
    done_ = true;
  }

  bool has_scores() const override { return false; }
  void scores(void*, bool, bool, const Control&) override {}

 private:
  void transpose(const linear::Part& part, linear::Coefficients& columns, const GemmKernel& kernel) {
    constexpr size_t kColumns = 64;
    pool_.for_blocks(task.cols, kColumns, [&](unsigned, size_t begin, size_t end) {
      float row[kColumns];
      for (size_t i = 0; i < part.x.rows; ++i) {
        part.read(kernel, i, begin, end - begin, row);
        for (size_t j = begin; j < end; ++j) columns.row(j)[i] = row[j - begin];
      }
    });
  }

  Moments moments_;
  Buffer<double> scatter_;                           // [d, d], lower triangle
  std::unique_ptr<linear::DeviceMatrix> on_device_;  // the same, while rows go by
  bool done_ = false;
};

}  // namespace

std::unique_ptr<PcaFit> covariance_fit(const PcaTask& task) {
  return std::make_unique<CovarianceFit>(task);
}

size_t describe(const std::vector<double>& values, double scatter, size_t rows, size_t dims, Components& out) {
  if (scatter > 0 && !values.empty() && !(values[0] > 0))
    throw Error("ERR_PCA_OVERFLOW", "The embedding matrix has values whose squares vanish. Scale it up first.");
  if (!(scatter > 0) || values.empty())
    throw Error("ERR_PCA_NO_VARIANCE", "All rows of the embedding matrix are equal: there is nothing to reduce.");
  const double noise = values[0] * kNoise;
  size_t rank = 0;
  while (rank < std::min(values.size(), rows - 1) && values[rank] > noise) ++rank;
  out.rank = rank;
  const size_t k = std::min(dims, rank);
  out.variance.resize(k);
  for (size_t i = 0; i < k; ++i) out.variance[i] = values[i] / static_cast<double>(rows - 1);
  out.total = scatter / static_cast<double>(rows - 1);
  return k;
}

}  // namespace coregain::reduce
