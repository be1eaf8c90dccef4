// Principal component analysis of rows that come block by block, as often as the method asks for them.
//
//   covariance  d x d, exact, one pass: for few columns
//   Gram        N x N, exact, one pass where columns of all rows can be had, or all rows be kept (and one for the
//               components): for few rows
//   Krylov      a space of a few times the wanted dimensions, grown by one product with the covariance a pass (Halko,
//               Martinsson and Tropp 2011, arXiv 0909.4061; block Krylov: Musco and Musco 2015, arXiv 1504.05477)
//
// Products are float32 with float64 sums (linear/products.h); everything of the size of the small matrices is float64.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"
#include "linear/device.h"

namespace coregain::reduce {

struct PcaTask {
  std::string method;  // "covariance", "gram" or "krylov"
  size_t rows = 0;
  size_t cols = 0;
  size_t dims = 0;
  uint64_t seed = 0;
  bool about_zero = false;   // the mean is taken to be 0
  bool components = true;    // otherwise Gram leaves them out
  bool scores = true;        // otherwise Krylov forgets what they are made of, [N, a few times dims]
  size_t block_columns = 0;  // of Krylov: columns that a pass adds; of Gram by columns: those of a block
  bool by_columns = false;   // of Gram: columns of all rows come, not rows
  size_t resident_rows = 0;  // of Gram else: rows that a pass compares all later ones with
  bool overwrite =
      false;  // of Krylov: the first pass may leave in its rows what they are without the mean of the first block
  unsigned threads = 0;
  std::string simd;
  linear::DeviceChoice device{};  // that the products are computed on
  float* room = nullptr;          // [dims, cols] for the components; null: memory of the fit
};

// What was found; k = variance.size().
struct Components {
  std::vector<double> mean;      // [d]
  std::vector<double> variance;  // [k] descending, divisor N - 1
  double total = 0;              // variance of all columns together
  size_t rank = 0;               // that could be told apart from rounding
  size_t passes = 0;             // over the data
  std::span<float> vectors;      // [k, d], or nothing
};

// Columns [from, from + cols) of `x`, which has all rows: columns first .. of the matrix. Whole GemmKernel::kDepth
// ones, but for the last.
struct ColumnBlock {
  Matrix x;
  size_t from = 0;
  size_t cols = 0;
  size_t first = 0;
};

class PcaFit {
 public:
  static std::unique_ptr<PcaFit> make(const PcaTask& task);
  virtual ~PcaFit() = default;

  // The row at which the pass that is due begins; N where none is.
  virtual size_t first_row() const = 0;
  // Rows first.. of the matrix, in their order, to the last one; `done` hears how many rows of the block are done,
  // from any thread.
  // Throws Error ERR_NOT_FINITE or ERR_PCA_OVERFLOW with the row of the block, ERR_DEVICE, ERR_MEMORY, ERR_CANCELLED.
  virtual void feed(const Matrix& block, size_t first, const Control& control,
                    const std::function<void(size_t)>& done) = 0;
  // Instead of `feed` where the task is by columns: from the first to the last in each pass. `done` hears of columns.
  virtual void feed_columns(const ColumnBlock& block, const Control& control, const std::function<void(size_t)>& done);
  // After the last row. Throws ERR_PCA_NO_VARIANCE where all rows are equal, ERR_CANCELLED.
  virtual void end_pass(const Control& control) = 0;
  // After the last pass.
  const Components& components() const { return found_; }
  // Whether `scores` has them without the data.
  virtual bool has_scores() const = 0;
  // Coordinates of all rows, [N, k], each component divided by its standard deviation where `whiten`.
  virtual void scores(void* out, bool is_double, bool whiten, const Control& control) = 0;

  const PcaTask task;

 protected:
  // Throws Error ERR_DEVICE, ERR_MEMORY.
  explicit PcaFit(const PcaTask& t);
  linear::Workers workers_of(const Control& control) { return {pool_, control, gemm_kernel(task.simd), device_.get()}; }
  ThreadPool pool_;
  std::unique_ptr<linear::Device> device_;  // null: the processor
  // Gives the k components memory.
  void make_vectors(size_t k);
  Components found_;

 private:
  Buffer<float> vectors_;
};

// Rows [n, d] less the mean, times `vectors` [k, d] transposed, each column times its `scale` (null = 1): [n, k], to
// `out`. Throws Error ERR_PCA_OVERFLOW with the row, ERR_DEVICE, ERR_MEMORY, ERR_CANCELLED.
void transform(const Matrix& rows, const double* mean, const float* vectors, size_t k, const double* scale, void* out,
               bool is_double, unsigned threads, const std::string& simd, const Control& control,
               const linear::DeviceChoice& device = {});

// Each row of [k, d] is turned so that its entry of largest magnitude (the first of equals) is positive, and made 1
// long; `turned` gets 1 for each row whose sign changed.
std::vector<char> normalise(float* vectors, size_t k, size_t d, ThreadPool& pool);

}  // namespace coregain::reduce
