// The plain engine: every step evaluates every point that is left with one float32 inner product, then decides among
// the few that float32 cannot tell apart. O(N^2 d) work, memory of the input plus a few words a row.
#include <algorithm>
#include <chrono>
#include <limits>

#include "core/cpu.h"
#include "core/thread_pool.h"
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
  std::vector<double> scratch;        // [d]
};

class Sweep {
 public:
  Sweep(const Problem& problem, Control& control)
      : problem_(problem),
        control_(control),
        kernel_(dot_kernel(problem.simd)),
        pool_(problem.threads),
        points_(problem, pool_, control),
        objective_(points_, kernel_),
        shares_(pool_.size()),
        alive_(points_.first),
        taken_(points_.n, 0) {
    for (Share& share : shares_) share.scratch.resize(points_.d);
  }

  Partition run() {
    out_.bins.assign(points_.n, -1);
    for (size_t bin = 0; bin < problem_.bins; ++bin) {
      objective_.begin_bin(taken_);
      for (size_t left = bin_size(problem_, bin); left > 0; --left) {
        const size_t row = best();
        out_.gains.push_back(objective_.gain(row, shares_[0].scratch.data()));
        out_.order.push_back(static_cast<int32_t>(row));
        out_.bins[row] = static_cast<int32_t>(bin);
        objective_.take(row);
        remove(row);
        control_.done(out_.order.size());
      }
    }
    out_.simd = kernel_.name;
    out_.threads = pool_.size();
    return std::move(out_);
  }

 private:
  // The row of the highest score, the lowest one on ties.
  size_t best() {
    float32_pass();
    control_.check();
    if (candidates_.size() == 1) return candidates_[0];
    ++out_.float64_decisions;
    float64_pass();
    if (candidates_.size() == 1) return candidates_[0];
    if (objective_.float64_is_exact()) return *std::min_element(candidates_.begin(), candidates_.end());
    ++out_.exact_decisions;
    return objective_.best_exact(candidates_);
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

  // Leaves in candidates_ those that float64 cannot rule out either.
  void float64_pass() {
    bounds_.resize(candidates_.size());
    pool_.for_blocks(candidates_.size(), 1 + 32768 / points_.d, [&](unsigned t, size_t begin, size_t end) {
      for (size_t c = begin; c < end; ++c) bounds_[c] = objective_.bounds64(candidates_[c], shares_[t].scratch.data());
    });
    double best_low = kLowest;
    for (const Bounds& b : bounds_) best_low = std::max(best_low, b.low);
    size_t kept = 0;
    for (size_t c = 0; c < bounds_.size(); ++c)
      if (bounds_[c].high >= best_low) candidates_[kept++] = candidates_[c];
    candidates_.resize(kept);
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
  ThreadPool pool_;
  Points points_;
  Objective objective_;
  Partition out_;

  std::vector<Share> shares_;
  std::vector<size_t> candidates_;
  std::vector<Bounds> bounds_;
  std::vector<int32_t> alive_;  // the first row of each chain of equal rows that is not yet in a bin
  std::vector<uint8_t> taken_;  // [N]
};

}  // namespace

Partition greedy_bins(const Problem& problem, Control& control) {
  if (problem.bins < 1 || problem.bins > problem.x.rows || problem.x.cols < 1)
    throw Error("ERR_BINS", "Cannot make " + std::to_string(problem.bins) + " bins of " +
                                std::to_string(problem.x.rows) + " rows with " + std::to_string(problem.x.cols) +
                                " columns. Ask for at least 1 bin and at most one for each row.");
  const StandardArithmetic standard;
  const auto start = std::chrono::steady_clock::now();
  Partition out = Sweep(problem, control).run();
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace coregain
