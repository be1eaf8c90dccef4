#include "linear/eigen.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"

namespace coregain::linear {
namespace {

constexpr size_t kBlock = 32;  // reflections between two updates of the whole matrix
constexpr size_t kSlab = DoublesKernel::kSlab;
constexpr size_t kRotations = 1 << 18;  // that are gathered before the vectors are turned
constexpr int kMostSweeps = 60;         // for one eigenvalue; two are usual
constexpr size_t kRowsTogether = 16;

struct Tridiagonal {
  std::vector<double> diagonal, beside;  // beside[i] is between i and i + 1
};

// Reflections H_k = I - u u^T, |u|^2 = 2 or 0, that make `a` tridiagonal: T = H .. a .. H. u of column k goes to a[k][k
// + 1..], as a row, because the matrix has no more use for it.
class Reduction {
 public:
  Reduction(Buffer<double>& a, size_t n, ThreadPool& pool, const Control& control, const DoublesKernel& kernel)
      : a_(a), n_(n), pool_(pool), control_(control), kernel_(kernel) {}

  Tridiagonal run() {
    Tridiagonal t;
    t.diagonal.resize(n_);
    t.beside.assign(n_, 0);
    for (size_t k = 0; k < n_; k += kBlock) {
      control_.check();
      panel(k, std::min(kBlock, n_ - k), t);
    }
    return t;
  }

 private:
  double* row(size_t i) { return a_.data() + i * n_; }

  // Columns [start, start + width); then the rest of the matrix gets all their reflections at once (as LAPACK's dsytrd
  // does): A - U W^T - W U^T, W being what makes H A H = A - u w^T - w u^T.
  void panel(size_t start, size_t width, Tridiagonal& t) {
    std::vector<std::vector<double>> u, w;  // [n] each, 0 up to the diagonal
    for (size_t k = start; k < start + width; ++k) {
      double* const x = row(k);
      for (size_t q = 0; q < u.size(); ++q) {
        const double uk = u[q][k], wk = w[q][k];
        for (size_t j = k; j < n_; ++j) x[j] -= u[q][j] * wk + w[q][j] * uk;
      }
      t.diagonal[k] = x[k];
      if (k + 1 == n_) break;
      std::vector<double> v(n_, 0.0), p(n_, 0.0);
      t.beside[k] = reflect(x, k, v);
      const size_t from = k + 1;
      pool_.for_blocks(n_ - from, kRowsTogether, [&](unsigned, size_t begin, size_t end) {
        for (size_t i = from + begin; i < from + end; ++i) p[i] = kernel_.dot(row(i) + from, &v[from], n_ - from);
      });
      // rows still lack the reflections of this panel
      for (size_t q = 0; q < u.size(); ++q) {
        const double wv = kernel_.dot(&w[q][from], &v[from], n_ - from);
        const double uv = kernel_.dot(&u[q][from], &v[from], n_ - from);
        for (size_t j = from; j < n_; ++j) p[j] -= u[q][j] * wv + w[q][j] * uv;
      }
      const double half = kernel_.dot(&p[from], &v[from], n_ - from) / 2;
      for (size_t j = from; j < n_; ++j) p[j] -= half * v[j];
      std::copy(v.begin() + static_cast<ptrdiff_t>(from), v.end(), x + from);
      u.push_back(std::move(v));
      w.push_back(std::move(p));
    }
    const std::vector<double> nothing(n_, 0.0);
    while (u.size() % 2 != 0) {
      u.push_back(nothing);
      w.push_back(nothing);
    }
    const size_t from = start + width;
    if (from >= n_) return;
    pool_.for_blocks(n_ - from, kRowsTogether, [&](unsigned, size_t begin, size_t end) {
      for (size_t q = 0; q < u.size(); q += 2) {
        const double* const x[4] = {&w[q][from], &u[q][from], &w[q + 1][from], &u[q + 1][from]};
        for (size_t i = from + begin; i < from + end; ++i) {
          const double s[4] = {u[q][i], w[q][i], u[q + 1][i], w[q + 1][i]};
          kernel_.subtract(row(i) + from, x, s, n_ - from);
        }
      }
    });
  }

  // u of the reflection that leaves of x[k + 1..] only its first element, which is returned.
  double reflect(const double* x, size_t k, std::vector<double>& u) {
    const size_t from = k + 1;
    double largest = 0;
    for (size_t j = from; j < n_; ++j) largest = std::max(largest, std::fabs(x[j]));
    if (largest == 0 || from + 1 == n_) return x[from];
    for (size_t j = from; j < n_; ++j) u[j] = x[j] / largest;
    const double length = std::sqrt(kernel_.dot(&u[from], &u[from], n_ - from));
    const double alpha = u[from] > 0 ? -length : length;
    u[from] -= alpha;
    // |u|^2 = 2 length (length + |x_1|)
    const double scale = 1 / std::sqrt(length * std::fabs(u[from]));
    for (size_t j = from; j < n_; ++j) u[j] *= scale;
    return alpha * largest;
  }

  Buffer<double>& a_;
  size_t n_;
  ThreadPool& pool_;
  const Control& control_;
  const DoublesKernel& kernel_;
};

// Rotations of one sweep: of rows last, last + 1, then of last - 1, last, and so on.
struct Sweep {
  size_t last, first, count;  // `first` counts rotations
};

// z [n rows, n columns], its rows turned by all sweeps; slabs of columns do not touch each other.
void turn(double* z, size_t n, size_t stride, const std::vector<Sweep>& sweeps, const std::vector<double>& cs,
          ThreadPool& pool, const DoublesKernel& kernel) {
  pool.for_blocks(stride / kSlab, 1, [&](unsigned, size_t slab, size_t) {
    for (const Sweep& sweep : sweeps)
      kernel.rotate(z + slab * n * kSlab, kSlab, sweep.last, &cs[2 * sweep.first], sweep.count);
  });
}

// Eigenvalues to `diagonal`; z, in slabs of kSlab columns [slab][row][kSlab], gets every rotation of its rows.
void ql(Tridiagonal& t, size_t n, double* z, size_t stride, ThreadPool& pool, const Control& control,
        const DoublesKernel& kernel) {
  std::vector<double>&d = t.diagonal, &e = t.beside;
  std::vector<Sweep> sweeps;
  std::vector<double> cs;
  if (z != nullptr) cs.reserve(2 * (kRotations + n));
  const auto flush = [&] {
    control.check();
    turn(z, n, stride, sweeps, cs, pool, kernel);
    sweeps.clear();
    cs.clear();
  };
  for (size_t l = 0; l < n; ++l) {
    for (int round = 0;; ++round) {
      size_t m = l;
      for (; m + 1 < n; ++m) {
        const double both = std::fabs(d[m]) + std::fabs(d[m + 1]);
        if (std::fabs(e[m]) <= 0x1p-53 * both) break;
      }
      if (m == l) break;
      if (round == kMostSweeps) throw Error("ERR_EIGEN", "The eigenvalues of a matrix could not be found.");
      double g = (d[l + 1] - d[l]) / (2 * e[l]);
      double r = std::sqrt(g * g + 1);
      g = d[m] - d[l] + e[l] / (g + (g < 0 ? -r : r));
      double s = 1, c = 1, p = 0;
      const Sweep sweep = {m - 1, cs.size() / 2, 0};
      size_t i = m;
      bool whole = true;
      while (i-- > l) {
        const double f = s * e[i], b = c * e[i];
        r = std::sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
          d[i + 1] -= p;
          e[m] = 0;
          whole = false;
          break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        r = (d[i] - g) * s + 2 * c * b;
        p = s * r;
        d[i + 1] = g + p;
        g = c * r - b;
        if (z == nullptr) continue;
        cs.push_back(c);
        cs.push_back(s);
      }
      if (z != nullptr) sweeps.push_back({sweep.last, sweep.first, cs.size() / 2 - sweep.first});
      if (whole) {
        d[l] -= p;
        e[l] = g;
        e[m] = 0;
      }
      if (cs.size() / 2 > kRotations) flush();
    }
  }
  flush();
}

}  // namespace

Eigen eigen(Buffer<double>& a, size_t n, size_t count, ThreadPool& pool, const Control& control,
            const DoublesKernel& kernel) {
  double largest = 0;
  for (size_t i = 0; i < n * n; ++i) largest = std::max(largest, std::fabs(a[i]));
  if (!std::isfinite(largest))
    throw Error("ERR_EIGEN", "The eigenvalues of a matrix with a NaN or an infinity are asked.");
  Eigen out;
  out.values.assign(n, 0);
  out.vectors = Buffer<double>(count * n);
  // Powers of two scale without rounding.
  int exponent = 0;
  std::frexp(largest, &exponent);
  const double scale = largest == 0 ? 1 : std::ldexp(1.0, -exponent);
  for (size_t i = 0; i < n * n; ++i) a[i] *= scale;

  Tridiagonal t = Reduction(a, n, pool, control, kernel).run();
  // Row i of z becomes the coordinates of eigenvector i: rotations mix rows.
  const size_t stride = count == 0 ? 0 : (n + kSlab - 1) / kSlab * kSlab;
  Buffer<double> z(stride * n);
  if (count != 0) std::fill_n(z.data(), z.size(), 0.0);
  const auto at = [&](size_t i, size_t j) -> double& { return z[(j / kSlab * n + i) * kSlab + j % kSlab]; };
  for (size_t i = 0; i < n && count != 0; ++i) at(i, i) = 1;
  ql(t, n, count == 0 ? nullptr : z.data(), stride, pool, control, kernel);

  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return t.diagonal[i] > t.diagonal[j]; });
  for (size_t i = 0; i < n; ++i) out.values[i] = t.diagonal[order[i]] / scale;

  constexpr size_t kVectors = 8;  // that share a pass over the reflections
  pool.for_blocks(count, kVectors, [&](unsigned, size_t begin, size_t end) {
    control.check();
    for (size_t i = begin; i < end; ++i)
      for (size_t j = 0; j < n; ++j) out.vectors[i * n + j] = at(order[i], j);
    for (size_t k = n < 2 ? 0 : n - 2; k-- > 0;) {
      const double* const u = a.data() + k * n + k + 1;
      const size_t length = n - k - 1;
      for (size_t i = begin; i < end; ++i) {
        double* const x = out.vectors.data() + i * n + k + 1;
        const double along[4] = {kernel.dot(u, x, length), 0, 0, 0};
        const double* const from[4] = {u, u, u, u};
        kernel.subtract(x, from, along, length);
      }
    }
  });
  return out;
}

}  // namespace coregain::linear
