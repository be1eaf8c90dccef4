#include "reduce/row_products.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "linear/wanted.h"

namespace coregain::reduce {
namespace {

using linear::Part;
using linear::Workers;

constexpr size_t kRows = GemmKernel::kRows;
constexpr size_t kPanel = GemmKernel::kPanel;
constexpr size_t kDepth = GemmKernel::kDepth;
constexpr size_t kStride =
    kDepth + 16;  // rows of a power of two floats would fall on the same lines of the first cache
constexpr size_t kPiece = kDepth * kPanel;
constexpr size_t kShiftRows = kPanel;  // whose mean is taken off all: any number near the mean keeps the digits
// Panels of a tile: 405 KB of sums, a part of the second cache. Each value that comes from afar is used most often.
constexpr size_t kHigh = 2, kWide = 11;
constexpr size_t kTilesOfThread = 4;
constexpr size_t kRowsAhead = 8;

size_t whole(size_t count, size_t block) {
  return (count + block - 1) / block * block;
}

typedef float Four __attribute__((vector_size(16), aligned(4), may_alias));

// out[j * kPanel + v] = rows[v * kStride + j], v < kPanel, j < kDepth
void turn(const float* rows, float* out) {
  for (size_t j = 0; j < kDepth; j += 4) {  // whole lines of `out`
    for (size_t v = 0; v < kPanel; v += 4) {
      const auto row = [&](size_t i) { return *reinterpret_cast<const Four*>(rows + (v + i) * kStride + j); };
      const auto put = [&](size_t k, const Four& x) { *reinterpret_cast<Four*>(out + (j + k) * kPanel + v) = x; };
      const Four a = row(0), b = row(1), c = row(2), d = row(3);
      const Four ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      put(0, __builtin_shufflevector(ab, cd, 0, 1, 4, 5));
      put(1, __builtin_shufflevector(ab, cd, 2, 3, 6, 7));
      const Four ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      put(2, __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5));
      put(3, __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7));
    }
  }
}

void add_row(const Part& part, size_t row, size_t from, size_t count, const DoublesKernel& doubles, const double* shift,
             double* sums, float* out) {
  if (part.x.is_double)
    doubles.add_doubles(part.x.f64(row) + part.first + from, shift, count, sums, nullptr, nullptr);
  else
    doubles.add_floats(part.x.f32(row) + part.first + from, shift, count, sums, nullptr, out);
}

// Short pieces of far rows are nothing that a processor foresees.
void fetch(const char* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(from + at);
}

// The mean of the first rows in columns [from, from + count).
void shift_of(const Part& part, size_t from, size_t count, const DoublesKernel& doubles, double* shift) {
  const size_t rows = std::min(part.x.rows, kShiftRows);
  std::fill_n(shift, count, 0.0);
  for (size_t i = 0; i < rows; ++i) add_row(part, i, from, count, doubles, nullptr, shift, nullptr);
  for (size_t j = 0; j < count; ++j) {
    shift[j] /= static_cast<double>(rows);
    if (!std::isfinite(shift[j])) shift[j] = 0;  // it would hide which row is to blame
  }
}

// Of columns whose sums are not finite.
void check(const Part& part, const double* sums) {
  if (std::all_of(sums, sums + part.cols, [](double sum) { return std::isfinite(sum); })) return;
  size_t largest = 0;
  double most = 0;
  for (size_t i = 0; i < part.x.rows; ++i) {
    for (size_t j = part.first; j < part.first + part.cols; ++j) {
      const double value = std::fabs(part.x.is_double ? part.x.f64(i)[j] : static_cast<double>(part.x.f32(i)[j]));
      if (!std::isfinite(value))
        throw Error("ERR_NOT_FINITE", "The embedding matrix has a value that is not finite.", static_cast<int64_t>(i));
      if (value > most) largest = i;
      most = std::max(most, value);
    }
  }
  throw Error("ERR_PCA_OVERFLOW", "The embedding matrix has values whose squares overflow. Scale it down first.",
              static_cast<int64_t>(largest));
}

}  // namespace

void measure(const Part& part, const DoublesKernel& doubles, const Centre& centre, const Workers& workers) {
  workers.pool.for_blocks(part.cols, kDepth, [&](unsigned, size_t from, size_t end) {
    workers.control.check();
    std::fill(centre.shift + from, centre.shift + end, 0.0);
    std::fill(centre.sums + from, centre.sums + end, 0.0);
    if (!centre.about_zero) shift_of(part, from, end - from, doubles, centre.shift + from);
    for (size_t i = 0; i < part.x.rows; ++i)
      add_row(part, i, from, end - from, doubles, centre.shift + from, centre.sums + from, nullptr);
  });
  check(part, centre.sums);
}

RowProducts::RowProducts(size_t rows, size_t cols, const Workers& workers)
    : count_(rows), panels_((rows + kPanel - 1) / kPanel), width_(whole(std::min(cols, kColumns), kDepth)) {
  cut(workers.pool.size());
  for (Slice& slice : slices_) slice.panels = Buffer<float>(width_ / kDepth * panels_ * kPiece);
}

void RowProducts::cut(unsigned threads) {
  size_t high = kHigh, wide = kWide;
  const auto tiles = [&] {
    size_t sum = 0;
    for (size_t row = 0; row < panels_; row += high) sum += (std::min(panels_, row + high) + wide - 1) / wide;
    return sum;
  };
  while (tiles() < kTilesOfThread * threads && wide > high) wide = (wide + 1) / 2;
  while (tiles() < kTilesOfThread * threads && high > 1) --high;
  for (size_t row = 0; row < panels_; row += high) {
    const size_t end = std::min(panels_, row + high);
    for (size_t panel = 0; panel < end; panel += wide)
      tiles_.push_back({row, end - row, panel, std::min(wide, end - panel), {}});
  }
  std::stable_sort(tiles_.begin(), tiles_.end(),
                   [](const Tile& a, const Tile& b) { return a.high * a.panels > b.high * b.panels; });
  for (Tile& tile : tiles_) {
    tile.sums = Buffer<double>(tile.high * tile.panels * kPanel * kPanel);
    std::fill_n(tile.sums.data(), tile.sums.size(), 0.0);
  }
}

void RowProducts::add(const Part& part, const DoublesKernel& doubles, const Centre& centre, const Workers& workers) {
  for (size_t from = 0; from < part.cols; from += width_) {
    const Part piece(part.x, nullptr, part.first + from, std::min(width_, part.cols - from));
    const Centre of = {centre.about_zero, centre.shift + from, centre.sums + from};
    Slice& next = slices_[turn_ % 2];
    step(slices_[(turn_ + 1) % 2], &next, piece, doubles, of, workers);
    next.cols = piece.cols;
    ++turn_;
    check(piece, of.sums);
  }
}

Buffer<double> RowProducts::take(const Workers& workers) {
  step(slices_[(turn_ + 1) % 2], nullptr, Part(Matrix()), doubles_kernel("scalar"), {}, workers);
  for (Slice& slice : slices_) slice = {};
  Buffer<double> out(count_ * count_);
  workers.pool.for_blocks(tiles_.size(), 1, [&](unsigned, size_t t, size_t) {
    Tile& tile = tiles_[t];
    const size_t row = tile.row * kPanel, col = tile.panel * kPanel, stride = tile.panels * kPanel;
    for (size_t i = row; i < std::min(count_, row + tile.high * kPanel); ++i)
      if (col <= i) std::copy_n(&tile.sums[(i - row) * stride], std::min(stride, i + 1 - col), &out[i * count_ + col]);
    tile.sums = {};
  });
  // products overflow where the squares of a row do
  for (size_t i = 0; i < count_; ++i)
    if (!std::isfinite(out[i * count_ + i]))
      throw Error("ERR_PCA_OVERFLOW", "The embedding matrix has values whose squares overflow. Scale it down first.",
                  static_cast<int64_t>(i));
  return out;
}

// The products of one slice and the layout of the next are handed out together: threads wait for each other once.
void RowProducts::step(Slice& ready, Slice* next, const Part& part, const DoublesKernel& doubles, const Centre& centre,
                       const Workers& workers) {
  const size_t tiles = ready.cols == 0 ? 0 : tiles_.size();
  const size_t chunks = next == nullptr ? 0 : (part.cols + kDepth - 1) / kDepth;
  workers.pool.for_blocks(tiles + chunks, 1, [&](unsigned, size_t task, size_t) {
    workers.control.check();
    if (task < tiles)
      multiply(ready, tiles_[task], workers.kernel);
    else
      lay_out(*next, task - tiles, part, doubles, centre, workers.kernel);
  });
  ready.cols = 0;
}

void RowProducts::lay_out(Slice& slice, size_t chunk, const Part& part, const DoublesKernel& doubles,
                          const Centre& centre, const GemmKernel& kernel) const {
  const size_t from = chunk * kDepth, count = std::min(kDepth, part.cols - from);
  double* const shift = centre.shift + from;
  std::fill_n(shift, count, 0.0);
  std::fill_n(centre.sums + from, count, 0.0);
  if (!centre.about_zero) shift_of(part, from, count, doubles, shift);
  float rows[kPanel * kStride];
  for (size_t panel = 0; panel < panels_; ++panel) {
    for (size_t v = 0; v < kPanel; ++v) {
      const size_t i = panel * kPanel + v;
      float* const out = rows + v * kStride;
      if (i >= count_) {
        std::fill_n(out, kDepth, 0.0F);
        continue;
      }
      if (i + kRowsAhead < count_) fetch(part.at(i + kRowsAhead, from), count * part.size());
      add_row(part, i, from, count, doubles, shift, centre.sums + from, out);
      if (part.x.is_double) kernel.less_doubles(part.x.f64(i) + part.first + from, shift, count, out);
    }
    turn(rows, slice.panels.data() + (chunk * panels_ + panel) * kPiece);
  }
}

void RowProducts::multiply(const Slice& slice, Tile& tile, const GemmKernel& kernel) const {
  constexpr size_t kBlocks = kPanel / kRows;  // of a panel
  const size_t chunks = (slice.cols + kDepth - 1) / kDepth, stride = tile.panels * kPanel;
  const size_t blocks = tile.high * kBlocks, last = tile.panel + tile.panels;
  const size_t share = whole(kPiece / blocks, 16);  // of the next panel, that comes during a call
  const auto panel_of = [&](size_t chunk, size_t panel) {
    return slice.panels.data() + (chunk * panels_ + panel) * kPiece;
  };
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const size_t depth = std::min(kDepth, slice.cols - chunk * kDepth);
    const bool more = chunk + 1 < chunks;
    size_t coming = 0;  // of the rows of the next chunk
    for (size_t panel = tile.panel; panel < last; ++panel) {
      const float* then = nullptr;
      if (panel + 1 < last) then = panel_of(chunk, panel + 1);
      if (panel + 1 == last && more) then = panel_of(chunk + 1, tile.panel);
      // what lies beyond the diagonal of all rows of a block is left out
      for (size_t block = panel > tile.row ? (panel - tile.row) * kBlocks : 0; block < blocks; ++block) {
        linear::Wanted wanted;
        if (then != nullptr && block * share < kPiece)
          wanted.add(then + block * share, std::min(share, kPiece - block * share) * sizeof(float));
        if (more && coming < tile.high * kPiece)
          wanted.add(panel_of(chunk + 1, tile.row) + coming, kDepth * sizeof(float));
        coming += kDepth;
        const float* const rows = panel_of(chunk, tile.row + block / kBlocks) + block % kBlocks * kRows;
        const float* const vectors = panel_of(chunk, panel);
        double* const sums = &tile.sums[block * kRows * stride + (panel - tile.panel) * kPanel];
        if (tile.row + block / kBlocks == panel)  // on the diagonal
          kernel.add_first(rows, 1, kPanel, vectors, (block % kBlocks + 1) * kRows, depth, sums, stride);
        else
          kernel.add(rows, 1, kPanel, vectors, depth, sums, stride, wanted.runs(vectors));
      }
    }
  }
}

}  // namespace coregain::reduce
