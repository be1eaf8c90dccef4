// PCA of a matrix that comes block by block, of rows or of columns.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "reduce/pca.h"

namespace coregain {

struct Fitted {
  reduce::Components found;  // less the vectors
  std::vector<float> vectors;
  std::vector<double> scores;
};

inline Fitted fit(const Matrix& x, reduce::PcaTask task, size_t block) {
  const Control control;
  task.rows = x.rows;
  task.cols = x.cols;
  const std::unique_ptr<reduce::PcaFit> pca = reduce::PcaFit::make(task);
  for (size_t first = pca->first_row(); first < x.rows; first = pca->first_row()) {
    for (size_t col = 0; task.by_columns && col < x.cols; col += block) {
      const size_t count = std::min(block, x.cols - col);
      pca->feed_columns({x, col, count, col}, control, [](size_t) {});
    }
    for (; !task.by_columns && first < x.rows; first += block) {
      const size_t count = std::min(block, x.rows - first);
      pca->feed({x.is_double ? static_cast<const void*>(x.f64(first)) : x.f32(first), x.is_double, count, x.cols},
                first, control, [](size_t) {});
    }
    pca->end_pass(control);
  }
  const reduce::Components& found = pca->components();
  const size_t k = found.variance.size();
  Fitted out = {found, {found.vectors.begin(), found.vectors.end()}, std::vector<double>(x.rows * k)};
  out.found.vectors = {};
  if (pca->has_scores())
    pca->scores(out.scores.data(), true, false, control);
  else
    reduce::transform(x, found.mean.data(), found.vectors.data(), k, nullptr, out.scores.data(), true, task.threads,
                      task.simd, control, task.device);
  return out;
}

}  // namespace coregain
