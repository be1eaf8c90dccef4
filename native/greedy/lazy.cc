// Certified lazy evaluation: exact, and most points are looked at once in many steps. docs/exact-order.md has the
// proof.
//
//   level 0        all points; a pass over a level gives each of its points an interval
//   level 1, ...   those that may win soon; what a level leaves out is bounded by its buckets, and when these reach the
//                  best score the level gets another pass
//     window       scores kept up to date at every step
//       candidates float32, then float64, then integers
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>

#include "core/cpu.h"
#include "greedy/decide.h"
#include "greedy/engines.h"
#include "greedy/level.h"
#include "greedy/window.h"

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
constexpr double kUp = 1 + 0x1p-20;
constexpr double kMemory = 0.8;  // weight of the rounds before
// How much longer than a pass the time to the next should be: measured, between 1 and 2 it matters little.
constexpr double kBalance = 1.4;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// How long the last pass of a level lasted, and how large the set that it keeps should be.
struct Round {
  double target = 0;
  double cost = 0;              // seconds of the pass
  double began = 0;             // when it ended
  double costs = 0, inner = 0;  // seconds of passes and between them, lately
  size_t steps = 0;
  double da = 0, dw = 0;  // how far a and w had moved when the round before ended
  bool whole = false;     // it keeps everything
};

class Lazy {
 public:
  Lazy(const Problem& problem, const Points& points, ThreadPool& pool, Control& control, const Nest& nest)
      : problem_(problem),
        control_(control),
        dot_(dot_kernel(problem.simd)),
        pool_(pool),
        points_(points),
        nest_(nest),
        objective_(points, dot_, vectors_kernel(problem.simd)),
        vectors_(vectors_kernel(problem.simd)),
        quantiser_(points, vectors_),
        tools_{points,   quantiser_, objective_, int8_kernel(problem.simd), scores_kernel(problem.simd),
               vectors_, pool,       control},
        window_(tools_),
        scratch_(points.d),
        taken_(points.n, 0) {
    const auto n = static_cast<double>(points.first.size());
    const size_t by_size = n < 2000 ? 1 : n < 50000 ? 2 : 3;
    const size_t depth = nest.everything ? 1 : nest.depth > 0 ? nest.depth : by_size;
    levels_.reserve(depth);
    levels_.emplace_back(tools_, quantiser_.rows(pool, control));
    while (levels_.size() < depth) levels_.emplace_back(tools_);
    rounds_.resize(depth);
    lists_.resize(depth);
    for (size_t k = 0; k < depth; ++k)
      rounds_[k].target = n * std::pow(4 * nest.smallest / n, static_cast<double>(k + 1) / static_cast<double>(depth));
    const double input = static_cast<double>(points.n * points.d) * (points.x.is_double ? 8 : 4);
    small_memory_ = static_cast<size_t>(std::max(16e6, 0.1 * input));
  }

  Partition run() {
    out_.bins.assign(points_.n, -1);
    for (size_t bin = 0; bin < problem_.bins; ++bin) {
      objective_.begin_bin(taken_);
      pass(0, true);
      for (size_t left = bin_size(problem_, bin); left > 0; --left) {
        const size_t at = best();
        const auto row = static_cast<size_t>(window_.row(at));
        whole_steps_ += rounds_[0].whole ? 1 : 0;
        out_.gains.push_back(objective_.gain(row, scratch_.data()));
        out_.order.push_back(static_cast<int32_t>(row));
        out_.bins[row] = static_cast<int32_t>(bin);
        taken_[row] = 1;
        control_.done(out_.order.size());
        const int32_t next = points_.next_equal[row];
        if (left > 1) window_.choose(at, next >= 0);
        objective_.take(row);
        leave(window_.index(at), next);
        for (Round& round : rounds_) ++round.steps;
      }
    }
    out_.dot_products += window_.products();
    out_.engine = nest_.everything ? "gram" : "lazy";
    const auto steps = static_cast<double>(out_.order.size());
    char why[160];
    std::snprintf(why, sizeof why,
                  "%.0f inner products a step; all points had to be kept up to date in %.0f %% of them",
                  static_cast<double>(out_.dot_products) / steps, 100 * static_cast<double>(whole_steps_) / steps);
    out_.why = why;
    out_.simd = tools_.int8.name;
    return std::move(out_);
  }

 private:
  // Index in the window of the best row.
  size_t best() {
    for (size_t failures = 0;;) {
      control_.check();
      window_.moved();
      const size_t top = window_.top();
      if (top == window_.size()) {
        size_t k = active_ - 1;
        while (levels_[k].alive() == 0) --k;
        pass(k, false);
        continue;
      }
      double low = window_.bounds(top).low;
      size_t reached = reach(window_.bounds(top).high);
      if (reached == levels_.size()) {
        window_.reaching(low, found_);
        if (found_.size() > 1) low = std::max(low, evaluate());
        reached = reach(low);
        if (found_.size() == 1 && reached < levels_.size()) {
          low = std::max(low, evaluate());
          reached = reach(low);
        }
      }
      if (reached < levels_.size()) {
        if (failures++ > 0) rounds_[reached].target = rounds_[reached].target * 1.5 + 8;
        pass(reached, false);
        continue;
      }
      const size_t at = choose_among(low);
      if (evaluations_ > window_.size() / 2 + 64) {
        evaluations_ = 0;
        window_.rebase();
      }
      return at;
    }
  }

  // The outermost level with outsiders that may reach this score, levels_.size() if there is none.
  size_t reach(double score) {
    for (size_t k = 0; k < active_; ++k) {
      if (rounds_[k].whole) {
        // nothing is outside, but a quarter of what it carries is done with
        if (k == 0 && levels_[k].dead * 4 > levels_[k].size()) return k;
        continue;
      }
      if (levels_[k].outsiders.bound(objective_, objective_.a() - levels_[k].a, drift(levels_[k])) >= score) return k;
    }
    return levels_.size();
  }

  // |w - w at the last pass of the level|
  double drift(const Level& level) const {
    return std::sqrt(vectors_.distance(objective_.w(), level.w.data(), points_.d)) * kUp;
  }

  // Float32 bounds of the rows in found_; returns the best lower bound.
  double evaluate() {
    double low = kLowest;
    bounds_.resize(found_.size());
    const auto some = [&](unsigned, size_t begin, size_t end) {
      int32_t rows[DotKernel::kRows];
      for (size_t c = begin; c < end; c += DotKernel::kRows) {
        const size_t count = std::min(DotKernel::kRows, end - c);
        for (size_t r = 0; r < count; ++r) rows[r] = window_.row(found_[c + r]);
        objective_.bounds32(rows, count, &bounds_[c]);
      }
    };
    if (found_.size() < 64)
      some(0, 0, found_.size());
    else
      pool_.for_blocks(found_.size(), 32, some);
    out_.dot_products += found_.size();
    evaluations_ += found_.size();
    for (size_t c = 0; c < found_.size(); ++c) {
      const Bounds estimate = window_.bounds(found_[c]);
      bounds_[c].low = std::max(bounds_[c].low, estimate.low);
      bounds_[c].high = std::min(bounds_[c].high, estimate.high);
      low = std::max(low, bounds_[c].low);
    }
    return low;
  }

  // Of the rows in found_, the one with the best score; bounds_ tells those that cannot be.
  size_t choose_among(double low) {
    if (found_.size() == 1) return found_[0];
    decide_.clear();
    for (size_t c = 0; c < found_.size(); ++c)
      if (bounds_[c].high >= low) decide_.push_back(static_cast<size_t>(window_.row(found_[c])));
    const auto row = static_cast<int32_t>(decide(objective_, decide_, pool_, points_.d, out_));
    return *std::find_if(found_.begin(), found_.end(), [&](size_t at) { return window_.row(at) == row; });
  }

  // The row at this index of the innermost level is in a bin; the next row equal to it takes its place.
  void leave(size_t index, int32_t next) {
    for (size_t k = active_; k-- > 0;) {
      levels_[k].leave(index, next);
      if (k > 0) index = static_cast<size_t>(levels_[k].parent[index]);
    }
  }

  // Looks at all points of level k again, and builds the sets within. `fresh`: in float32.
  void pass(size_t k, bool fresh) {
    for (size_t j = k; j < active_; ++j) adapt(j, !fresh);
    double began = now();
    Level& outer = levels_[k];
    if (k == 0 && outer.dead * 8 > outer.size()) outer.compact();
    if (!fresh) {
      outer.estimate();
      out_.dot_products += outer.size();
    }
    for (; k < levels_.size(); ++k) {
      Level& level = levels_[k];
      Round& round = rounds_[k];
      round.whole = nest_.everything || round.target >= static_cast<double>(level.alive());
      // most of the doubt may be the estimate's
      if (fresh || static_cast<double>(level.contenders()) > 64 + round.target / 2) {
        level.take_base();
        out_.dot_products += level.size();
        fresh = false;
      }
      active_ = k + 1;
      // a set beside its level, in memory too, has to be much smaller
      const double most = static_cast<double>(level.alive()) * (k + 1 < levels_.size() ? 0.25 : 0.5);
      if (!round.whole) level.part(std::min(round.target, most), 0.8 * round.da, 0.8 * round.dw, lists_[k]);
      const bool last = round.whole || k + 1 == levels_.size();
      if (last)
        window_.open(level, round.whole ? nullptr : &lists_[k], nest_.everything ? memory() : small_memory_);
      else
        levels_[k + 1].gather(level, lists_[k]);
      round.began = now();
      round.cost = round.began - began;
      began = round.began;
      round.steps = 0;
      if (last) break;
    }
    for (size_t j = 0; j < active_; ++j) rounds_[j].began = now();
    evaluations_ = 0;
  }

  // A pass costs time, a larger set within costs more at every step: keeps the two in balance. Between bins a and w
  // jump: how far they move in a round is known from the rounds before (`same_bin`).
  void adapt(size_t k, bool same_bin) {
    Round& round = rounds_[k];
    if (round.steps == 0) return;
    if (round.whole) {
      round.target = static_cast<double>(levels_[k].alive()) / 4;
      return;
    }
    if (same_bin) {
      round.da = objective_.a() - levels_[k].a;
      round.dw = drift(levels_[k]);
    }
    round.costs = kMemory * round.costs + round.cost;
    round.inner = kMemory * round.inner + std::max(1e-7, now() - round.began);
    round.target = std::max(nest_.smallest,
                            round.target * std::clamp(std::pow(kBalance * round.costs / round.inner, 0.35), 0.8, 1.25));
  }

  size_t memory() const { return problem_.memory > 0 ? problem_.memory : physical_memory() / 4; }

  const Problem& problem_;
  Control& control_;
  const DotKernel& dot_;
  ThreadPool& pool_;
  const Points& points_;
  const Nest nest_;
  Objective objective_;
  const VectorsKernel& vectors_;
  Quantiser quantiser_;
  const Tools tools_;
  std::vector<Level> levels_;
  std::vector<Round> rounds_;                // of each level
  std::vector<std::vector<int32_t>> lists_;  // what each keeps
  size_t active_ = 0;                        // levels in use: the last one is what the window looks into
  Window window_;
  Partition out_;

  std::vector<double> scratch_;  // [d]
  std::vector<uint8_t> taken_;   // [N]
  size_t whole_steps_ = 0;
  size_t small_memory_;
  std::vector<size_t> found_, decide_;
  std::vector<Bounds> bounds_;
  size_t evaluations_ = 0;  // since the window's scores came from float32
};

}  // namespace

Partition lazy(const Problem& problem, const Points& points, ThreadPool& pool, Control& control, const Nest& nest) {
  return Lazy(problem, points, pool, control, nest).run();
}

}  // namespace coregain
