#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cpu.h"
#include "objectives/random.h"
#include "strategies/rows.h"
#include "strategies/strategies.h"

namespace coregain::strategies {
namespace {

constexpr size_t kBlock = 1024;

// Uniform in [0, 1), 53 bits.
double uniform(objectives::Words& words) {
  const uint64_t high = words.next() >> 5, low = words.next() >> 6;
  return static_cast<double>(high << 26 | low) * 0x1p-53;
}

class KMeans {
 public:
  KMeans(const Rows& rows, size_t k, ThreadPool& pool, Control& control)
      : rows_(rows), k_(k), pool_(pool), control_(control), centres_(k * rows.stride()), squares_(k) {
    out_.of.assign(rows.n, -1);
    out_.distance.resize(rows.n);
  }

  Clusters run(uint64_t seed, size_t rounds) {
    seed_centres(seed);
    while (out_.rounds < rounds && !out_.converged) {
      out_.converged = !assign();
      ++out_.rounds;
      control_.done(out_.rounds);
      if (!out_.converged) move_centres();
    }
    return std::move(out_);
  }

 private:
  float* centre(size_t c) { return centres_.data() + c * rows_.stride(); }
  void set_centre(size_t c, const float* from) {
    std::copy_n(from, rows_.stride(), centre(c));
    squares_[c] = product(from, from, rows_.d);
  }
  double distance(size_t i, size_t c) {
    return std::max(0.0, rows_.square(i) + squares_[c] - 2 * rows_.product(i, centre(c)));
  }

  // Each next centre is a row drawn with probability proportional to its squared distance from the nearest so far.
  void seed_centres(uint64_t seed) {
    objectives::Words words(seed, 0);
    size_t next = words.below(rows_.n);
    std::vector<double> nearest(rows_.n, std::numeric_limits<double>::infinity());
    for (size_t c = 0; c < k_; ++c) {
      set_centre(c, rows_.row(next));
      if (c + 1 == k_) break;
      pool_.for_blocks(rows_.n, kBlock, [&](unsigned, size_t begin, size_t end) {
        control_.check();
        for (size_t i = begin; i < end; ++i) nearest[i] = std::min(nearest[i], distance(i, c));
      });
      double total = 0;
      for (const double square : nearest) total += square;
      const double at = uniform(words) * total;
      double sum = 0;
      next = rows_.n;
      for (size_t i = 0; i < rows_.n; ++i) {
        if (nearest[i] <= 0) continue;
        next = i;
        sum += nearest[i];
        if (sum > at) break;
      }
      if (next == rows_.n) next = words.below(rows_.n);  // all rows are centres already
    }
  }

  // Returns whether a row changed its cluster.
  bool assign() {
    std::vector<uint8_t> changed(pool_.size(), 0);
    pool_.for_blocks(rows_.n, kBlock, [&](unsigned t, size_t begin, size_t end) {
      control_.check();
      std::vector<double> scores(4 * k_);
      for (size_t i = begin; i < end; i += 4) {
        const size_t count = std::min<size_t>(4, end - i);
        size_t some[4];
        for (size_t r = 0; r < count; ++r) some[r] = i + r;
        for (size_t c = 0; c < k_; ++c) {
          double products[4];
          rows_.products(some, count, centre(c), products);
          for (size_t r = 0; r < count; ++r) scores[r * k_ + c] = squares_[c] - 2 * products[r];
        }
        for (size_t r = 0; r < count; ++r) {
          const auto best = static_cast<int32_t>(nearest(i + r, &scores[r * k_]));
          if (out_.of[i + r] != best) changed[t] = 1;
          out_.of[i + r] = best;
          out_.distance[i + r] = distance(i + r, static_cast<size_t>(best));
        }
      }
    });
    return std::find(changed.begin(), changed.end(), 1) != changed.end();
  }

  // From float32 scores |c|^2 - 2 y.c; float64 decides what they leave open.
  size_t nearest(size_t i, const double* scores) {
    const double length = std::sqrt(rows_.square(i));
    double high = std::numeric_limits<double>::infinity();
    const auto error = [&](size_t c) {
      return (2 * rows_.error() + 0x1p-40) * length * std::sqrt(squares_[c]) + 1e-37;
    };
    for (size_t c = 0; c < k_; ++c) high = std::min(high, scores[c] + error(c));
    size_t best = k_;
    double least = 0;
    for (size_t c = 0; c < k_; ++c) {
      if (scores[c] - error(c) > high) continue;
      const double d = distance(i, c);
      if (best < k_ && d >= least) continue;
      best = c;
      least = d;
    }
    return best;
  }

  void move_centres() {
    const size_t d = rows_.d;
    std::vector<size_t> counts(k_);
    for (const int32_t c : out_.of) ++counts[static_cast<size_t>(c)];
    // rows of each cluster in order: one fixed sum for each
    std::vector<std::vector<int32_t>> members(k_);
    for (size_t c = 0; c < k_; ++c) members[c].reserve(counts[c]);
    for (size_t i = 0; i < rows_.n; ++i) members[static_cast<size_t>(out_.of[i])].push_back(static_cast<int32_t>(i));
    pool_.for_blocks(k_, 1, [&](unsigned, size_t c, size_t) {
      if (members[c].empty()) return;
      std::vector<double> sum(d);
      for (const int32_t i : members[c]) {
        const float* y = rows_.row(static_cast<size_t>(i));
        for (size_t j = 0; j < d; ++j) sum[j] += static_cast<double>(y[j]);
      }
      for (size_t j = 0; j < d; ++j) centre(c)[j] = static_cast<float>(sum[j] / static_cast<double>(members[c].size()));
      squares_[c] = product(centre(c), centre(c), d);
    });
    for (size_t c = 0; c < k_; ++c) {
      if (!members[c].empty()) continue;
      const auto far = std::max_element(out_.distance.begin(), out_.distance.end());
      if (*far <= 0) continue;
      set_centre(c, rows_.row(static_cast<size_t>(far - out_.distance.begin())));
      *far = 0;  // the next empty cluster takes another row
    }
  }

  const Rows& rows_;
  const size_t k_;
  ThreadPool& pool_;
  Control& control_;
  std::vector<float> centres_;  // [k, stride]
  std::vector<double> squares_;
  Clusters out_;
};

}  // namespace

Clusters k_means(const Task& task, size_t clusters, size_t rounds, Control& control) {
  const StandardArithmetic standard;
  ThreadPool pool(task.threads);
  const Rows rows(task.x, pool, control, task.simd);
  return KMeans(rows, clusters, pool, control).run(task.seed, rounds);
}

}  // namespace coregain::strategies
