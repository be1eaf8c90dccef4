#include "greedy/sweep.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <numeric>

#include "core/thread_pool.h"
#include "greedy/objective.h"
#include "kernels/dot.h"

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();

struct Candidate {
  size_t row;
  double high;
};

// What one thread found in its share of the rows; on its own cache lines.
struct alignas(128) Share {
  double best_low = kLowest;
  std::vector<Candidate> candidates;
};

class Sweep {
 public:
  Sweep(const Problem& problem, const Settings& settings)
      : problem_(problem),
        settings_(settings),
        pool_(settings.threads),
        kernel_(dot_kernel(settings.simd)),
        objective_(problem, pool_, kernel_),
        shares_(pool_.size()),
        seen_(problem.x.rows, 0),
        alive_(problem.x.rows),
        taken_(problem.x.rows, false) {
    std::iota(alive_.begin(), alive_.end(), 0);
  }

  Partition run() {
    const auto start = std::chrono::steady_clock::now();
    const size_t n = problem_.x.rows;
    Partition& out = out_;
    out.bins.assign(n, -1);
    out.order.reserve(n);
    out.gains.reserve(n);
    for (size_t bin = 0; bin < problem_.bins; ++bin) {
      objective_.begin_bin();
      for (size_t k = problem_.bin_size(bin); k > 0; --k) {
        check_cancel();
        const size_t row = best();
        out.gains.push_back(objective_.gain(row));
        out.order.push_back(static_cast<int32_t>(row));
        out.bins[row] = static_cast<int32_t>(bin);
        objective_.take(row);
        remove(row);
        if (settings_.placed)
          std::atomic_ref(*settings_.placed).store(static_cast<int32_t>(out.order.size()), std::memory_order_relaxed);
      }
    }
    out.simd = kernel_.name;
    out.threads = pool_.size();
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return std::move(out_);
  }

 private:
  void check_cancel() const {
    if (settings_.cancel && std::atomic_ref(const_cast<int32_t&>(*settings_.cancel)).load(std::memory_order_relaxed))
      throw Cancelled();
  }

  void remove(size_t row) {
    taken_[row] = true;
    // Keeping a few dead rows in the list is cheaper than moving it at every step.
    if (++dead_ < 16 + alive_.size() / 64) return;
    std::erase_if(alive_, [&](int32_t i) { return taken_[static_cast<size_t>(i)]; });
    dead_ = 0;
  }

  // The row of highest score, lowest row on ties.
  size_t best() {
    float32_pass();
    if (candidates_.size() > 1) {
      ++out_.float64_decisions;
      float64_pass();
    }
    if (candidates_.size() > 1) {
      ++out_.exact_decisions;
      return objective_.best_exact(candidates_);
    }
    return candidates_[0];
  }

  // Leaves in candidates_ the rows that float32 cannot rule out, one for each set of equal rows.
  void float32_pass() {
    out_.dot_products += alive_.size() - dead_;
    pool_.for_range(alive_.size(), [&](unsigned t, size_t begin, size_t end) {
      Share& share = shares_[t];
      share.candidates.clear();
      double best_low = kLowest;
      for (size_t at = begin; at < end; ++at) {
        const auto row = static_cast<size_t>(alive_[at]);
        if (taken_[row]) continue;
        const Objective::Bounds b = objective_.bounds32(row);
        if (b.high < best_low) continue;
        share.candidates.push_back({row, b.high});
        best_low = std::max(best_low, b.low);
      }
      share.best_low = best_low;
    });
    double best_low = kLowest;
    for (const Share& share : shares_) best_low = std::max(best_low, share.best_low);
    candidates_.clear();
    ++round_;
    for (const Share& share : shares_) {
      for (const Candidate& c : share.candidates) {
        // rows come in ascending order, so the first of equal rows is the lowest
        if (c.high < best_low || seen_[objective_.twin(c.row)] == round_) continue;
        seen_[objective_.twin(c.row)] = round_;
        candidates_.push_back(c.row);
      }
    }
  }

  void float64_pass() {
    const size_t n = candidates_.size();
    bounds_.resize(n);
    const auto evaluate = [&](unsigned, size_t begin, size_t end) {
      std::vector<double> scratch(problem_.x.cols);
      for (size_t c = begin; c < end; ++c) bounds_[c] = objective_.bounds64(candidates_[c], scratch.data());
    };
    if (n * problem_.x.cols < 100'000)
      evaluate(0, 0, n);
    else
      pool_.for_range(n, evaluate);
    double best_low = kLowest;
    for (const Objective::Bounds& b : bounds_) best_low = std::max(best_low, b.low);
    size_t kept = 0;
    for (size_t c = 0; c < n; ++c)
      if (bounds_[c].high >= best_low) candidates_[kept++] = candidates_[c];
    candidates_.resize(kept);
  }

  const Problem& problem_;
  const Settings& settings_;
  ThreadPool pool_;
  const DotKernel& kernel_;
  Objective objective_;
  Partition out_;

  std::vector<Share> shares_;
  std::vector<size_t> candidates_;
  std::vector<Objective::Bounds> bounds_;
  std::vector<uint64_t> seen_;  // [N], by twin: last round in which one of these equal rows became a candidate
  uint64_t round_ = 0;
  std::vector<int32_t> alive_;  // ascending; may hold `dead_` rows that are taken
  std::vector<uint8_t> taken_;
  size_t dead_ = 0;
};

}  // namespace

Partition sweep(const Problem& problem, const Settings& settings) {
  return Sweep(problem, settings).run();
}

}  // namespace coregain
