// The greedy steps of a window: one launch runs as many as it can, without the host.
//
// Every block owns a slice of the window, with scores that are kept up to date, and some columns of w. A step:
//
//   1. the slice's best lower bound, and its best and second-best upper bound, into one record; all blocks exchange
//      theirs (cuda/block.h), which is the only barrier of most steps
//   2. one row can win: it is chosen. Else float64 looks at the rows that can (2 more barriers at most)
//   3. each block reads its part of the chosen row's inner products and updates its scores; w += 2 y in its columns
//
// docs/gpu.md proves the bounds. Memory read in a step: 4 bytes a row of the window, from HBM (Gram mode) or L2
// (look-ahead), 4 d bytes of the chosen row, and 56 bytes a block squared for the records.
#pragma once

#include "cuda/quantise.h"

namespace coregain::cuda {

constexpr int kBuckets = 32;

// Outsiders::Bucket of greedy/outsiders.h: the points that a window leaves out.
struct Bucket {
  double high, q, q_abs, radius;
};

// What a slice knows of its best rows.
struct Best {
  double low;           // best lower bound
  double high, second;  // best and second-best upper bound
  double moved;         // sum of (w - w at the base)^2 over the block's columns
  double outside;       // best upper bound of the points that the window leaves out
  int32_t at, row;      // of `high`: in the window, in the matrix; the lowest such row on ties; at = -1 for none
  int32_t count;        // rows that float64 looked at
  int32_t stop;
};

constexpr double kNowhere = -1.7976931348623157e308;

COREGAIN_DEVICE Best nothing() {
  return {kNowhere, kNowhere, kNowhere, 0, kNowhere, -1, 0x7fffffff, 0, 0};
}
COREGAIN_DEVICE Best join(const Best& a, const Best& b) {
  const bool first = a.high > b.high || (a.high == b.high && a.row <= b.row);
  Best out = first ? a : b;
  const Best& other = first ? b : a;
  out.low = fmax(a.low, b.low);
  out.second = fmax(out.second, other.high);
  out.moved = a.moved + b.moved;
  out.outside = fmax(a.outside, b.outside);
  out.count = a.count + b.count;
  out.stop = a.stop | b.stop;
  return out;
}

enum class Why : int32_t {
  kDone,       // all steps are done
  kRefresh,    // a point outside the window could win
  kRebase,     // float64 had to look too often: take the scores from float64 again
  kUndecided,  // float64 leaves more than one row: `contenders` has them
  kStopped,
};

// A row that float64 leaves: in the window, in the matrix.
struct Contender {
  int32_t at, row;
};

// In pinned memory.
struct Outcome {
  Why why;
  int32_t steps;    // rows chosen by this launch
  uint32_t looked;  // rows that float64 looked at
  uint32_t float64_steps;
  double moved;  // |w - w at the base|, at most
};

// By which way the blocks exchange records: GridExchange or ClusterExchange. The order of rows is the same.
template <typename Exchange>
struct Steps {
  static constexpr bool kCluster = Exchange::kCluster;
  // All threads help where float64 looks at rows. Only the owners have rows and columns of their own: a step spends
  // more time on putting the threads' bests together, which takes as many shuffles as there are warps, than on its
  // rows.
  static constexpr unsigned kThreads = 256, kOwners = 128;
  static constexpr int32_t kRecent = 32;  // steps between two looks at the host
  static constexpr int32_t kAhead = 8;    // loads that a thread has under way

  Points points;
  State state;
  int32_t* row_of;        // [chains], -1 for a chain that is used up
  const int32_t* window;  // [size]: chains, or null: all
  int32_t size;
  const RowForm* form;  // [size]
  const float* gram;    // [size, pitch]
  size_t pitch;
  double* base_w;  // [d]: w64 at the base

  double a, members;      // now; members = |D|
  int32_t steps;          // at most this many, >= 1
  const Bucket* outside;  // [kBuckets], since now; or null
  double w_outside;       // >= every |f w| since the base of these

  Exchange exchange;
  int32_t* order;         // pinned [steps]: rows as they are chosen
  int32_t* done;          // pinned: how many
  int32_t* stop;          // pinned: the host wants an end
  Contender* contenders;  // [size]
  Outcome* outcome;       // pinned
  int32_t* listed;        // rows in contenders; 0 at the start

  // Rows of a slice: whole 128-byte lines of gram.
  COREGAIN_EITHER static int32_t slice(int32_t size, unsigned blocks) {
    const auto each = (size + static_cast<int32_t>(blocks) - 1) / static_cast<int32_t>(blocks);
    return (each + 31) / 32 * 32;
  }
  // Shared memory of a block.
  static size_t shared(int32_t size, unsigned blocks) {
    const auto each = static_cast<size_t>(slice(size, blocks));
    return 5 * Block::shared_bytes<double>(each) + 3 * Block::shared_bytes<float>(each) +
           2 * Block::shared_bytes<int32_t>(each) + Block::shared_bytes<Best>(Exchange::room(blocks)) +
           Block::shared_bytes<Best>(kOwners / kWarp) + Block::shared_bytes<int32_t>(kRecent) +
           Block::shared_bytes<int32_t>(4);
  }

  // Rows of the largest window that so many blocks hold in `bytes` of shared memory each.
  static int64_t most_rows(size_t bytes, unsigned blocks) {
    constexpr size_t kRow = 5 * sizeof(double) + 3 * sizeof(float) + 2 * sizeof(int32_t);
    const size_t rest = shared(0, blocks);
    return bytes < rest ? 0 : static_cast<int64_t>((bytes - rest) / kRow / 32 * 32 * blocks);
  }

  COREGAIN_DEVICE void operator()(Block& block) const {
    const int32_t begin = slice(size, block.count) * static_cast<int32_t>(block.index);
    const int32_t mine =
        begin >= size ? 0 : (size - begin < slice(size, block.count) ? size - begin : slice(size, block.count));
    const auto room = static_cast<size_t>(slice(size, block.count));
    const size_t d = points.d, column = d * block.index / block.count, last = d * (block.index + 1) / block.count;

    auto* const score = block.shared<double>(room);
    auto* const base_error = block.shared<double>(room);
    auto* const low64 = block.shared<double>(room);  // of the rows that float64 looks at
    auto* const high64 = block.shared<double>(room);
    auto* const q = block.shared<double>(room);
    auto* const residual = block.shared<float>(room);
    auto* const magnitude = block.shared<float>(room);
    auto* const radius = block.shared<float>(room);
    auto* const row = block.shared<int32_t>(room);
    auto* const found = block.shared<int32_t>(room);
    auto* const records = block.shared<Best>(Exchange::room(block.count));
    auto* const warp_room = block.shared<Best>(kOwners / kWarp);
    auto* const recent = block.shared<int32_t>(kRecent);
    auto* const counter = block.shared<int32_t>(4);
    PerThread<Best> best(block);
    PerThread<double> drift(block);  // squares of w - w at the base, of this thread's columns

    // ---- the base: every score from float64

    block.each([&](unsigned thread) {
      for (int32_t i = static_cast<int32_t>(thread); i < mine; i += static_cast<int32_t>(block.threads)) {
        const int32_t chain = window == nullptr ? begin + i : window[begin + i];
        const RowForm& of = form[begin + i];
        row[i] = row_of[chain];
        q[i] = row[i] < 0 ? 0 : points.q[row[i]];
        residual[i] = of.residual;
        magnitude[i] = of.magnitude;
        radius[i] = of.radius;
      }
      for (size_t j = column + thread; j < last; j += block.threads) base_w[j] = state.w64[j];
      drift[thread] = 0;
      best[thread] = nothing();
      for (size_t j = owned(thread, d); j < d; j += kOwners) best[thread].moved += state.w64[j] * state.w64[j];
    });
    const double base_norm = sqrt(block.reduce(best, warp_room, join, kOwners).moved) * kUp;
    block.warps([&](const Warp& warp) {
      for (auto i = static_cast<int32_t>(warp.index); i < mine; i += static_cast<int32_t>(block.threads / kWarp)) {
        const Interval at = row[i] < 0 ? Interval{kNowhere, 0}
                                       : score64(warp, points, state.w64, static_cast<size_t>(row[i]),
                                                 static_cast<double>(radius[i]), a, members, base_norm);
        warp.lanes([&](unsigned lane) {
          if (lane != 0) return;
          score[i] = at.score;
          base_error[i] = at.error;
        });
      }
    });

    uint32_t round = 0, looked = 0, float64_steps = 0;
    double now = a;             // a of this step
    double moved_known = 0;     // |w - base| before the last choice
    double moved = 0;           // a bound of it now
    double w_most = base_norm;  // >= every |f w| since the base
    double loose = 0, doubt = 0;
    int32_t step = 0;
    Why why = Why::kDone;

    for (;;) {
      // ---- 1. bounds from the estimates

      const double roundoff = (1 + step) * 0x1p-50;
      w_most = fmax(w_most, base_norm + moved);
      const auto error = [&](int32_t i) {
        return (base_error[i] + static_cast<double>(residual[i]) * 2 * moved +
                static_cast<double>(magnitude[i]) * loose +
                roundoff * (members * fabs(q[i]) + 2 * static_cast<double>(radius[i]) * w_most) +
                (1 + step) * 0x1p-120) *
               kUp;
      };
      block.each([&](unsigned thread) {
        Best b = nothing();
        for (int32_t i = owned(thread, mine); i < mine; i += static_cast<int32_t>(kOwners)) {
          if (row[i] < 0) continue;
          const double e = error(i);
          b = join(b, {score[i] - e, score[i] + e, kNowhere, 0, kNowhere, begin + i, row[i], 0, 0});
        }
        b.moved = drift[thread];
        if (block.index == 0 && outside != nullptr && thread < kBuckets)
          b.outside = bound_outside(outside[thread], now - a, moved);
        if (block.index == 0 && thread == 0 && step % kRecent == 0) b.stop = load_host(stop);
        best[thread] = b;
      });
      Best top = share(block, block.reduce(best, warp_room, join, kOwners), ++round, records, best, warp_room);
      moved_known = sqrt(top.moved) * kUp;
      if (top.stop != 0) {
        why = Why::kStopped;
        break;
      }
      if (top.at < 0 || top.outside >= top.low) {
        why = Why::kRefresh;
        break;
      }
      if (doubt > kMostDoubt && step >= kFewestSteps) {
        why = Why::kRebase;
        break;
      }

      // ---- 2. float64, for the rows that reach the best lower bound

      if (top.second >= top.low) {
        ++float64_steps;
        block.each([&](unsigned thread) {
          if (thread == 0) counter[0] = 0;
        });
        block.each([&](unsigned thread) {
          for (auto i = static_cast<int32_t>(thread); i < mine; i += static_cast<int32_t>(block.threads))
            if (row[i] >= 0 && score[i] + error(i) >= top.low) found[fetch_add(counter, 1)] = i;
        });
        const int32_t count = counter[0];
        block.warps([&](const Warp& warp) {
          for (auto c = static_cast<int32_t>(warp.index); c < count; c += static_cast<int32_t>(block.threads / kWarp)) {
            const Interval at = score64(warp, points, state.w64, static_cast<size_t>(row[found[c]]),
                                        static_cast<double>(radius[found[c]]), now, members, w_most);
            warp.lanes([&](unsigned lane) {
              if (lane != 0) return;
              low64[c] = at.score - at.error;
              high64[c] = at.score + at.error;
            });
          }
        });
        block.each([&](unsigned thread) {
          Best b = nothing();
          for (int32_t c = owned(thread, count); c < count; c += static_cast<int32_t>(kOwners)) {
            const int32_t i = found[c];
            b = join(b, {low64[c], high64[c], kNowhere, 0, kNowhere, begin + i, row[i], 1, 0});
          }
          best[thread] = b;
        });
        top = share(block, block.reduce(best, warp_room, join, kOwners), ++round, records, best, warp_room);
        looked += static_cast<uint32_t>(top.count);
        doubt += 1 + 32.0 * top.count / size;
        // exact float64: no interval has a width, equal ones tie, and `join` has kept the lowest row
        if (top.second >= top.low && !points.float64_is_exact) {
          block.each([&](unsigned thread) {
            for (auto c = static_cast<int32_t>(thread); c < count; c += static_cast<int32_t>(block.threads))
              if (high64[c] >= top.low) contenders[fetch_add(listed, 1)] = Contender{begin + found[c], row[found[c]]};
          });
          why = Why::kUndecided;
          break;
        }
      }

      // ---- 3. the choice

      const auto chosen = static_cast<size_t>(top.row);
      const float* const products = gram + static_cast<size_t>(top.at) * pitch;
      const RowForm of_chosen = form[top.at];
      block.each([&](unsigned thread) {
        // every load before the first use: they are what a step waits for
        const size_t j = column + owned(thread, last - column);
        const Column own = j < last ? load(chosen, j) : Column();
        for (int32_t from = owned(thread, mine); from < mine; from += kAhead * static_cast<int32_t>(kOwners)) {
          float product[kAhead];
          COREGAIN_UNROLL
          for (int32_t k = 0; k < kAhead; ++k) {
            const int32_t i = from + k * static_cast<int32_t>(kOwners);
            product[k] = i < mine ? products[begin + i] : 0;
          }
          COREGAIN_UNROLL
          for (int32_t k = 0; k < kAhead; ++k) {
            const int32_t i = from + k * static_cast<int32_t>(kOwners);
            if (i >= mine || row[i] < 0) continue;
            score[i] += 2 * q[i] - 4 * static_cast<double>(product[k]);
            if (begin + i != top.at) continue;
            row[i] = points.next_equal[chosen];
            row_of[window == nullptr ? top.at : window[top.at]] = row[i];
          }
        }
        double squares = j < last ? store(own, j) : 0;
        for (size_t more = j + kOwners; more < last; more += kOwners) squares += store(load(chosen, more), more);
        drift[thread] = squares;
        if (block.index == 0 && thread == 0) recent[step % kRecent] = top.row;
      });
      now += 2;
      ++step;
      moved = moved_known + 2 * static_cast<double>(of_chosen.radius) * kUp;
      loose += 4 * (static_cast<double>(of_chosen.residual) + 0x1p-22 * static_cast<double>(of_chosen.magnitude)) * kUp;
      if (step == steps) break;
      if (step % kRecent == 0) publish(block, recent, step - kRecent, step);
    }

    publish(block, recent, (step > 0 ? step - 1 : 0) / kRecent * kRecent, step);
    block.each([&](unsigned thread) {
      if (block.index == 0 && thread == 0) *outcome = {why, step, looked, float64_steps, moved};
    });
  }

 private:
  static constexpr double kMostDoubt = 64;
  static constexpr int32_t kFewestSteps = 32;

  // Where a thread begins with what goes to one owner after the other.
  template <typename T>
  COREGAIN_DEVICE static T owned(unsigned thread, T end) {
    return thread < kOwners ? static_cast<T>(thread) : end;
  }

  // The best of all blocks, the same in each.
  COREGAIN_DEVICE Best share(const Block& block, const Best& mine, uint32_t round, Best* records, PerThread<Best>& best,
                             Best* warp_room) const {
    const Best* const all = block.exchange(exchange, round, mine, records);
    block.each([&](unsigned thread) {
      Best b = nothing();
      for (unsigned other = owned(thread, block.count); other < block.count; other += kOwners) b = join(b, all[other]);
      best[thread] = b;
    });
    return block.reduce(best, warp_room, join, kOwners);
  }

  // Rows go to the host in whole lines, once in kRecent steps: the fence that makes them visible there waits for the
  // bus.
  COREGAIN_DEVICE void publish(const Block& block, const int32_t* recent, int32_t from, int32_t to) const {
    if (block.index != 0) return;
    block.each([&](unsigned thread) {
      for (int32_t i = from + static_cast<int32_t>(thread); i < to; i += static_cast<int32_t>(kThreads))
        order[i] = recent[i % kRecent];
    });
    block.each([&](unsigned thread) {
      if (thread == 0) store_release_host(done, to);
    });
  }

  // A column of w, before the choice.
  struct Column {
    double z = 0, origin = 0, base = 0;
    Grid128 w = 0;
  };
  COREGAIN_DEVICE Column load(size_t row, size_t j) const {
    Column out;
    out.z = points.z(row, j);
    out.origin = points.origin[j];
    out.base = base_w[j];
    out.w = state.w[j];
    return out;
  }
  // w += 2 y; returns the square of how far it is from the base.
  COREGAIN_DEVICE double store(const Column& of, size_t j) const {
    const Grid128 w = of.w + 2 * (on_grid(of.z, points.unit) - on_grid(of.origin, points.unit));
    const double w64 = off_grid(w, points.unit, points.scale);
    state.w[j] = w;
    state.w64[j] = w64;
    return (w64 - of.base) * (w64 - of.base);
  }

  // What a point of a bucket may have by now: Outsiders::bound.
  COREGAIN_DEVICE double bound_outside(const Bucket& of, double da, double dw) const {
    if (of.high == kNowhere) return kNowhere;
    return of.high + da * of.q + 2 * of.radius * dw * kUp +
           points.drift_roundoff(members, of.q_abs, of.radius, w_outside + dw);
  }
};

using GridSteps = Steps<GridExchange<Best>>;
using ClusterSteps = Steps<ClusterExchange<Best>>;

}  // namespace coregain::cuda
