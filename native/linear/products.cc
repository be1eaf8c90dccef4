#include "linear/products.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "linear/device.h"
#include "linear/wanted.h"

namespace coregain::linear {
namespace {

constexpr size_t kRows = GemmKernel::kRows;
constexpr size_t kPanel = GemmKernel::kPanel;
constexpr size_t kDepth = GemmKernel::kDepth;
constexpr size_t kSums = size_t{1} << 16;  // float64 sums of a thread: 512 KB, a part of the second cache
constexpr size_t kMostRows = 128;
constexpr size_t kWidePanels = 11;
constexpr size_t kMostPanels = 4;
constexpr size_t kApart = 16;  // rows of a power of two floats would fall on the same lines of the first cache

size_t whole(size_t count, size_t block) {
  return (count + block - 1) / block * block;
}

// Reads rows of the next piece of a part while a product of this one goes on: a few before each call of the kernel,
// wanted one call earlier. Short pieces of far rows are nothing that a processor foresees.
template <typename Read>
class Ahead {
 public:
  // Elements [from, from + count) of rows [first, last), in `calls` steps.
  Ahead(const Part& part, size_t first, size_t last, size_t from, size_t count, size_t calls, const Read& read)
      : part_(part),
        row_(first),
        last_(last),
        from_(from),
        bytes_(count * part.size()),
        step_((last - first + calls - 1) / std::max<size_t>(calls, 1)),
        read_(read) {}
  Wanted some() {
    for (const size_t end = std::min(last_, row_ + step_); row_ < end; ++row_) read_(row_);
    Wanted wanted;
    for (size_t row = row_; row < std::min(last_, row_ + step_); ++row) wanted.add(part_.at(row, from_), bytes_);
    return wanted;
  }
  void rest() {
    for (; row_ < last_; ++row_) read_(row_);
  }

 private:
  const Part& part_;
  size_t row_, last_, from_, bytes_, step_;
  const Read read_;
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
  const size_t each = (vectors.panels() * high + workers.pool.size() - 1) / workers.pool.size();
  const size_t wide = std::max<size_t>(1, std::min(each, kWidePanels)), stride = wide * kPanel;
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
    a.assign(2 * together * kStride, 0);
    c.assign(together * stride, 0);
    float *now = a.data(), *next = now + together * kStride;
    const auto read = [&](size_t from, float* to, size_t calls) {
      const size_t depth = std::min(kDepth, d - from);
      return Ahead(part, begin, depth == 0 ? begin : end, from, depth, calls, [&, from, depth, to](size_t i) {
        part.read(workers.kernel, i, from, depth, to + (i - begin) * kStride);
      });
    };
    read(0, now, 1).rest();
    const size_t share = kDepth * kPanel / (count / kRows);
    for (size_t from = 0; from < d; from += kDepth) {
      const size_t depth = std::min(kDepth, d - from);
      auto ahead = read(from + depth, next, (last - first) * (count / kRows));
      for (size_t p = first; p < last; ++p) {
        const float* const panel = vectors.at(p, from);
        // the next one that the block meets comes meanwhile
        const float* const then = p + 1 < last ? vectors.at(p + 1, from) : vectors.at(first, from + depth);
        // what lies beyond the diagonal of all rows of a block is left out
        const size_t beyond = p * kPanel > diagonal + begin ? p * kPanel - diagonal - begin : 0;
        for (size_t i = beyond / kRows * kRows; i < count; i += kRows) {
          Wanted wanted = ahead.some();
          if (p + 1 < last || from + depth < d) wanted.add(then + i / kRows * share, share * sizeof(float));
          workers.kernel.add(now + i * kStride, kStride, 1, panel, depth, &c[i * stride + (p - first) * kPanel], stride,
                             wanted.runs(panel));
        }
      }
      ahead.rest();
      std::swap(now, next);
    }
    take(begin, end - begin, first * kPanel, std::min(vectors.count(), last * kPanel) - first * kPanel, c.data(),
         stride);
  });
}

// A thread lays some columns out, which then meet the rows of `left` in bands whose sums stay in the second cache.
void combine(const Coefficients& left, const Part& part, bool lower, const Workers& workers, const Take& take) {
  if (workers.device != nullptr) return combine_on_device(left, part, lower, workers, take);
  constexpr size_t kStride = kMostPanels * kPanel, kBand = kSums / kStride / kRows * kRows;
  const size_t n = part.x.rows, d = part.cols, height = left.blocks() * kRows;
  const size_t pieces = (n + kDepth - 1) / kDepth;
  const size_t kept = height <= kBand ? 2 : pieces + 1;  // pieces of columns: those that are needed, and one to come
  std::atomic<size_t> columns{0};                        // that nobody has taken
  workers.pool.run([&](unsigned) {
    Buffer<float> b(kept * kDepth * kStride);
    std::fill_n(b.data(), b.size(), 0.0F);
    std::vector<double> c(std::min(height, kBand) * kStride);
    float row[kStride] = {};
    const auto piece_at = [&](size_t index) { return b.data() + index % kept * kDepth * kStride; };
    // Rows of a piece, of the columns that start at `begin`.
    const auto read = [&](size_t begin, size_t piece, size_t index, size_t calls) {
      const size_t from = piece * kDepth, count = std::min(kStride, d - std::min(d, begin));
      const size_t end = std::min(n, from + kDepth);
      float* const to = piece_at(index);
      return Ahead(part, count == 0 ? end : from, end, begin, count, calls, [&, begin, from, count, to](size_t j) {
        const float* values = count % kPanel == 0 ? part.plain(j, begin) : nullptr;
        if (values == nullptr) {
          part.read(workers.kernel, j, begin, count, row);
          values = row;
        }
        for (size_t p = 0; p * kPanel < count; ++p)
          std::memcpy(to + (p * kDepth + j - from) * kPanel, values + p * kPanel, sizeof(float) * kPanel);
      });
    };
    size_t begin = columns.fetch_add(kStride), first = 0;  // index of the first piece
    read(begin, 0, first, 1).rest();
    for (size_t after = 0; begin < d; begin = after, first += pieces) {
      // taken early, so that its first rows come during the last product of this one
      after = columns.fetch_add(kStride);
      const size_t cols = std::min(kStride, d - begin), panels = (cols + kPanel - 1) / kPanel;
      const size_t least = lower ? begin / kRows * kRows : 0;
      for (size_t top = least, end = 0; top < height; top = end) {
        workers.control.check();
        end = std::min(height, top + kBand);
        const size_t blocks = std::max<size_t>(1, (end - top) / kRows), calls = panels * blocks;
        const size_t share = (end - top + calls - 1) / std::max<size_t>(1, calls);
        const size_t part_of_next = whole(kDepth * kPanel / blocks, kApart);
        std::fill_n(c.begin(), (end - top) * kStride, 0.0);
        for (size_t piece = 0; piece < pieces; ++piece) {
          const size_t from = piece * kDepth, depth = std::min(kDepth, n - from);
          const bool last = piece + 1 == pieces;
          const bool reads = last ? end == height : top == least;
          auto ahead = read(reads ? (last ? after : begin) : d, last ? 0 : piece + 1, first + piece + 1, calls);
          // Else what comes next has been laid out, and is to come nearer, as the next elements of `left` are.
          const float* const then = last ? piece_at(first) : piece_at(first + piece + 1);
          size_t coming = top;
          for (size_t p = 0; p < panels; ++p) {
            const float* const panel = piece_at(first + piece) + p * kDepth * kPanel;
            const float* const next = p + 1 < panels ? panel + kDepth * kPanel : then;
            for (size_t i = top; i < end; i += kRows) {
              Wanted wanted = ahead.some();
              for (const size_t stop = coming + share; !last && coming < std::min(end, stop); ++coming)
                wanted.add(left.row(coming) + from + kDepth, kDepth * sizeof(float));
              const size_t at = (i - top) / kRows * part_of_next;
              if (!reads && at < kDepth * kPanel)
                wanted.add(next + at, std::min(part_of_next, kDepth * kPanel - at) * sizeof(float));
              workers.kernel.add(left.row(i) + from, left.stride(), 1, panel, depth,
                                 &c[(i - top) * kStride + p * kPanel], kStride, wanted.runs(panel));
            }
          }
          ahead.rest();
        }
        take(top, std::min(left.count(), end) - top, begin, cols, c.data(), kStride);
      }
    }
  });
}

}  // namespace coregain::linear
