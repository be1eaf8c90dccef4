#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "core/freed.h"
#include "linear/device.h"
#include "linear/eigen.h"
#include "linear/products.h"
#include "reduce/moments.h"
#include "reduce/pca_methods.h"
#include "reduce/row_products.h"

namespace coregain::reduce {
namespace {

constexpr size_t kColumns = 21 * GemmKernel::kDepth;  // of which products are added at a time

// If u is an eigenvector of the Gram matrix G = Xc Xc^T with eigenvalue s, the scores are u sqrt(s), and Xc^T u /
// sqrt(s) is the component.
class GramFit : public PcaFit {
 public:
  explicit GramFit(const PcaTask& t) : PcaFit(t), moments_(t.by_columns ? 0 : t.cols, t.about_zero) {
    resident_ = t.by_columns ? task.rows : std::clamp(task.resident_rows, size_t{1}, task.rows);
    if (t.by_columns) {
      found_.mean.resize(t.cols);
      sums_.resize(t.cols);
    }
    if (device_ == nullptr) {
      if (t.by_columns) return;
      gram_ = Buffer<double>(t.rows * t.rows);
      std::fill_n(gram_.data(), gram_.size(), 0.0);
      return;
    }
    on_device_ = std::make_unique<linear::DeviceMatrix>(*device_, t.rows, t.rows, linear::DeviceMatrix::Type::kDouble);
    on_device_->clear();
    // half of what is left for rows that stay
    if (!t.by_columns) resident_ = std::clamp(device_->free() / 2 / (sizeof(float) * t.cols), size_t{1}, resident_);
  }

  size_t first_row() const override {
    return stage_ == Stage::kGram ? begin_ : stage_ == Stage::kComponents ? 0 : task.rows;
  }

  void feed(const Matrix& block, size_t first, const Control& control,
            const std::function<void(size_t)>& done) override {
    const linear::Workers workers = workers_of(control);
    if (stage_ == Stage::kComponents) {
      combine(block, first, workers, done);
      return;
    }
    if (begin_ == 0) moments_.add(block, false, pool_, control, doubles_kernel(task.simd));
    const size_t end = std::min(begin_ + resident_, task.rows);
    if (on_device_ != nullptr) return compare_on_device(block, first, end, workers, done);
    if (kept_.empty())
      for (size_t from = 0; from < task.cols; from += kColumns)
        kept_.emplace_back(end - begin_, std::min(kColumns, task.cols - from));
    compare(block, first, end, workers, done);
  }

  void feed_columns(const ColumnBlock& block, const Control& control,
                    const std::function<void(size_t)>& done) override {
    const linear::Workers workers = workers_of(control);
    double* const mean = &found_.mean[block.first];
    // where the pointer to the mean of the first column of `x` would be
    const double* const shift = mean - block.from;
    const linear::Part part(block.x, shift, block.from, block.cols);
    if (stage_ == Stage::kComponents) {
      if (left_ == nullptr) left_ = std::make_unique<linear::Coefficients>(left_of(0, task.rows));
      linear::combine(*left_, part, false, workers,
                      [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                        for (size_t q = 0; q < rows; ++q) {
                          float* const out = &found_.vectors[(row + q) * task.cols + block.first + col];
                          for (size_t j = 0; j < cols; ++j) out[j] = static_cast<float>(sums[q * stride + j]);
                        }
                      });
    } else {
      const Centre centre = {task.about_zero, mean, &sums_[block.first]};
      const DoublesKernel& doubles = doubles_kernel(task.simd);
      if (on_device_ == nullptr) {
        const size_t width = std::max(task.block_columns, block.cols);  // the first block may be a narrow one
        if (products_ == nullptr) products_ = std::make_unique<RowProducts>(task.rows, width, workers);
        products_->add(part, doubles, centre, workers);
      } else {
        measure(part, doubles, centre, workers);
        const linear::DeviceMatrix columns(part, workers);
        on_device_->product(columns.side(), columns.side(), {task.rows, task.rows, block.cols}, CudaWrite::kAdd, 0);
      }
    }
    done(block.cols);
  }

  void end_pass(const Control& control) override {
    ++found_.passes;
    if (stage_ == Stage::kComponents) {
      left_.reset();
      const std::vector<char> turned = normalise(found_.vectors.data(), found_.variance.size(), task.cols, pool_);
      for (size_t q = 0; q < turned.size(); ++q)
        for (size_t i = 0; turned[q] != 0 && i < task.rows; ++i) vectors_[q * task.rows + i] *= -1;
      stage_ = Stage::kDone;
      return;
    }
    kept_.clear();
    kept_on_device_.reset();
    give_back_freed();
    begin_ += resident_;
    if (begin_ < task.rows) return;
    solve(control);
    stage_ = task.components ? Stage::kComponents : Stage::kDone;
  }

  bool has_scores() const override { return true; }

  void scores(void* out, bool is_double, bool whiten, const Control& control) override {
    const size_t n = task.rows, k = found_.variance.size();
    pool_.for_blocks(n, 64, [&](unsigned, size_t begin, size_t end) {
      control.check();
      for (size_t i = begin; i < end; ++i) {
        for (size_t q = 0; q < k; ++q) {
          const double scale = std::sqrt(static_cast<double>(n - 1) * (whiten ? 1 : found_.variance[q]));
          put(out, is_double, i * k + q, vectors_[q * n + i] * scale);
        }
      }
    });
  }

 private:
  enum class Stage { kGram, kComponents, kDone };

  // Adds to the elements of G at (from_row.., from_col..).
  linear::Take adding(size_t from_row, size_t from_col) {
    return [this, from_row, from_col](size_t row, size_t rows, size_t col, size_t cols, const double* sums,
                                      size_t stride) {
      for (size_t i = 0; i < rows; ++i) {
        double* const out = &gram_[(from_row + row + i) * task.rows + from_col + col];
        for (size_t j = 0; j < cols; ++j) out[j] += sums[i * stride + j];
      }
    };
  }

  // Products of the rows of a block with rows [begin_, end) that are not behind them.
  void compare(const Matrix& block, size_t first, size_t end, const linear::Workers& workers,
               const std::function<void(size_t)>& done) {
    auto kept = kept_.begin();
    for (size_t col = 0; col < task.cols; col += kColumns, ++kept) {
      const linear::Part part(block, moments_.shift().data(), col, std::min(kColumns, task.cols - col));
      if (first < end) {
        linear::Part resident = part;
        resident.x.rows = std::min(block.rows, end - first);
        kept->put(first - begin_, resident, workers);
      }
      linear::project(part, *kept, first - begin_, workers, adding(first, begin_));
      done(block.rows * (col + part.cols) / task.cols);
    }
  }

  // The same on a device, where rows [begin_, end) stay until the pass ends.
  void compare_on_device(const Matrix& block, size_t first, size_t end, const linear::Workers& workers,
                         const std::function<void(size_t)>& done) {
    using linear::DeviceMatrix;
    const double* const shift = moments_.shift().data();
    const size_t d = task.cols, inside = first < end ? std::min(block.rows, end - first) : 0;
    if (kept_on_device_ == nullptr)
      kept_on_device_ = std::make_unique<DeviceMatrix>(*device_, end - begin_, d, DeviceMatrix::Type::kFloat);
    if (inside != 0) {
      const size_t at = first - begin_;
      kept_on_device_->put(at, linear::Part({block.data, block.is_double, inside, d}, shift), workers);
      on_device_->product(kept_on_device_->side(at), kept_on_device_->side(), {inside, at + inside, d}, CudaWrite::kAdd,
                          at, first, begin_);
      done(inside);
    }
    if (inside == block.rows) return;
    const void* const rest = block.is_double ? static_cast<const void*>(block.f64(inside)) : block.f32(inside);
    const DeviceMatrix rows(linear::Part({rest, block.is_double, block.rows - inside, d}, shift), workers);
    on_device_->product(rows.side(), kept_on_device_->side(), {block.rows - inside, end - begin_, d}, CudaWrite::kAdd,
                        linear::kAll, first + inside, begin_);
    done(block.rows);
  }

  void solve(const Control& control) {
    const size_t n = task.rows;
    if (products_ != nullptr) gram_ = products_->take(workers_of(control));
    products_.reset();
    if (on_device_ != nullptr) {
      gram_ = Buffer<double>(n * n);
      on_device_->read(0, n, workers_of(control),
                       [&](size_t row, const double* sums) { std::copy_n(sums, row + 1, gram_.data() + row * n); });
    }
    on_device_.reset();
    give_back_freed();
    // Rows were shifted by the mean of the first ones: what is left of the mean goes out of rows and columns.
    std::vector<double> mean(n, 0);
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < i; ++j) {
        gram_[j * n + i] = gram_[i * n + j];
        mean[j] += gram_[i * n + j];
        mean[i] += gram_[i * n + j];
      }
      mean[i] += gram_[i * n + i];
    }
    if (task.about_zero) std::fill(mean.begin(), mean.end(), 0.0);
    double all = 0;
    for (double& m : mean) {
      m /= static_cast<double>(n);
      all += m / static_cast<double>(n);
    }
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) gram_[i * n + j] += all - mean[i] - mean[j];
    double scatter = 0;
    for (size_t i = 0; i < n; ++i) scatter += std::max(0.0, gram_[i * n + i]);
    linear::Eigen e = linear::eigen(gram_, n, std::min(task.dims, task.about_zero ? n : n - 1), pool_, control,
                                    doubles_kernel(task.simd));
    gram_ = {};
    give_back_freed();
    const size_t k = describe(e.values, task.by_columns ? scatter : moments_.scatter(), n, task.dims, found_);
    if (task.by_columns)
      for (size_t j = 0; j < task.cols && !task.about_zero; ++j) found_.mean[j] += sums_[j] / static_cast<double>(n);
    else
      found_.mean = moments_.mean();
    sums_ = {};
    vectors_ = std::move(e.vectors);
    if (task.components) {
      make_vectors(k);
      return;
    }
    // The sign that scores of largest magnitude make positive, where nobody asked for the components.
    for (size_t q = 0; q < k; ++q) {
      double* const u = &vectors_[q * n];
      double largest = 0;
      for (size_t i = 0; i < n; ++i)
        if (std::fabs(u[i]) > std::fabs(largest)) largest = u[i];
      for (size_t i = 0; largest < 0 && i < n; ++i) u[i] *= -1;
    }
  }

  // What rows [first, first + rows) are multiplied with for the components.
  linear::Coefficients left_of(size_t first, size_t rows) const {
    const size_t k = found_.variance.size(), n = task.rows;
    linear::Coefficients left(k, rows);
    for (size_t q = 0; q < k; ++q) {
      const double scale = 1 / std::sqrt(found_.variance[q] * static_cast<double>(n - 1));
      for (size_t i = 0; i < rows; ++i) left.row(q)[i] = static_cast<float>(vectors_[q * n + first + i] * scale);
    }
    return left;
  }

  void combine(const Matrix& block, size_t first, const linear::Workers& workers,
               const std::function<void(size_t)>& done) {
    const size_t d = task.cols;
    const linear::Coefficients left = left_of(first, block.rows);
    std::atomic<size_t> columns{0};
    // Scores have the mean 0: what is subtracted from all rows makes no difference.
    linear::combine(left, linear::Part(block, found_.mean.data()), false, workers,
                    [&](size_t row, size_t rows, size_t col, size_t cols, const double* sums, size_t stride) {
                      for (size_t q = 0; q < rows; ++q) {
                        float* const out = &found_.vectors[(row + q) * d + col];
                        for (size_t j = 0; j < cols; ++j)
                          out[j] = static_cast<float>(sums[q * stride + j]) + (first == 0 ? 0 : out[j]);
                      }
                      done(block.rows * (columns += cols) / d);
                    });
  }

  Moments moments_;                                  // of rows
  std::vector<double> sums_;                         // of columns, less found_.mean, which is not yet the mean
  std::unique_ptr<RowProducts> products_;            // of columns
  std::unique_ptr<linear::Coefficients> left_;       // of columns: what they are multiplied with for the components
  Buffer<double> gram_;                              // [N, N], lower triangle
  Buffer<double> vectors_;                           // [k or more, N]
  std::vector<linear::Panels> kept_;                 // rows [begin_, begin_ + resident_), by columns
  std::unique_ptr<linear::DeviceMatrix> on_device_;  // the lower triangle, while rows go by
  std::unique_ptr<linear::DeviceMatrix> kept_on_device_;  // rows [begin_, begin_ + resident_)
  size_t resident_ = 0, begin_ = 0;
  Stage stage_ = Stage::kGram;
};

}  // namespace

std::unique_ptr<PcaFit> gram_fit(const PcaTask& task) {
  return std::make_unique<GramFit>(task);
}

}  // namespace coregain::reduce
