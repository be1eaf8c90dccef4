#include "linear/divide.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "linear/columns.h"
#include "linear/ql.h"
#include "linear/secular.h"

namespace coregain::linear {
namespace {

constexpr size_t kLeaf = 32;     // rows of a matrix that QL does
constexpr size_t kAlone = 256;   // rows of a matrix that one thread does
constexpr size_t kTile = 64;     // new vectors at a time: they stay in a cache
constexpr size_t kRoots = 16;    // at a time
constexpr size_t kWeights = 64;  // at a time

// Rows and columns of T: a matrix on its diagonal.
struct Range {
  size_t begin, count;
  size_t middle() const { return begin + count / 2; }
  Range upper() const { return {begin, count / 2}; }
  Range lower() const { return {middle(), count - count / 2}; }
};

// The vectors of two neighbouring matrices turn T into a diagonal plus rank 1; this is what is left to solve of it.
struct Merge {
  Secular problem;
  std::vector<Root> roots;    // [k], as all here
  std::vector<size_t> rows;   // of the vectors of the poles; those of the roots go there
  std::vector<size_t> place;  // of a pole, where those of the upper matrix come first, then those of both
  size_t upper = 0, both = 0, lower = 0;
};

class Divide {
 public:
  Divide(Tridiagonal t, const Solvers& with)
      : n_(t.diagonal.size()), d_(std::move(t.diagonal)), e_(std::move(t.beside)), with_(with), z_(n_ * n_) {
    double most = 0;
    for (size_t i = 0; i < n_; ++i) most = std::max({most, std::fabs(d_[i]), std::fabs(e_[i])});
    negligible_ = 8 * 0x1p-53 * most;
  }

  Eigen run(size_t count) {
    with_.pool.for_blocks(n_, kTile, [&](unsigned, size_t begin, size_t end) {
      std::fill(row(begin), row(begin) + (end - begin) * n_, 0.0);
    });
    const Range all = {0, n_};
    tear(all);
    std::vector<Range> small;
    list(all, small);
    with_.pool.for_blocks(small.size(), 1, [&](unsigned, size_t i, size_t) {
      ThreadPool alone(1);
      solve(small[i], alone, 0);
    });
    Merge top;
    if (n_ > kAlone) {
      solve(all.upper(), with_.pool, kAlone);
      solve(all.lower(), with_.pool, kAlone);
      top = merge(all, with_.pool);
    }

    std::vector<size_t> order(n_), rank(n_);
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return d_[i] > d_[j]; });
    for (size_t i = 0; i < n_; ++i) rank[order[i]] = i;
    Eigen out = {std::vector<double>(n_), Buffer<double>(count * n_)};
    for (size_t i = 0; i < n_; ++i) out.values[i] = d_[order[i]];
    const auto where = [&](size_t i) { return rank[i] < count ? out.vectors.data() + rank[i] * n_ : nullptr; };
    std::vector<bool> made(n_, false);
    for (const size_t i : top.rows) made[i] = true;
    with_.pool.for_blocks(n_, kTile, [&](unsigned, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        if (!made[i] && where(i) != nullptr) std::copy_n(row(i), n_, where(i));
    });
    multiply(all, top, where, with_.pool);
    return out;
  }

 private:
  double* row(size_t i) { return z_.data() + i * n_; }

  // T less the matrix of rank 1 between two halves, |e| (1, sign) (1, sign)^T, and so on with the halves.
  void tear(const Range& r) {
    if (r.count <= kLeaf) return;
    const double beside = std::fabs(e_[r.middle() - 1]);
    d_[r.middle() - 1] -= beside;
    d_[r.middle()] -= beside;
    tear(r.upper());
    tear(r.lower());
  }

  void list(const Range& r, std::vector<Range>& small) const {
    if (r.count <= kAlone) return small.push_back(r);
    list(r.upper(), small);
    list(r.lower(), small);
  }

  // Ranges of at most `solved` rows are solved already.
  void solve(const Range& r, ThreadPool& pool, size_t solved) {
    if (r.count <= solved) return;
    if (r.count <= kLeaf) return leaf(r);
    solve(r.upper(), pool, solved);
    solve(r.lower(), pool, solved);
    const Merge m = merge(r, pool);
    multiply(
        r, m, [&](size_t i) { return row(i) + r.begin; }, pool);
  }

  void leaf(const Range& r) {
    double beside[kLeaf] = {};
    std::copy_n(e_.data() + r.begin, r.count - 1, beside);
    for (size_t i = r.begin; i < r.begin + r.count; ++i) row(i)[i] = 1;
    ql(d_.data() + r.begin, beside, r.count, row(r.begin) + r.begin, n_);
  }

  Merge merge(const Range& r, ThreadPool& pool) {
    Merge m = deflated(r);
    const size_t k = m.rows.size();
    m.roots.resize(k);
    pool.for_blocks(k, kRoots, [&](unsigned, size_t begin, size_t end) {
      with_.control.check();
      for (size_t i = begin; i < end; ++i) m.roots[i] = secular_root(m.problem, i, with_.rows);
    });
    for (size_t i = 0; i < k; ++i) d_[m.rows[i]] = m.problem.d[m.roots[i].origin] + m.roots[i].tau;
    pool.for_blocks(k, kWeights, [&](unsigned, size_t begin, size_t end) { reweigh(m, begin, end); });
    return m;
  }

  // Poles that barely couple, or that are barely apart after a rotation of two vectors, are eigenvalues already.
  Merge deflated(const Range& r) {
    enum Kind : char { kUpper, kBoth, kLower };
    const double beside = e_[r.middle() - 1], rho = 2 * std::fabs(beside);
    std::vector<double> z(r.count);
    std::vector<Kind> kind(r.count);
    std::vector<size_t> order(r.count), kept;
    for (size_t i = 0; i < r.count; ++i) {
      const bool upper = r.begin + i < r.middle();
      const double end = row(r.begin + i)[upper ? r.middle() - 1 : r.middle()];
      z[i] = (upper || beside > 0 ? end : -end) * std::sqrt(0.5);
      kind[i] = upper ? kUpper : kLower;
      order[i] = i;
    }
    double* const d = d_.data() + r.begin;
    std::stable_sort(order.begin(), order.end(), [&](size_t i, size_t j) { return d[i] < d[j]; });
    for (const size_t i : order) {
      if (rho * std::fabs(z[i]) <= negligible_) continue;
      if (!kept.empty()) {
        const size_t j = kept.back();
        const double length = std::sqrt(z[i] * z[i] + z[j] * z[j]), c = z[i] / length, s = z[j] / length;
        if (std::fabs((d[i] - d[j]) * c * s) <= negligible_) {
          double *const x = row(r.begin + i) + r.begin, *const y = row(r.begin + j) + r.begin;
          for (size_t t = 0; t < r.count; ++t) {
            const double both = c * x[t] + s * y[t];
            y[t] = c * y[t] - s * x[t];
            x[t] = both;
          }
          const double still = d[j] * c * c + d[i] * s * s;
          d[i] = d[j] * s * s + d[i] * c * c;
          d[j] = still;
          z[i] = length;
          if (kind[i] != kind[j]) kind[i] = kBoth;
          kept.pop_back();
        }
      }
      kept.push_back(i);
    }
    Merge m;
    m.problem.rho = rho;
    std::array<size_t, 3> counts = {};
    for (const size_t i : kept) ++counts[kind[i]];
    std::array<size_t, 3> next = {0, counts[kUpper], counts[kUpper] + counts[kBoth]};
    for (const size_t i : kept) {
      m.problem.d.push_back(d[i]);
      m.problem.z.push_back(z[i]);
      m.rows.push_back(r.begin + i);
      m.place.push_back(next[kind[i]]++);
    }
    m.upper = counts[kUpper];
    m.both = counts[kBoth];
    m.lower = counts[kLower];
    return m;
  }

  // z [begin, end) of the problem whose eigenvalues are exactly the computed ones: their eigenvectors are orthogonal,
  // whatever the errors of the roots. By Loewner, z_j^2 = prod_i (x_i - d_j) / prod_{i != j} (d_i - d_j), less a factor
  // that all have.
  static void reweigh(Merge& m, size_t begin, size_t end) {
    const std::vector<double>& d = m.problem.d;
    double products[kWeights];
    for (size_t j = begin; j < end; ++j) products[j - begin] = (d[j] - d[m.roots[j].origin]) - m.roots[j].tau;
    for (size_t i = 0; i < d.size(); ++i) {
      const double pole = d[i], origin = d[m.roots[i].origin], tau = m.roots[i].tau;
      const auto multiply = [&](size_t from, size_t to) {
        for (size_t j = from; j < to; ++j) products[j - begin] *= ((d[j] - origin) - tau) / (d[j] - pole);
      };
      const bool own = i >= begin && i < end;
      multiply(begin, own ? i : end);
      if (own) multiply(i + 1, end);
    }
    for (size_t j = begin; j < end; ++j)
      m.problem.z[j] = std::copysign(std::sqrt(std::fabs(products[j - begin])), m.problem.z[j]);
  }

  // Vectors of the roots, by the rows that they go to, in columns of the range; where(row) null: not wanted.
  void multiply(const Range& r, const Merge& m, const std::function<double*(size_t)>& where, ThreadPool& pool) {
    const size_t k = m.rows.size();
    Columns upper(m.upper + m.both, r.upper().count), lower(m.both + m.lower, r.lower().count);
    pool.for_blocks(k, kRoots, [&](unsigned, size_t begin, size_t end) {
      for (size_t j = begin; j < end; ++j) {
        const double* const vector = row(m.rows[j]);
        if (m.place[j] < upper.depth()) upper.put_row(m.place[j], 0, vector + r.begin, upper.count());
        if (m.place[j] >= m.upper) lower.put_row(m.place[j] - m.upper, 0, vector + r.middle(), lower.count());
      }
    });
    std::vector<size_t> wanted;
    for (size_t i = 0; i < k; ++i)
      if (where(m.rows[i]) != nullptr) wanted.push_back(i);
    pool.for_blocks(wanted.size(), kTile, [&](unsigned, size_t begin, size_t end) {
      with_.control.check();
      const size_t count = end - begin;
      std::vector<double> weights(count * k), vectors(count * r.count, 0.0);
      for (size_t i = 0; i < count; ++i) weigh(m, wanted[begin + i], &weights[i * k]);
      add_product(with_.products, weights.data(), k, count, upper, 0, upper.panels(), vectors.data(), r.count);
      add_product(with_.products, weights.data() + m.upper, k, count, lower, 0, lower.panels(),
                  vectors.data() + upper.count(), r.count);
      for (size_t i = 0; i < count; ++i) std::copy_n(&vectors[i * r.count], r.count, where(m.rows[wanted[begin + i]]));
    });
  }

  // The unit eigenvector of root i, z_j / (d_j - x_i), by the places of the poles.
  void weigh(const Merge& m, size_t i, double* weights) const {
    const Secular& p = m.problem;
    const double origin = p.d[m.roots[i].origin], tau = m.roots[i].tau;
    std::vector<double> raw(p.d.size());
    for (size_t j = 0; j < raw.size(); ++j) raw[j] = p.z[j] / ((p.d[j] - origin) - tau);
    const double length = std::sqrt(with_.rows.dot(raw.data(), raw.data(), raw.size()));
    for (size_t j = 0; j < raw.size(); ++j) weights[m.place[j]] = raw[j] / length;
  }

  size_t n_;
  std::vector<double> d_, e_;
  const Solvers& with_;
  double negligible_;  // LAPACK's, of dlaed2
  Buffer<double> z_;   // [n, n], vectors in rows: blocks on the diagonal, which grow
};

}  // namespace

Eigen divide(Tridiagonal t, size_t count, const Solvers& with) {
  return Divide(std::move(t), with).run(count);
}

}  // namespace coregain::linear
