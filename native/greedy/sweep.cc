// The plain engine: every step evaluates every point that is left with one float32 inner product, then decides among
// the few that float32 cannot tell apart. O(N^2 d) work, memory of the input plus a few words a row.
#include <algorithm>
#include <limits>

#include "core/thread_pool.h"
#include "greedy/decide.h"
#include "greedy/engines.h"
#include "greedy/objective.h"
#include "greedy/points.h"
#include "greedy/problem.h"
#include "kernels/dot.h"

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

// What one thread found; on cache lines of its own.
struct alignas(128) Share {
  struct Candidate {
    size_t row;
    double high;
  };
  double best_low = kLowest;
  std::vector<Candidate> candidates;  // every row whose high reached best_low at its time
};

class Sweep {
 public:
  Sweep(const Problem& problem, const Points& points, ThreadPool& pool, Control& control)
      : problem_(problem),
        control_(control),
        kernel_(dot_kernel(problem.simd)),
        pool_(pool),
        points_(points),
        objective_(points_, kernel_, vectors_kernel(problem.simd)),
        shares_(pool_.size()),
        scratch_(points_.d),
        alive_(points_.first),
        taken_(points_.n, 0) {}

  Partition run() {
    out_.bins.assign(points_.n, -1);
    for (size_t bin = 0; bin < problem_.bins; ++bin) {
      objective_.begin_bin(taken_);
      for (size_t left = bin_size(problem_, bin); left > 0; --left) {
        const size_t row = best();
        out_.gains.push_back(objective_.gain(row, scratch_.data()));
        out_.order.push_back(static_cast<int32_t>(row));
        out_.bins[row] = static_cast<int32_t>(bin);
        objective_.take(row);
        remove(row);
        control_.done(out_.order.size());
      }
    }
    out_.engine = "sweep";
    out_.simd = kernel_.name;
    return std::move(out_);
  }

 private:
  // The row of the highest score, the lowest one on ties.
  size_t best() {
    float32_pass();
    control_.check();
    return decide(objective_, candidates_, pool_, points_.d, out_);
  }

  // Leaves in candidates_ the rows that float32 cannot rule out.
  void float32_pass() {
    for (Share& share : shares_) {
      share.best_low = kLowest;
      share.candidates.clear();
    }
    const size_t block = std::clamp<size_t>(16384 / points_.d, 16, 2048) / DotKernel::kRows * DotKernel::kRows;
    pool_.for_blocks(alive_.size(), block, [&](unsigned t, size_t begin, size_t end) {
      if (control_.cancelled()) return;
      Share& share = shares_[t];
      Bounds bounds[DotKernel::kRows];
      for (size_t at = begin; at < end; at += DotKernel::kRows) {
        const size_t count = std::min(DotKernel::kRows, end - at);
        objective_.bounds32(&alive_[at], count, bounds);
        for (size_t r = 0; r < count; ++r) {
          if (bounds[r].high < share.best_low) continue;
          share.best_low = std::max(share.best_low, bounds[r].low);
          share.candidates.push_back({static_cast<size_t>(alive_[at + r]), bounds[r].high});
        }
      }
    });
    out_.dot_products += alive_.size();

    double best_low = kLowest;
    for (const Share& share : shares_) best_low = std::max(best_low, share.best_low);
    candidates_.clear();
    for (const Share& share : shares_)
      for (const Share::Candidate& c : share.candidates)
        if (c.high >= best_low) candidates_.push_back(c.row);
  }

  void remove(size_t row) {
    taken_[row] = 1;
    const auto at = std::find(alive_.begin(), alive_.end(), static_cast<int32_t>(row));
    if (points_.next_equal[row] >= 0)
      *at = points_.next_equal[row];
    else
      alive_.erase(at);
  }

  const Problem& problem_;
  Control& control_;
  const DotKernel& kernel_;
  ThreadPool& pool_;
  const Points& points_;
  Objective objective_;
  Partition out_;

  std::vector<Share> shares_;
  std::vector<size_t> candidates_;
  std::vector<double> scratch_;  // [d]
  std::vector<int32_t> alive_;   // the first row of each chain of equal rows that is not yet in a bin
  std::vector<uint8_t> taken_;   // [N]
};

}  // namespace

Partition sweep(const Problem& problem, const Points& points, ThreadPool& pool, Control& control) {
  return Sweep(problem, points, pool, control).run();
}

}  // namespace coregain
