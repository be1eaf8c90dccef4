#include "objectives/maximize.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <queue>
#include <utility>

#include "core/cpu.h"
#include "core/error.h"
#include "objectives/random.h"

namespace coregain::objectives {
namespace {

constexpr size_t kChunk = 1024;  // gains asked for at once: a cancellation is noticed in between
// Lazy looks at the few rows of the highest bounds together, and at more at a time the longer a step takes: rows that
// are looked at together share the points in the cache.
constexpr size_t kLazyBatch = 16;
constexpr size_t kLargestBatch = 128;

// A row with its key: the gain, or the gain by cost. The largest key first, the lowest row on ties.
struct Candidate {
  double key = -std::numeric_limits<double>::infinity();
  int32_t row = -1;
  double gain = 0;
  bool better_than(const Candidate& other) const {
    return key > other.key || (key == other.key && (other.row < 0 || row < other.row));
  }
};

// What a run has chosen so far, and what it may still choose.
struct State {
  const Task& task;
  Control& control;
  Objective& objective;
  bool by_ratio;  // keys are gains by cost
  Maximum chosen = {};
  double spent = 0;
  double sum = 0;

  bool fits(int32_t row) const {
    return task.costs.empty() || spent + task.costs[static_cast<size_t>(row)] <= task.max_cost;
  }

  std::vector<Candidate> evaluate(const std::vector<int32_t>& rows) {
    std::vector<double> gains(rows.size());
    for (size_t from = 0; from < rows.size(); from += kChunk) {
      control.check();
      objective.gains(rows.data() + from, std::min(kChunk, rows.size() - from), gains.data() + from);
    }
    chosen.evaluations += rows.size();
    std::vector<Candidate> out(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      const double cost = by_ratio ? task.costs[static_cast<size_t>(rows[r])] : 1;
      out[r] = {gains[r] / cost, rows[r], gains[r]};
    }
    return out;
  }

  void take(const Candidate& best) {
    objective.add(best.row);
    chosen.rows.push_back(best.row);
    chosen.gains.push_back(best.gain);
    sum += best.gain;
    if (!task.costs.empty()) spent += task.costs[static_cast<size_t>(best.row)];
  }

  std::vector<int32_t> free_rows() const {
    std::vector<uint8_t> left = task.allowed;
    for (const int32_t row : task.initial) left[static_cast<size_t>(row)] = 0;
    std::vector<int32_t> rows;
    for (size_t row = 0; row < left.size(); ++row)
      if (left[row] != 0) rows.push_back(static_cast<int32_t>(row));
    return rows;
  }
};

// Each of these hands out the best free row of a step; row -1 = none is left.
class Naive {
 public:
  explicit Naive(const State& state) : free_(state.free_rows()) {}
  Candidate next(State& state, size_t) {
    std::erase_if(free_, [&](int32_t row) { return !state.fits(row); });
    Candidate best;
    for (const Candidate& candidate : state.evaluate(free_))
      if (candidate.better_than(best)) best = candidate;
    if (best.row >= 0) free_.erase(std::lower_bound(free_.begin(), free_.end(), best.row));
    return best;
  }

 private:
  std::vector<int32_t> free_;  // ascending
};

// Minoux, 1978: a gain of an earlier step is an upper bound; only rows whose bound reaches the best gain are looked at.
class Lazy {
 public:
  explicit Lazy(const State& state) {
    std::vector<Candidate> all;
    for (const int32_t row : state.free_rows()) all.push_back({kUnknown, row, 0});
    heap_ = Heap(Behind{}, std::move(all));
  }

  Candidate next(State& state, size_t) {
    Candidate best;
    std::vector<Candidate> seen;
    std::vector<int32_t> batch;
    // The first step looks at all rows.
    size_t width = first_ ? heap_.size() : kLazyBatch;
    do {
      batch.clear();
      while (batch.size() < width && !heap_.empty() && !(heap_.top().key < best.key - slack(best.key))) {
        if (state.fits(heap_.top().row)) batch.push_back(heap_.top().row);
        heap_.pop();
      }
      for (const Candidate& candidate : state.evaluate(batch)) {
        seen.push_back(candidate);
        if (candidate.better_than(best)) best = candidate;
      }
      width = std::min(2 * width, std::max(width, kLargestBatch));
    } while (!batch.empty());
    if (first_) largest_ = std::max(0.0, best.key);
    first_ = false;
    if (seen.size() > heap_.size()) {  // cheaper than one by one
      std::vector<Candidate> all;
      for (const Candidate& candidate : seen)
        if (candidate.row != best.row) all.push_back(candidate);
      for (; !heap_.empty(); heap_.pop()) all.push_back(heap_.top());
      heap_ = Heap(Behind{}, std::move(all));
    } else {
      for (const Candidate& candidate : seen)
        if (candidate.row != best.row) heap_.push(candidate);
    }
    return best;
  }

 private:
  static constexpr double kUnknown = std::numeric_limits<double>::infinity();
  struct Behind {
    bool operator()(const Candidate& a, const Candidate& b) const { return b.better_than(a); }
  };
  using Heap = std::priority_queue<Candidate, std::vector<Candidate>, Behind>;

  // Rounding may raise a gain a little from one step to the next; what could be that close is looked at again, so that
  // the choice is the naive one.
  double slack(double key) const { return key == -kUnknown ? 0 : 1e-10 * std::fabs(key) + 1e-13 * largest_; }

  Heap heap_;
  double largest_ = 0;
  bool first_ = true;
};

// Mirzasoleiman et al., AAAI 2015 (lazier than lazy greedy): the best of N / k ln(1 / epsilon) random free rows.
class Stochastic {
 public:
  explicit Stochastic(const State& state) : free_(state.free_rows()) {
    const double steps = static_cast<double>(std::max<size_t>(1, state.task.budget - state.task.initial.size()));
    const double wanted = std::ceil(static_cast<double>(free_.size()) / steps * std::log(1 / state.task.epsilon));
    sample_ = static_cast<size_t>(std::max(1.0, wanted));
  }
  Candidate next(State& state, size_t step) {
    Words words(state.task.seed, step);
    const size_t count = std::min(sample_, free_.size());
    for (size_t i = 0; i < count; ++i) std::swap(free_[i], free_[i + words.below(free_.size() - i)]);
    Candidate best;
    for (const Candidate& candidate : state.evaluate({free_.begin(), free_.begin() + static_cast<ptrdiff_t>(count)}))
      if (candidate.better_than(best)) best = candidate;
    std::erase(free_, best.row);
    return best;
  }

 private:
  std::vector<int32_t> free_;
  size_t sample_;
};

template <typename Chooser>
void fill(State& state) {
  const Task& task = state.task;
  Chooser chooser(state);
  for (size_t step = 0;; ++step) {
    state.control.check();
    if (task.costs.empty()) {
      state.control.done(state.chosen.rows.size());
      if (state.chosen.rows.size() >= task.budget) return;
    }
    const Candidate best = chooser.next(state, step);
    if (best.row < 0) return;
    if (!task.costs.empty() && best.gain <= 0) return;
    state.take(best);
  }
}

Maximum greedy(const Task& task, const Context& context, Control& control, bool by_ratio) {
  const ObjectivePtr objective = make_objective(task, context);
  State state{.task = task, .control = control, .objective = *objective, .by_ratio = by_ratio};
  for (const int32_t row : task.initial) state.take(state.evaluate({row}).front());
  if (task.optimizer == Optimizer::kLazy) {
    fill<Lazy>(state);
  } else if (task.optimizer == Optimizer::kStochastic) {
    fill<Stochastic>(state);
  } else {
    fill<Naive>(state);
  }
  state.chosen.value = objective->value(state.sum);
  return std::move(state.chosen);
}

// Leskovec et al., KDD 2007: the better of greedy by gain and greedy by gain per cost. The first begins with the best
// single row that fits.
Maximum knapsack(const Task& task, const Context& context, Control& control) {
  Maximum by_ratio = greedy(task, context, control, true);
  Maximum by_gain = greedy(task, context, control, false);
  const uint64_t evaluations = by_ratio.evaluations + by_gain.evaluations;
  Maximum& better = by_gain.value > by_ratio.value ? by_gain : by_ratio;
  better.evaluations = evaluations;
  return std::move(better);
}

// Buchbinder et al., FOCS 2012 (randomized double greedy): X grows from nothing, Y shrinks from everything; each row
// joins X or leaves Y with probabilities in proportion to what that gains.
Maximum bidirectional(const Task& task, const Context& context, Control& control) {
  const ObjectivePtr grows = make_objective(task, context);
  const ObjectivePtr shrinks = make_objective(task, context);
  auto* y = dynamic_cast<PairSum*>(shrinks.get());
  if (y == nullptr) throw std::invalid_argument("The bidirectional optimizer needs a graph cut.");
  State state{.task = task, .control = control, .objective = *grows, .by_ratio = false};
  for (const int32_t row : task.initial) state.take(state.evaluate({row}).front());
  y->add_all();
  for (size_t row = 0; row < task.rows; ++row) {
    control.check();
    const auto at = static_cast<int32_t>(row);
    if (task.allowed[row] == 0) y->remove(at);
  }
  Words words(task.seed, 0);
  size_t step = 0;
  for (const int32_t row : state.free_rows()) {
    control.check();
    const Candidate joins = state.evaluate({row}).front();
    double stays = 0;
    y->gains(&row, 1, &stays);
    ++state.chosen.evaluations;
    const double up = std::max(0.0, joins.gain);
    const double down = std::max(0.0, -stays);
    const double word = words.next() / 4294967296.0;
    if (up + down == 0 || word * (up + down) < up) {
      state.take(joins);
    } else {
      y->remove(row);
    }
    control.done(++step);
  }
  state.chosen.value = grows->value(state.sum);
  return std::move(state.chosen);
}

}  // namespace

Maximum maximize(const Task& task, Control& control) {
  const StandardArithmetic standard;
  const auto start = std::chrono::steady_clock::now();
  ThreadPool pool(task.threads);
  const PanelKernel& kernel = panel_kernel(task.simd);
  const Context context{pool, control, kernel};
  if (task.x.rows > 0) check_finite(task.x, pool);
  Maximum out = task.optimizer == Optimizer::kBidirectional ? bidirectional(task, context, control)
                : task.costs.empty()                        ? greedy(task, context, control, false)
                                                            : knapsack(task, context, control);
  out.threads = pool.size();
  out.simd = kernel.name;
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return out;
}

}  // namespace coregain::objectives
