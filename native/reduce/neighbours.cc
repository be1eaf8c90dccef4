#include "reduce/neighbours.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <string_view>

#include "core/buffer.h"
#include "core/error.h"
#include "kernels/gemm.h"
#include "linear/products.h"
#include "reduce/centred.h"
#include "strategies/rows.h"

namespace coregain::reduce {
namespace {

constexpr size_t kQueries = 512;  // most queries of a tile: its rows are put into panels once for all of them
constexpr size_t kPanel = GemmKernel::kPanel;
constexpr size_t kRows = 4 * kPanel;                 // rows of a tile
constexpr size_t kColumns = 4 * GemmKernel::kDepth;  // of a tile at a time: its panels stay in the second-level cache
constexpr size_t kLook = 16;                         // products that are looked at together
static_assert(kPanel % kLook == 0);
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename A, typename B>
double squared_distance(const A* a, const B* b, size_t d) {
  double sum[4] = {};
  size_t j = 0;
  for (; j + 4 <= d; j += 4) {
    for (size_t t = 0; t < 4; ++t) {
      const double difference = static_cast<double>(a[j + t]) - static_cast<double>(b[j + t]);
      sum[t] += difference * difference;
    }
  }
  for (; j < d; ++j) {
    const double difference = static_cast<double>(a[j]) - static_cast<double>(b[j]);
    sum[0] += difference * difference;
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// The rows that may be among the k nearest of one query. `low` and `high` enclose the distance.
class Candidates {
 public:
  void reset(size_t k) {
    k_ = k;
    limit_ = kInfinity;
    list_.clear();
  }
  // Farther rows need not be offered.
  double limit() const { return limit_; }
  template <typename Exact>
  void offer(int32_t row, double low, double high, const Exact& exact) {
    list_.push_back({low, high, row, false});
    if (list_.size() >= 2 * k_ + 32) prune(exact);
  }
  template <typename Exact>
  void finish(const Exact& exact, int32_t* rows, double* distances) {
    decide(exact);
    for (size_t r = 0; r < k_; ++r) {
      rows[r] = list_[r].row;
      distances[r] = list_[r].low;
    }
  }

 private:
  struct Candidate {
    double low, high;
    int32_t row;
    bool exact;
  };

  // Bounds first; where they cannot tell enough apart, distances.
  template <typename Exact>
  void prune(const Exact& exact) {
    bounds_.clear();
    for (const Candidate& c : list_) bounds_.push_back(c.high);
    std::nth_element(bounds_.begin(), bounds_.begin() + static_cast<ptrdiff_t>(k_ - 1), bounds_.end());
    limit_ = bounds_[k_ - 1];
    std::erase_if(list_, [&](const Candidate& c) { return c.low > limit_; });
    if (list_.size() > k_ + 16) {
      decide(exact);
      limit_ = list_.back().high;
    }
  }

  template <typename Exact>
  void decide(const Exact& exact) {
    for (Candidate& c : list_) {
      if (!c.exact) c.low = c.high = exact(c.row);
      c.exact = true;
    }
    std::sort(list_.begin(), list_.end(),
              [](const Candidate& a, const Candidate& b) { return a.low != b.low ? a.low < b.low : a.row < b.row; });
    list_.resize(k_);
  }

  size_t k_ = 0;
  double limit_ = kInfinity;
  std::vector<Candidate> list_;
  std::vector<double> bounds_;
};

// GemmKernel::add without fused steps, each of which is a call on processors that lack them. Products only rule rows
// out here, so they need not have the same bits everywhere.
void add_plainly(const float* a, size_t a_stride, size_t a_step, const float* panel, size_t depth, double* c,
                 size_t c_stride, const char* const* /*ahead*/) {
  for (size_t i = 0; i < GemmKernel::kRows; ++i) {
    float sums[kPanel] = {};
    for (size_t j = 0; j < depth; ++j)
      for (size_t t = 0; t < kPanel; ++t) sums[t] += panel[j * kPanel + t] * a[i * a_stride + j * a_step];
    for (size_t t = 0; t < kPanel; ++t) c[i * c_stride + t] += static_cast<double>(sums[t]);
  }
}

// What a thread needs for a tile.
struct Tile {
  explicit Tile(size_t most)
      : queries(most * kColumns), panels(kRows * kColumns), products(most * kRows), candidates(most) {
    std::fill_n(queries.data(), queries.size(), 0.0F);
  }
  Buffer<float> queries;  // whole blocks of GemmKernel::kRows
  Buffer<float> panels;
  Buffer<double> products;
  std::vector<Candidates> candidates;
};

// Centred rows of a matrix.
struct Side {
  linear::Part part;
  size_t first, count;
};

// panels[p][j][t] = column from + j of row first + p * kPanel + t, 0 beyond the last row
void put_into_panels(const GemmKernel& kernel, const Side& rows, size_t from, size_t width, float* panels) {
  constexpr size_t kTogether = 256;  // columns of a row between two changes of the row
  float row[kTogether];
  for (size_t p = 0; p < rows.count; p += kPanel, panels += width * kPanel) {
    for (size_t j = 0; j < width; j += kTogether) {
      const size_t some = std::min(kTogether, width - j);
      float* const column = panels + j * kPanel;
      for (size_t t = 0; t < kPanel; ++t) {
        if (p + t < rows.count)
          rows.part.read(kernel, rows.first + p + t, from + j, some, row);
        else
          std::fill_n(row, some, 0.0F);
        for (size_t i = 0; i < some; ++i) column[i * kPanel + t] = row[i];
      }
    }
  }
}

// products[q, r] = centred query q . centred row r. `fresh`: the tile has not seen these queries.
void multiply(const GemmKernel& kernel, const Side& queries, const Side& rows, bool fresh, Tile& tile) {
  constexpr size_t kBlock = GemmKernel::kRows, kDepth = GemmKernel::kDepth;
  const size_t whole = (queries.count + kBlock - 1) / kBlock * kBlock, cols = queries.part.cols;
  const auto add = std::string_view(kernel.name) == "scalar" ? add_plainly : kernel.add;
  std::fill_n(tile.products.data(), whole * kRows, 0.0);
  for (size_t from = 0; from < cols; from += kColumns) {
    const size_t width = std::min(kColumns, cols - from);
    if (fresh || cols > kColumns)
      for (size_t q = 0; q < queries.count; ++q)
        queries.part.read(kernel, queries.first + q, from, width, tile.queries.data() + q * width);
    put_into_panels(kernel, rows, from, width, tile.panels.data());
    for (size_t j = 0; j < width; j += kDepth) {
      const size_t depth = std::min(kDepth, width - j);
      for (size_t p = 0; p < rows.count; p += kPanel)
        for (size_t q = 0; q < whole; q += kBlock)
          add(tile.queries.data() + q * width + j, width, 1, tile.panels.data() + (p * width + j * kPanel), depth,
              tile.products.data() + q * kRows + p, kRows, nullptr);
    }
  }
}

// Whether square_t - 2 product_t > most for kLook rows.
bool all_beyond(const double* squares, const double* products, double most) {
  int within = 0;
  for (size_t t = 0; t < kLook; ++t) within |= squares[t] - 2 * products[t] <= most ? 1 : 0;
  return within == 0;
}

}  // namespace

double distance(const Matrix& a, size_t i, const Matrix& b, size_t j) {
  double square = 0;
  if (a.is_double && b.is_double) square = squared_distance(a.f64(i), b.f64(j), a.cols);
  if (a.is_double && !b.is_double) square = squared_distance(a.f64(i), b.f32(j), a.cols);
  if (!a.is_double && b.is_double) square = squared_distance(a.f32(i), b.f64(j), a.cols);
  if (!a.is_double && !b.is_double) square = squared_distance(a.f32(i), b.f32(j), a.cols);
  return std::sqrt(square);
}

Neighbours nearest(const Matrix& queries, const Matrix& rows, bool same, size_t k, ThreadPool& pool,
                   const Control& control, const std::string& simd, const std::function<void(size_t)>& done) {
  const GemmKernel& kernel = gemm_kernel(simd);
  const std::vector<double> mean = strategies::mean_of(rows, pool, control);
  const std::vector<double> q_length = centred_lengths(queries, mean, pool, control);
  const std::vector<double> r_length = same ? q_length : centred_lengths(rows, mean, pool, control);
  // a tile goes on behind the last row with rows that are nobody's neighbours
  std::vector<double> r_square((rows.rows + kRows - 1) / kRows * kRows, kInfinity);
  for (size_t j = 0; j < rows.rows; ++j) r_square[j] = r_length[j] * r_length[j];
  // A product is off by at most `slack` |q| |r|; centring in float32 moves a row by at most 2^-24 of its length.
  constexpr auto roundings = static_cast<double>(GemmKernel::kDepth + 1);
  const double slack = roundings * 0x1p-24 / (1 - roundings * 0x1p-24) * (1 + 0x1p-20);

  Neighbours out;
  out.k = k;
  out.row.resize(queries.rows * k);
  out.distance.resize(queries.rows * k);
  std::atomic<size_t> finished = 0;
  // With few queries a tile has fewer of them, so that every thread gets some.
  const size_t shares = size_t{4} * pool.size(), share = (queries.rows + shares - 1) / shares;
  constexpr size_t kBlock = GemmKernel::kRows;
  const size_t step = std::min(kQueries, (share + kBlock - 1) / kBlock * kBlock);
  std::vector<std::unique_ptr<Tile>> tiles(pool.size());
  pool.for_blocks(queries.rows, step, [&](unsigned t, size_t begin, size_t end) {
    if (tiles[t] == nullptr) tiles[t] = std::make_unique<Tile>(step);
    Tile& tile = *tiles[t];
    const Side left = {linear::Part(queries, mean.data()), begin, end - begin};
    for (size_t i = begin; i < end; ++i) tile.candidates[i - begin].reset(k);
    for (size_t from = 0; from < rows.rows; from += kRows) {
      control.check();
      const size_t count = std::min(kRows, rows.rows - from);
      const double longest = *std::max_element(&r_length[from], &r_length[from] + count);
      multiply(kernel, left, {linear::Part(rows, mean.data()), from, count}, from == 0, tile);
      for (size_t i = begin; i < end; ++i) {
        Candidates& candidates = tile.candidates[i - begin];
        const auto exact = [&](int32_t row) { return distance(queries, i, rows, static_cast<size_t>(row)); };
        const double a = q_length[i];
        for (size_t panel = 0; panel < count; panel += kLook) {
          const double* products = tile.products.data() + (i - begin) * kRows + panel;
          // the test below, with the longest row of the tile: a panel of rows that are all too far needs no other
          const double reach = candidates.limit() + 0x1p-23 * (a + longest);
          const double error_of_all = 2 * slack * a * longest + 0x1p-39 * (a * a + longest * longest) + 1e-36;
          if (all_beyond(&r_square[from + panel], products, reach * reach + error_of_all - a * a)) continue;
          for (size_t t = 0; t < std::min(kLook, count - panel); ++t) {
            const size_t j = from + panel + t;
            if (same && j == i) continue;
            const double b = r_length[j];
            const double moved = 0x1p-23 * (a + b);
            const double square = a * a + b * b - 2 * products[t];
            const double error = 2 * slack * a * b + 0x1p-40 * (a * a + b * b) + 1e-37;
            const double farthest = candidates.limit() + moved;
            if (square - error > farthest * farthest) continue;
            const double low = std::sqrt(std::max(0.0, square - error)) - moved;
            const double high = std::sqrt(std::max(0.0, square + error)) + moved;
            candidates.offer(static_cast<int32_t>(j), low, high, exact);
          }
        }
      }
    }
    for (size_t i = begin; i < end; ++i) {
      const auto exact = [&](int32_t row) { return distance(queries, i, rows, static_cast<size_t>(row)); };
      tile.candidates[i - begin].finish(exact, &out.row[i * k], &out.distance[i * k]);
    }
    done(finished += end - begin);
  });
  return out;
}

}  // namespace coregain::reduce
