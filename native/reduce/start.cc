#include "reduce/start.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "core/buffer.h"
#include "core/error.h"
#include "kernels/gemm.h"
#include "objectives/random.h"
#include "reduce/pca.h"

namespace coregain::reduce {
namespace {

// Columns whose covariance is cheaper than a Krylov space, and the most whose eigenvectors are worth it.
constexpr size_t kFewColumns = 512;
constexpr size_t kMostColumns = 4096;

// The sum of 12 uniform numbers is near enough to normal, and needs no logarithm of a C library.
float normal(objectives::Words& words) {
  double sum = 0;
  for (int i = 0; i < 12; ++i) sum += static_cast<double>(words.next());
  return static_cast<float>(sum * 0x1p-32 - 6);
}

PcaTask task_of(const Matrix& x, size_t dims, uint64_t seed, unsigned threads, const std::string& simd) {
  PcaTask task;
  task.rows = x.rows;
  task.cols = x.cols;
  task.dims = std::min({dims, x.rows - 1, x.cols});
  task.seed = seed;
  task.threads = threads;
  task.simd = simd;
  const size_t wide = 2 * task.dims;
  if (x.cols <= kFewColumns || (x.cols <= wide && x.cols <= kMostColumns)) {
    task.method = "covariance";
  } else if (x.rows <= wide && x.rows <= kMostColumns) {
    task.method = "gram";
    task.components = false;
    task.resident_rows = x.rows;
  } else {
    task.method = "krylov";
    constexpr size_t kPanel = GemmKernel::kPanel;
    task.block_columns = (task.dims / 4 + kPanel) / kPanel * kPanel;
  }
  return task;
}

}  // namespace

void add_noise(std::vector<float>& points, size_t dims, float scale, uint64_t seed) {
  for (size_t i = 0; i < points.size() / dims; ++i) {
    objectives::Words words(seed, i);
    for (size_t c = 0; c < dims; ++c) points[i * dims + c] += scale * normal(words);
  }
}

std::vector<float> principal_start(const Matrix& x, size_t dims, uint64_t seed, unsigned threads,
                                   const std::string& simd, const Control& control) {
  std::vector<float> points(x.rows * dims);
  try {
    const std::unique_ptr<PcaFit> pca = PcaFit::make(task_of(x, dims, seed, threads, simd));
    while (pca->first_row() < x.rows) {
      pca->feed(x, 0, control, [](size_t) {});
      pca->end_pass(control);
    }
    const Components& found = pca->components();
    const size_t count = found.variance.size();
    Buffer<float> scores(x.rows * count);
    if (pca->has_scores())
      pca->scores(scores.data(), false, false, control);
    else
      transform(x, found.mean.data(), found.vectors.data(), count, nullptr, scores.data(), false, threads, simd,
                control);
    float largest = 0;
    for (size_t i = 0; i < scores.size(); ++i) largest = std::max(largest, std::fabs(scores[i]));
    const float scale = largest > 0 ? 10 / largest : 0;
    for (size_t i = 0; i < x.rows; ++i)
      for (size_t k = 0; k < count; ++k) points[i * dims + k] = scores[i * count + k] * scale;
  } catch (const Error& error) {
    if (error.code != "ERR_PCA_NO_VARIANCE") throw;
  }
  add_noise(points, dims, 1e-4F, seed + 1);
  return points;
}

}  // namespace coregain::reduce
