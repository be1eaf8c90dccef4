// Certified lazy evaluation: exact, and most points are looked at once in many steps. docs/exact-order.md has the proof.
//
//   all points     estimated with one int8 pass when need be (a round begins)
//     outsiders    bounds by bucket, checked at every step: when they reach the best score, the round ends
//     window       estimates kept up to date at every step
//       candidates float32, then float64, then integers
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "core/cpu.h"
#include "greedy/decide.h"
#include "greedy/engines.h"
#include "greedy/int8_rows.h"
#include "greedy/objective.h"
#include "greedy/outsiders.h"
#include "greedy/window.h"
#include "kernels/dot.h"

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
constexpr size_t kPass = 512;  // rows of a pass that a thread takes at a time
constexpr double kUp = 1 + 0x1p-20;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

float up(double value) {
  return static_cast<float>(value * kUp) + 0x1p-140F;
}

class Lazy {
 public:
  Lazy(const Problem& problem, const Points& points, ThreadPool& pool, Control& control, bool everything)
      : problem_(problem),
        control_(control),
        kernel_(dot_kernel(problem.simd)),
        int8_(int8_kernel(problem.simd)),
        scores_(scores_kernel(problem.simd)),
        pool_(pool),
        points_(points),
        everything_(everything),
        objective_(points, kernel_),
        rows_(points, pool, control),
        window_(points, rows_, objective_, problem.simd, pool),
        slots_(rows_.row.size()),
        scratch_(points.d),
        taken_(points.n, 0),
        q_(slots_),
        base_score_(slots_),
        score_(slots_),
        high_(slots_),
        radius_(slots_),
        base_error_(slots_) {
    for (size_t i = 0; i < slots_; ++i) {
      const auto row = static_cast<size_t>(rows_.row[i]);
      q_[i] = points.q[row];
      radius_[i] = up(points.radius(row));
    }
    const auto [low, high] = std::minmax_element(radius_.data(), radius_.data() + slots_);
    radius_low_ = static_cast<double>(*low);
    radius_high_ = static_cast<double>(*high);
    const auto input = static_cast<double>(points.n * points.d) * (points.x.is_double ? 8 : 4);
    small_memory_ = static_cast<size_t>(std::max(16e6, 0.2 * input));
    target_ = std::max(256.0, std::pow(static_cast<double>(slots_), 0.7));
  }

  Partition run() {
    out_.bins.assign(points_.n, -1);
    for (size_t bin = 0; bin < problem_.bins; ++bin) {
      objective_.begin_bin(taken_);
      fresh_ = true;
      begin_round();
      for (size_t left = bin_size(problem_, bin); left > 0; --left) {
        const size_t at = best();
        const size_t slot = window_.slot(at);
        const auto row = static_cast<size_t>(rows_.row[slot]);
        out_.gains.push_back(objective_.gain(row, scratch_.data()));
        out_.order.push_back(static_cast<int32_t>(row));
        out_.bins[row] = static_cast<int32_t>(bin);
        taken_[row] = 1;
        control_.done(out_.order.size());
        if (left > 1) window_.choose(at, points_.next_equal[row] >= 0);
        objective_.take(row);
        leave(slot);
        ++round_steps_;
      }
    }
    out_.dot_products += window_.products();
    out_.simd = int8_.name;
    return std::move(out_);
  }

 private:
  // Index in the window of the best row.
  size_t best() {
    for (size_t failures = 0;;) {
      control_.check();
      window_.moved();
      const size_t top = window_.top();
      if (all_ && dead_ * 4 > slots_ && slots_ > 256) {
        begin_round();
        continue;
      }
      const double outside = all_ ? kLowest : outsiders_.bound(objective_, objective_.a() - round_a_, drift());
      if (top == window_.size() || outside >= window_.bounds(top).high) {
        begin_round(failures++ > 0);
        continue;
      }
      double low = window_.bounds(top).low;
      window_.reaching(low, found_);
      if (found_.size() > 1 || outside >= low) {
        low = std::max(low, evaluate());
        if (evaluations_ > window_.size() / 2 + 64) rebase_ = true;
      }
      if (outside >= low) {
        begin_round(failures++ > 0);
        continue;
      }
      const size_t at = choose_among(low);
      if (rebase_) {
        rebase_ = false;
        evaluations_ = 0;
        window_.rebase();
      }
      return at;
    }
  }

  // |w - w at the beginning of the round|
  double drift() const {
    double square[4] = {};
    const double* w = objective_.w();
    for (size_t j = 0; j < points_.d; ++j) square[j % 4] += (w[j] - round_w_[j]) * (w[j] - round_w_[j]);
    return std::sqrt((square[0] + square[1]) + (square[2] + square[3])) * kUp;
  }

  // Float32 bounds of the rows in found_; returns the best lower bound.
  double evaluate() {
    double low = kLowest;
    bounds_.resize(found_.size());
    const auto some = [&](unsigned, size_t begin, size_t end) {
      int32_t rows[DotKernel::kRows];
      for (size_t c = begin; c < end; c += DotKernel::kRows) {
        const size_t count = std::min(DotKernel::kRows, end - c);
        for (size_t r = 0; r < count; ++r) rows[r] = rows_.row[window_.slot(found_[c + r])];
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
      if (bounds_[c].high >= low) decide_.push_back(static_cast<size_t>(rows_.row[window_.slot(found_[c])]));
    const size_t row = decide(objective_, decide_, pool_, points_.d, out_);
    for (const size_t at : found_)
      if (static_cast<size_t>(rows_.row[window_.slot(at)]) == row) return at;
    return found_[0];
  }

  // The row of a slot is in a bin now: the next row equal to it takes its place.
  void leave(size_t slot) {
    rows_.row[slot] = points_.next_equal[static_cast<size_t>(rows_.row[slot])];
    if (rows_.row[slot] >= 0) return;
    base_score_[slot] = kLowest;
    ++dead_;
  }

  // Bounds of all points at this w, and a new window. `again` where the round before did not last a step.
  void begin_round(bool again = false) {
    adapt(again);
    if (dead_ * 8 > slots_) compact();
    const double began = now();
    round_w_.assign(objective_.w(), objective_.w() + points_.d);
    round_a_ = objective_.a();
    round_steps_ = 0;
    if (!fresh_) estimate();
    if (fresh_ || !open_window()) {
      fresh_ = true;
      take_base();
      open_window();
      fresh_ = false;
    }
    evaluations_ = 0;
    round_began_ = now();
    round_cost_ = round_began_ - began;
    ++rounds_;
  }

  size_t alive() const { return slots_ - dead_; }

  // A round costs a pass over all points, a larger window costs more at every step: keeps the two in balance.
  void adapt(bool again) {
    if (round_w_.empty()) return;
    if (all_) {
      target_ = static_cast<double>(alive()) / 4;
    } else if (again) {
      target_ = target_ * 1.5 + 8;
    } else if (round_steps_ > 0) {
      last_da_ = objective_.a() - round_a_;
      last_drift_ = drift();
      const double steps = std::max(1e-7, now() - round_began_);
      target_ *= std::clamp(std::pow(round_cost_ / steps, 0.35), 0.6, 1.6);
    }
    target_ = std::max(target_, 64.0);
  }

  // Float32 bounds of all points: what estimates go on from.
  void take_base() {
    base_.w.assign(objective_.w(), objective_.w() + points_.d);
    base_.loose = 0;
    base_a_ = objective_.a();
    distance_ = 0;
    pool_.for_blocks(slots_, 64, [&](unsigned, size_t begin, size_t end) {
      int32_t rows[DotKernel::kRows];
      Bounds bounds[DotKernel::kRows];
      for (size_t i = begin; i < end; i += DotKernel::kRows) {
        const size_t count = std::min(DotKernel::kRows, end - i);
        for (size_t r = 0; r < count; ++r) rows[r] = std::max(0, rows_.row[i + r]);
        objective_.bounds32(rows, count, bounds);
        for (size_t r = 0; r < count; ++r) {
          base_score_[i + r] = rows_.row[i + r] < 0 ? kLowest : (bounds[r].low + bounds[r].high) / 2;
          base_error_[i + r] = up((bounds[r].high - bounds[r].low) / 2);
        }
      }
    });
    finish_estimate(0, 0);
    out_.dot_products += slots_;
    ++bases_;
  }

  // Scores of all points from the base and one int8 pass.
  void estimate() {
    std::vector<double> moved(points_.d);
    for (size_t j = 0; j < points_.d; ++j) moved[j] = objective_.w()[j] - base_.w[j];
    vector_.resize(rows_.stride);
    const Int16Form form = rows_.quantise(moved.data(), vector_.data());
    base_.loose = 2 * form.error;
    distance_ = 2 * form.length;
    finish_estimate(objective_.a() - base_a_, -2 * form.scale);
    out_.dot_products += slots_;
  }

  // score_, high_ and low_ from the base; factor = 0 where there are no products to add.
  void finish_estimate(double da, double factor) {
    const Objective::Roundoff roundoff = objective_.roundoff();
    std::vector<double> lows(pool_.size(), kLowest);
    pool_.for_blocks(slots_, kPass, [&](unsigned t, size_t begin, size_t end) {
      control_.check();
      alignas(64) float products[kPass] = {};
      if (factor != 0) {
        const size_t count = (end - begin + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows;
        int8_.product(rows_.q(begin), count, rows_.stride, vector_.data(), products);
      }
      const Estimate estimate = {
          .base_score = base_score_.data() + begin,
          .q = q_.data() + begin,
          .scale = rows_.scale.data() + begin,
          .products = products,
          .base_error = base_error_.data() + begin,
          .residual = rows_.residual.data() + begin,
          .magnitude = rows_.magnitude.data() + begin,
          .radius = radius_.data() + begin,
          .da = da,
          .factor = factor,
          .distance = distance_,
          .loose = base_.loose,
          .roundoff_q = roundoff.q,
          .roundoff_radius = roundoff.radius,
          .roundoff = roundoff.constant,
          .score = score_.data() + begin,
          .high = high_.data() + begin,
      };
      lows[t] = std::max(lows[t], scores_.estimate(estimate, 0, end - begin));
    });
    low_ = *std::max_element(lows.begin(), lows.end());
  }

  // Parts the points into window and outsiders. False if so many belong into the window for the errors of their
  // estimates alone that float32 should look at them first.
  bool open_window() {
    all_ = everything_ || target_ * 2 >= static_cast<double>(alive());
    if (all_) {
      fill_window(nullptr, slots_, everything_ ? memory() : small_memory_);
      return true;
    }
    // the window ought to hold those that are ahead when w has moved as far as last time
    const double da = 0.8 * last_da_, dw = 1.6 * last_drift_;
    const auto key = [&](size_t i, double high) { return high + da * q_[i] + dw * static_cast<double>(radius_[i]); };
    keys_.clear();
    const size_t step = std::max<size_t>(1, slots_ / 1024);
    for (size_t i = 0; i < slots_; i += step)
      if (rows_.row[i] >= 0) keys_.push_back(key(i, high_[i]));
    const auto rank = static_cast<size_t>(target_ / static_cast<double>(alive()) * static_cast<double>(keys_.size()));
    double threshold = kLowest;
    if (rank < keys_.size()) {
      std::nth_element(keys_.begin(), keys_.begin() + static_cast<ptrdiff_t>(rank), keys_.end(), std::greater<>());
      threshold = keys_[rank];
    }

    const double per_bucket = Outsiders::kBuckets / std::max(radius_high_ - radius_low_, 1e-300);
    std::vector<Outsiders> outsiders(pool_.size());
    constexpr size_t kBlock = 4096;
    std::vector<std::vector<int32_t>> inside((slots_ + kBlock - 1) / kBlock);
    std::vector<size_t> forced(inside.size());
    pool_.for_blocks(slots_, kBlock, [&](unsigned t, size_t begin, size_t end) {
      std::vector<int32_t>& list = inside[begin / kBlock];
      Outsiders& some = outsiders[t];
      for (size_t i = begin; i < end; ++i) {
        if (rows_.row[i] < 0) continue;
        const double high = high_[i];
        const bool can_win = high >= low_;
        forced[begin / kBlock] += can_win ? 1 : 0;
        if (can_win || key(i, high) >= threshold) {
          list.push_back(static_cast<int32_t>(i));
          continue;
        }
        const double radius = static_cast<double>(radius_[i]);
        const auto bucket = std::min(Outsiders::kBuckets - 1, static_cast<size_t>((radius - radius_low_) * per_bucket));
        some.add(bucket, high, q_[i], radius);
      }
    });
    size_t contenders = 0, total = 0;
    for (size_t b = 0; b < inside.size(); ++b) {
      contenders += forced[b];
      total += inside[b].size();
    }
    if (!fresh_ && static_cast<double>(contenders) > 64 + target_ / 2) return false;
    outsiders_ = Outsiders();
    for (const Outsiders& some : outsiders) outsiders_.merge(some);
    window_slots_.clear();
    window_slots_.reserve(total);
    for (const std::vector<int32_t>& list : inside) window_slots_.insert(window_slots_.end(), list.begin(), list.end());
    fill_window(window_slots_.data(), total, small_memory_);
    return true;
  }

  void fill_window(const int32_t* slots, size_t count, size_t memory) {
    window_.open(slots, count, base_, memory);
    for (size_t i = 0; i < count; ++i) {
      const size_t slot = window_.slot(i);
      const double score = rows_.row[slot] < 0 ? kLowest : score_[slot];
      window_.set(i, q_[slot], static_cast<double>(radius_[slot]), score, base_error_[slot]);
    }
    window_.seal();
  }

  size_t memory() const { return problem_.memory > 0 ? problem_.memory : physical_memory() / 4; }

  // Drops the slots that are done with.
  void compact() {
    size_t kept = 0;
    for (size_t i = 0; i < slots_; ++i) {
      if (rows_.row[i] < 0) continue;
      rows_.move(i, kept);
      q_[kept] = q_[i];
      base_score_[kept] = base_score_[i];
      score_[kept] = score_[i];
      radius_[kept] = radius_[i];
      base_error_[kept] = base_error_[i];
      ++kept;
    }
    slots_ = kept;
    dead_ = 0;
  }

  const Problem& problem_;
  Control& control_;
  const DotKernel& kernel_;
  const Int8Kernel& int8_;
  const ScoresKernel& scores_;
  ThreadPool& pool_;
  const Points& points_;
  const bool everything_;
  Objective objective_;
  Int8Rows rows_;
  Window window_;
  Outsiders outsiders_;
  Partition out_;

  size_t slots_, dead_ = 0;
  std::vector<double> scratch_;  // [d]
  std::vector<uint8_t> taken_;   // [N]
  // By slot.
  Buffer<double> q_, base_score_, score_, high_;
  Buffer<float> radius_, base_error_;

  Base base_;
  double base_a_ = 0;
  double distance_ = 0;  // 2 |D (w - base)| at the last pass
  double low_ = kLowest;                          // best lower bound of the last pass
  double radius_low_ = 0, radius_high_ = 0;       // of all points
  bool fresh_ = false;   // the next pass is one in float32
  bool all_ = false;     // no outsiders: the window holds all points
  std::vector<int16_t> vector_;
  std::vector<double> keys_;
  std::vector<int32_t> window_slots_;

  double target_ = 0;  // rows that the window should have
  double last_da_ = 0, last_drift_ = 0;
  std::vector<double> round_w_;
  double round_a_ = 0, round_began_ = 0, round_cost_ = 0;
  size_t round_steps_ = 0, rounds_ = 0, bases_ = 0;
  size_t small_memory_;

  std::vector<size_t> found_, decide_;
  std::vector<Bounds> bounds_;
  size_t evaluations_ = 0;
  bool rebase_ = false;
};

}  // namespace

Partition lazy(const Problem& problem, const Points& points, ThreadPool& pool, Control& control, bool everything) {
  return Lazy(problem, points, pool, control, everything).run();
}

}  // namespace coregain
