#include "linear/tridiagonal.h"

#include <algorithm>
#include <cmath>

#include "linear/columns.h"

namespace coregain::linear {
namespace {

constexpr size_t kBlock = 32;   // reflections between two updates of the whole matrix
constexpr size_t kGroups = 12;  // of rows: what each adds to a product with the matrix is summed apart
constexpr size_t kAlone = 128;  // rows that are not worth waking other threads
constexpr size_t kTile = 64;    // rows of the matrix that are updated together
constexpr size_t kTogether = DoublesKernel::kRows;
constexpr double kSmall = 0x1p-900;  // a sum of squares that may have lost terms

class Reduction {
 public:
  Reduction(Buffer<double>& a, size_t n, const Solvers& with)
      : a_(a), n_(n), with_(with), u_(kBlock * n), w_(kBlock * n), partial_(kGroups * n) {}

  Tridiagonal run() {
    Tridiagonal t;
    t.diagonal.resize(n_);
    t.beside.assign(n_, 0);
    for (size_t k = 0; k < n_; k += kBlock) {
      with_.control.check();
      panel(k, std::min(kBlock, n_ - k), t);
    }
    return t;
  }

 private:
  double* row(size_t i) { return a_.data() + i * n_; }
  double* u(size_t q) { return u_.data() + q * n_; }
  double* w(size_t q) { return w_.data() + q * n_; }

  // Rows [start, start + width); then the rest of the matrix gets all their reflections at once (as LAPACK's dsytrd
  // does): A - U W^T - W U^T, W being what makes H A H = A - u w^T - w u^T.
  void panel(size_t start, size_t width, Tridiagonal& t) {
    std::fill_n(u_.data(), u_.size(), 0.0);
    std::fill_n(w_.data(), w_.size(), 0.0);
    share(start);
    for (size_t q = 0; q < width; ++q) {
      const size_t k = start + q, from = k + 1, rest = n_ - from;
      double* const x = row(k);
      // two reflections at a time; where they are odd, another is 0 yet
      for (size_t r = 0; r < q; r += 2) {
        const double* const of[4] = {u(r) + k, w(r) + k, u(r + 1) + k, w(r + 1) + k};
        const double s[4] = {w(r)[k], u(r)[k], w(r + 1)[k], u(r + 1)[k]};
        with_.rows.subtract(x + k, of, s, n_ - k);
      }
      t.diagonal[k] = x[k];
      if (rest == 0) break;
      double *const v = u(q), *const p = w(q);
      t.beside[k] = reflect(x + from, rest, v + from);
      multiply(from, v, p);
      // rows still lack the reflections of this panel
      for (size_t r = 0; r < q; r += 2) {
        const double* const of[4] = {u(r) + from, w(r) + from, u(r + 1) + from, w(r + 1) + from};
        double s[4];
        with_.rows.dots(of, v + from, rest, s);
        // (r + 1 may be this reflection, of which there is nothing to subtract yet)
        if (r + 1 == q) s[2] = s[3] = 0;
        const double crossed[4] = {s[1], s[0], s[3], s[2]};
        with_.rows.subtract(p + from, of, crossed, rest);
      }
      const double half = with_.rows.dot(p + from, v + from, rest) / 2;
      for (size_t j = from; j < n_; ++j) p[j] -= half * v[j];
      std::copy_n(v + from, rest, x + from);
    }
    if (start + width < n_) update(start + width);
  }

  // u of the reflection that leaves of x [count] only its first element, which is returned.
  double reflect(const double* x, size_t count, double* u) {
    if (count == 1) return x[0];
    double unit = 1;
    std::copy_n(x, count, u);
    double squares = with_.rows.dot(u, u, count);
    if (squares < kSmall) {
      unit = 0;
      for (size_t j = 0; j < count; ++j) unit = std::max(unit, std::fabs(x[j]));
      if (unit == 0) return 0;
      for (size_t j = 0; j < count; ++j) u[j] = x[j] / unit;
      squares = with_.rows.dot(u, u, count);
    }
    const double length = std::sqrt(squares);
    const double alpha = u[0] > 0 ? -length : length;
    u[0] -= alpha;
    // |u|^2 = 2 length (length + |x_1|)
    const double scale = 1 / std::sqrt(length * std::fabs(u[0]));
    for (size_t j = 0; j < count; ++j) u[j] *= scale;
    return alpha * unit;
  }

  // Groups of rows from `start` on with about as many elements each.
  void share(size_t start) {
    for (size_t g = 0; g <= kGroups; ++g) {
      const double left = std::sqrt(static_cast<double>(kGroups - g) / static_cast<double>(kGroups));
      const auto begin = n_ - static_cast<size_t>(left * static_cast<double>(n_ - start));
      bounds_[g] = g == kGroups ? n_ : begin / kTogether * kTogether;
    }
  }

  // p = a v of rows and columns from `from` on, v being 0 before. An element right of the diagonal serves its row and
  // its column. Each thread has the same groups every time: they may stay in its cache.
  void multiply(size_t from, const double* v, double* p) {
    const auto group = [&](size_t g) {
      double* const below = partial_.data() + g * n_;
      std::fill(below + bounds_[g], below + n_, 0.0);
      for (size_t i = std::max(bounds_[g], from / kTogether * kTogether); i < bounds_[g + 1]; i += kTogether) {
        const size_t end = std::min(i + kTogether, n_);
        double sums[kTogether] = {};
        for (size_t r = std::max(i, from); r < end; ++r)
          for (size_t j = std::max(i, from); j < end; ++j) sums[r - i] += row(std::min(r, j))[std::max(r, j)] * v[j];
        if (end < n_) with_.rows.both_ways(row(i) + end, n_, v + end, v + i, n_ - end, sums, below + end);
        for (size_t r = std::max(i, from); r < end; ++r) p[r] = sums[r - i];
      }
    };
    const auto threads = n_ - from > kAlone ? std::min<size_t>(with_.pool.size(), kGroups) : 1;
    const auto groups = [&](size_t thread) {
      for (size_t g = thread; g < kGroups && thread < threads; g += threads) group(g);
    };
    if (threads == 1)
      groups(0);
    else
      with_.pool.run(groups);
    for (size_t g = 0; g < kGroups; ++g) {
      const double* const below = partial_.data() + g * n_;
      for (size_t j = std::max(bounds_[g], from); j < n_; ++j) p[j] += below[j];
    }
  }

  void update(size_t from) {
    const size_t rest = n_ - from;
    Columns right(2 * kBlock, rest);
    with_.pool.for_blocks(kBlock, 4, [&](unsigned, size_t begin, size_t end) {
      for (size_t q = begin; q < end; ++q) {
        right.put_row(2 * q, 0, w(q) + from, rest);
        right.put_row(2 * q + 1, 0, u(q) + from, rest);
      }
    });
    with_.pool.for_blocks(rest, kTile, [&](unsigned, size_t begin, size_t end) {
      double left[kTile * 2 * kBlock];
      for (size_t q = 0; q < kBlock; ++q) {
        for (size_t i = begin; i < end; ++i) {
          left[(i - begin) * 2 * kBlock + 2 * q] = -u(q)[from + i];
          left[(i - begin) * 2 * kBlock + 2 * q + 1] = -w(q)[from + i];
        }
      }
      // (what a panel has left of the diagonal is never read)
      add_product(with_.products, left, 2 * kBlock, end - begin, right, begin / Gemm64Kernel::kPanel, right.panels(),
                  row(from + begin) + from, n_);
    });
  }

  Buffer<double>& a_;
  size_t n_;
  const Solvers& with_;
  Buffer<double> u_, w_;    // [kBlock, n], of a panel
  Buffer<double> partial_;  // [kGroups, n]
  size_t bounds_[kGroups + 1] = {};
};

}  // namespace

Tridiagonal tridiagonal(Buffer<double>& a, size_t n, const Solvers& with) {
  return Reduction(a, n, with).run();
}

}  // namespace coregain::linear
