#include "reduce/centred.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "strategies/rows.h"

namespace coregain::reduce {
namespace {

constexpr size_t kBlock = 128;    // rows
constexpr size_t kColumns = 512;  // at a time

}  // namespace

void centre(const Matrix& x, const std::vector<double>& mean, size_t first, size_t count, size_t from, size_t width,
            float* out) {
  for (size_t r = 0; r < count; ++r, out += width) {
    if (x.is_double) {
      const double* row = x.f64(first + r) + from;
      for (size_t j = 0; j < width; ++j) out[j] = static_cast<float>(row[j] - mean[from + j]);
    } else {
      const float* row = x.f32(first + r) + from;
      for (size_t j = 0; j < width; ++j) out[j] = static_cast<float>(static_cast<double>(row[j]) - mean[from + j]);
    }
  }
}

std::vector<double> centred_lengths(const Matrix& x, const std::vector<double>& mean, ThreadPool& pool,
                                    const Control& control) {
  std::vector<double> out(x.rows);
  std::vector<size_t> bad(pool.size(), x.rows);
  pool.for_blocks(x.rows, kBlock, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    std::vector<float> part(kColumns);
    for (size_t i = begin; i < end; ++i) {
      double square = 0;
      for (size_t from = 0; from < x.cols; from += kColumns) {
        const size_t width = std::min(kColumns, x.cols - from);
        centre(x, mean, i, 1, from, width, part.data());
        square += strategies::product(part.data(), part.data(), width);
      }
      if (!(square <= 1e37)) bad[t] = std::min(bad[t], i);  // float32 products must not overflow
      out[i] = std::sqrt(square);
    }
  });
  const size_t row = *std::min_element(bad.begin(), bad.end());
  if (row < x.rows)
    throw Error("ERR_RANGE",
                "Row " + std::to_string(row) +
                    " is farther than 3e18 from the mean, more than float32 distances can hold. Scale the embeddings.",
                static_cast<int64_t>(row));
  return out;
}

}  // namespace coregain::reduce
