#include "linear/products.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "linear/device.h"

namespace coregain::linear {
namespace {

constexpr size_t kRows = GemmKernel::kRows;
constexpr size_t kPanel = GemmKernel::kPanel;
constexpr size_t kDepth = GemmKernel::kDepth;
constexpr size_t kSums = size_t{1} << 16;  // float64 sums of a thread: 512 KB, a part of the second cache
constexpr size_t kMostRows = 128;
constexpr size_t kWidePanels = 11;
constexpr size_t kMostPanels = 4;
constexpr size_t kLine = 64;   // bytes of a line of a cache
constexpr size_t kApart = 16;  // rows of a power of two floats would fall on the same lines of the first cache

size_t whole(size_t count, size_t block) {
  return (count + block - 1) / block * block;
}

// Asks for the rows of the next piece of a part while a product of this one goes on, a few at a time: all at once
// they would wait for each other.
class Ahead {
 public:
  // Rows [first, last), `calls` times `some`.
  Ahead(const Part& part, size_t first, size_t last, size_t from, size_t count, size_t calls)
      : part_(part),
        row_(first),
        last_(count == 0 ? first : last),
        from_(from),
        count_(count),
        step_((last - first + calls - 1) / std::max<size_t>(calls, 1)) {}
  void some() {
    for (const size_t end = std::min(last_, row_ + step_); row_ < end; ++row_) part_.fetch(row_, from_, count_);
  }

 private:
  const Part& part_;
  size_t row_, last_, from_, count_, step_;
};

}  // namespace

void Part::read(const GemmKernel& kernel, size_t row, size_t from, size_t count, float* out) const {
  const double* const by = shift == nullptr ? nullptr : shift + first + from;
  if (x.is_double) {
    const double* const values = x.f64(row) + first + from;
    if (by != nullptr)
      kernel.less_doubles(values, by, count, out);
    else
      for (size_t j = 0; j < count; ++j) out[j] = static_cast<float>(values[j]);
    return;
  }
  const float* const values = x.f32(row) + first + from;
  if (by != nullptr)
    kernel.less_floats(values, by, count, out);
  else
    std::memcpy(out, values, count * sizeof(float));
}

void Part::fetch(size_t row, size_t from, size_t count) const {
  const size_t size = x.is_double ? sizeof(double) : sizeof(float);
  const char* const start = static_cast<const char*>(x.data) + (row * x.cols + first + from) * size;
  for (size_t at = 0; at < count * size; at += kLine) __builtin_prefetch(start + at, 0, 2);
}

Panels::Panels(size_t count, size_t depth) : count_(count), depth_(depth) {
  data_ = Buffer<float>(panels() * depth_ * kPanel);
  std::fill_n(data_.data(), data_.size(), 0.0F);
}

Panels::Panels(const Part& part, const Workers& workers)
    : Panels(workers.device == nullptr ? part.x.rows : 0, part.cols) {
  count_ = part.x.rows;
  if (workers.device == nullptr)
    put(0, part, workers);
  else
    held_ = std::make_shared<const Held>(hold(part, workers));
}

void Panels::put(size_t first, const Part& part, const Workers& workers) {
  constexpr size_t kTogether = 256;  // elements of a few vectors, which are laid side by side while they are in a cache
  constexpr size_t kVectors = 16;
  const size_t begin_panel = first / kPanel, end_panel = (first + part.x.rows + kPanel - 1) / kPanel;
  const size_t wide = end_panel - begin_panel;
  workers.pool.for_blocks(wide * ((depth_ + kTogether - 1) / kTogether), 1, [&](unsigned, size_t task, size_t) {
    const size_t panel = begin_panel + task % wide, from = task / wide * kTogether;
    const size_t count = std::min(kTogether, depth_ - from);
    float rows[kVectors][kTogether];
    float* const out = data_.data() + (panel * depth_ + from) * kPanel;
    const size_t begin = std::max(first, panel * kPanel), end = std::min(first + part.x.rows, (panel + 1) * kPanel);
    for (size_t vector = begin; vector < end; vector += kVectors) {
      const size_t vectors = std::min(kVectors, end - vector);
      for (size_t v = 0; v < vectors; ++v) part.read(workers.kernel, vector + v - first, from, count, rows[v]);
      float* const column = out + (vector - panel * kPanel);
      for (size_t j = 0; j < count; ++j)
        for (size_t v = 0; v < vectors; ++v) column[j * kPanel + v] = rows[v][j];
    }
  });
}

Coefficients::Coefficients(size_t count, size_t depth)
    : count_(count), depth_(depth), stride_(whole(depth, kApart) + kApart), data_(whole(count, kRows) * stride_) {
  std::fill_n(data_.data(), data_.size(), 0.0F);
}

void project(const Part& part, const Panels& vectors, size_t diagonal, const Workers& workers, const Take& take) {
  if (workers.device != nullptr)
    return project_on_device(part, *vectors.held(), vectors.count(), diagonal, workers, take);
  const size_t n = part.x.rows, d = part.cols;
  // Sums of nearly square blocks: each value that comes from afar is used most often.
  // Of few rows each thread takes some of the vectors.
  const size_t high = (n + kMostRows - 1) / kMostRows;
  const size_t share = (vectors.panels() * high + workers.pool.size() - 1) / workers.pool.size();
  const size_t wide = std::clamp(share, size_t{1}, std::min(vectors.panels(), kWidePanels)), stride = wide * kPanel;
  const size_t together = std::clamp(kSums / stride / kRows * kRows, kRows, kMostRows);
  constexpr size_t kStride = kDepth + kApart;
  std::vector<std::vector<float>> rows(workers.pool.size());
  std::vector<std::vector<double>> sums(workers.pool.size());
  const size_t across = (vectors.panels() + wide - 1) / wide, down = (n + together - 1) / together;
  workers.pool.for_blocks(across * down, 1, [&](unsigned thread, size_t block, size_t) {
    workers.control.check();
    const size_t begin = block / across * together, end = std::min(n, begin + together);
    const size_t first = block % across * wide;
    const size_t last = std::min({first + wide, vectors.panels(), (diagonal + end + kPanel - 1) / kPanel});
    if (first >= last) return;
    std::vector<float>& a = rows[thread];
    std::vector<double>& c = sums[thread];
    const size_t count = whole(end - begin, kRows);
    a.assign(together * kStride, 0);
    c.assign(together * stride, 0);
    for (size_t from = 0; from < d; from += kDepth) {
      const size_t depth = std::min(kDepth, d - from);
      const size_t next = std::min(kDepth, d - from - depth);
      for (size_t i = begin; i < end; ++i) part.read(workers.kernel, i, from, depth, &a[(i - begin) * kStride]);
      Ahead ahead(part, begin, end, from + depth, next, (last - first) * (count / kRows));
      for (size_t p = first; p < last; ++p) {
        const float* const panel = vectors.at(p, from);
        // what lies beyond the diagonal of all rows of a block is left out
        const size_t beyond = p * kPanel > diagonal + begin ? p * kPanel - diagonal - begin : 0;
        for (size_t i = beyond / kRows * kRows; i < count; i += kRows) {
          ahead.some();
          workers.kernel.add(&a[i * kStride], kStride, panel, depth, &c[i * stride + (p - first) * kPanel], stride);
        }
      }
    }
    take(begin, end - begin, first * kPanel, std::min(vectors.count(), last * kPanel) - first * kPanel, c.data(),
         stride);
  });
}

void combine(const Coefficients& left, const Part& part, bool lower, const Workers& workers, const Take& take) {
  if (workers.device != nullptr) return combine_on_device(left, part, lower, workers, take);
  const size_t n = part.x.rows, d = part.cols, height = left.blocks() * kRows;
  const size_t together = std::clamp(kSums / height / kPanel, size_t{1}, kMostPanels);
  const size_t stride = together * kPanel;
  std::vector<std::vector<float>> columns(workers.pool.size());
  std::vector<std::vector<double>> sums(workers.pool.size());
  workers.pool.for_blocks(d, stride, [&](unsigned thread, size_t begin, size_t end) {
    workers.control.check();
    std::vector<float>& b = columns[thread];
    std::vector<double>& c = sums[thread];
    const size_t panels = (end - begin + kPanel - 1) / kPanel;
    const size_t from_row = lower ? begin / kRows * kRows : 0;
    b.assign(together * kDepth * kPanel, 0);
    c.assign(height * stride, 0);
    float row[kMostPanels * kPanel] = {};
    for (size_t from = 0; from < n; from += kDepth) {
      const size_t depth = std::min(kDepth, n - from);
      for (size_t j = 0; j < depth; ++j) {
        part.read(workers.kernel, from + j, begin, end - begin, row);
        for (size_t p = 0; p < panels; ++p)
          std::memcpy(&b[(p * kDepth + j) * kPanel], row + p * kPanel, sizeof(float) * kPanel);
      }
      const size_t next = from + depth;
      Ahead ahead(part, next, std::min(n, next + kDepth), begin, end - begin, panels * ((height - from_row) / kRows));
      for (size_t p = 0; p < panels; ++p) {
        for (size_t i = from_row; i < height; i += kRows) {
          ahead.some();
          workers.kernel.add(left.row(i) + from, left.stride(), &b[p * kDepth * kPanel], depth,
                             &c[i * stride + p * kPanel], stride);
        }
      }
    }
    take(from_row, left.count() - from_row, begin, end - begin, &c[from_row * stride], stride);
  });
}

}  // namespace coregain::linear
