// The look-ahead's view of all points: an interval for every chain, and the parting into a window and the rest. What
// greedy/level.h does on the processor; the bounds are the same (docs/exact-order.md, B to D).
#pragma once

#include "cuda/steps.h"

namespace coregain::cuda {

// ---- how far w has moved

// In device memory, written by MeasureDrift.
struct Drift {
  double length;  // >= |w - w at the base|, in units of f
  double scale;   // t: w - base = t V + h
  double error;   // >= |h|
  double w_norm;  // >= |f w| now
  double w_most;  // >= |f w| at any pass since the base
  double low;     // the best lower bound of the pass
};

// Becomes the base, or quantises w - base into two planes of 8 bits like cuda/quantise.h. One block: a few words a
// column.
struct MeasureDrift {
  static constexpr unsigned kThreads = 256;
  size_t d, stride;
  const double* w64;
  double* base_w;      // [d]
  int8_t *high, *low;  // V [stride]
  bool fresh;          // becomes the base
  Drift* drift;

  static constexpr size_t kShared = Block::shared_bytes<Best>(kThreads / kWarp);

  COREGAIN_DEVICE void operator()(Block& block) const {
    auto* const room = block.shared<double>(kThreads / kWarp);
    PerThread<double> value(block);
    const auto over = [&](auto term, auto join) {
      block.each([&](unsigned thread) {
        value[thread] = 0;
        for (size_t j = thread; j < d; j += kThreads) value[thread] = join(value[thread], term(j));
      });
      return block.reduce(value, room, join, kThreads);
    };
    const auto add = [](double a, double b) { return a + b; };
    const auto most = [](double a, double b) { return fmax(a, b); };
    const auto moved = [&](size_t j) { return fresh ? 0.0 : w64[j] - base_w[j]; };
    const double w_norm = sqrt(over([&](size_t j) { return w64[j] * w64[j]; }, add)) * kUp;
    const double length = sqrt(over([&](size_t j) { return moved(j) * moved(j); }, add)) * kUp;
    const double top = over([&](size_t j) { return fabs(moved(j)); }, most);
    const double scale = top > 1e-290 ? top * (1 + 0x1p-40) / kLargest16 : 0;
    const auto integer = [&](size_t j) { return scale > 0 ? static_cast<int32_t>(rint(moved(j) / scale)) : 0; };
    const auto rest = [&](size_t j) { return moved(j) - scale * integer(j); };
    const double error = (sqrt(over([&](size_t j) { return rest(j) * rest(j); }, add)) + 0x1p-45 * length) * kUp;
    block.each([&](unsigned thread) {
      for (size_t j = thread; j < stride; j += kThreads) {
        const int32_t integers = j < d ? integer(j) : 0, part = (integers + 128) >> 8;
        high[j] = static_cast<int8_t>(part);
        low[j] = static_cast<int8_t>(integers - part * 256);
      }
    });
    block.each([&](unsigned thread) {
      for (size_t j = thread; fresh && j < d; j += kThreads) base_w[j] = w64[j];
      if (thread == 0) *drift = {length, scale, error, w_norm, fresh ? w_norm : fmax(drift->w_most, w_norm), kNowhere};
    });
  }
};

// ---- a pass

struct Level {
  Points points;
  State state;
  const int32_t* row_of;  // [chains]
  const int8_t* plane;    // [chains, stride]: the high plane of all rows
  size_t stride;
  const RowForm* form;                     // [chains]
  double *base_score, *base_error, *high;  // [chains]
  Drift* drift;
  double a, base_a, members;
};

// Scores from float64: reads X once.
struct TakeBase {
  static constexpr unsigned kThreads = 256, kResident = 6;  // as many as registers allow: it waits for memory
  Level level;

  COREGAIN_DEVICE void operator()(Block& block) const {
    const Points& p = level.points;
    block.warps([&](const Warp& warp) {
      const auto step = static_cast<int32_t>(block.count * block.threads / kWarp);
      double low = kNowhere;
      for (auto c = static_cast<int32_t>(block.index * block.threads / kWarp + warp.index); c < p.chains; c += step) {
        const int32_t row = level.row_of[c];
        if (row < 0) continue;
        const Interval at =
            score64(warp, p, level.state.w64, static_cast<size_t>(row), static_cast<double>(level.form[c].radius),
                    level.a, level.members, level.drift->w_norm);
        low = fmax(low, at.score - at.error);
        warp.lanes([&](unsigned lane) {
          if (lane != 0) return;
          level.base_score[c] = at.score;
          level.base_error[c] = at.error;
          level.high[c] = at.score + at.error;
        });
      }
      warp.lanes([&](unsigned lane) {
        if (lane == 0) fetch_max(&level.drift->low, low);
      });
    });
  }
};

// Scores from the base and a product in 8 bits: reads one byte an element, and 60 a row.
struct EstimateAll {
  static constexpr unsigned kThreads = 256, kResident = 4;
  Level level;
  const int8_t *v_high, *v_low;  // [stride]

  COREGAIN_DEVICE void operator()(Block& block) const {
    const Points& p = level.points;
    const Drift drift = *level.drift;
    block.warps([&](const Warp& warp) {
      const auto step = static_cast<int32_t>(block.count * block.threads / kWarp);
      double low = kNowhere;
      for (auto c = static_cast<int32_t>(block.index * block.threads / kWarp + warp.index); c < p.chains; c += step) {
        const int32_t row = level.row_of[c];
        if (row < 0) continue;
        const int8_t* const bytes = level.plane + static_cast<size_t>(c) * level.stride;
        // an exact integer: |q.V| < d 127 2^15 < 2^38
        const double product = warp.sum([&](unsigned lane) {
          int32_t high = 0, rest = 0;
          for (size_t j = 16 * lane; j < level.stride; j += 16 * kWarp) {
            const Bytes16 q = load16(bytes + j), of_high = load16(v_high + j), of_low = load16(v_low + j);
            COREGAIN_UNROLL
            for (int word = 0; word < 4; ++word) {
              high = dot4(q.words[word], of_high.words[word], high);
              rest = dot4(q.words[word], of_low.words[word], rest);
            }
          }
          return 256.0 * high + rest;
        });
        const RowForm& form = level.form[c];
        const double q = p.q[row];
        const double score =
            level.base_score[c] + (level.a - level.base_a) * q - 2 * (256 * form.scale * drift.scale) * product;
        const double error = (level.base_error[c] + 2 * (static_cast<double>(form.residual8) * drift.length +
                                                         static_cast<double>(form.magnitude8) * drift.error)) *
                                 kUp +
                             p.drift_roundoff(level.members, fabs(q), static_cast<double>(form.radius), drift.w_most);
        low = fmax(low, score - error);
        warp.lanes([&](unsigned lane) {
          if (lane == 0) level.high[c] = score + error;
        });
      }
      warp.lanes([&](unsigned lane) {
        if (lane == 0) fetch_max(&level.drift->low, low);
      });
    });
  }
};

// ---- parting

// What a chain is sorted by: its upper bound, and what a drift like the last would add.
struct Key {
  double da, dw;
  COREGAIN_DEVICE double of(const Level& level, int32_t c) const {
    return level.high[c] + da * level.points.q[level.row_of[c]] + 2 * dw * static_cast<double>(level.form[c].radius);
  }
};

// The keys of every step-th chain; kNowhere for a chain that is used up.
struct SampleKeys {
  static constexpr unsigned kThreads = 256;
  Level level;
  Key key;
  int32_t step, samples;
  double* out;  // [samples]

  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      for (auto s = static_cast<int32_t>(block.index * block.threads + thread); s < samples;
           s += static_cast<int32_t>(block.count * block.threads)) {
        const int32_t c = s * step;
        out[s] = level.row_of[c] < 0 ? kNowhere : key.of(level, c);
      }
    });
  }
};

// Counters of Part, in device memory.
struct Parted {
  int32_t inside;      // chains in the list, or that would be if there were room
  int32_t contenders;  // those that can win now
  double low;          // of the pass
  double w_most;
  Bucket outside[kBuckets];
};

// Chains whose key reaches the threshold, and all that can win now, are listed; the others go to buckets by radius.
struct Part {
  static constexpr unsigned kThreads = 256;
  static constexpr size_t kShared = Block::shared_bytes<Bucket>(kBuckets);
  Level level;
  Key key;
  double threshold;
  double slack_q, slack_radius;  // largest |q| and radius of all points
  double radius_low, per_bucket;
  int32_t capacity;
  int32_t* list;  // [capacity]
  Parted* parted;

  COREGAIN_DEVICE void operator()(Block& block) const {
    auto* const bucket = block.shared<Bucket>(kBuckets);
    const Points& p = level.points;
    const Drift& drift = *level.drift;
    // What lies this close below the best counts as able to win: more than the roundings by which a bucket's bound, or
    // the window's own lower bound, may differ from the pass, so that a new window lets at least one step pass.
    const double slack = 4 * p.drift_roundoff(level.members, slack_q, slack_radius, drift.w_most) +
                         8 * p.terms * 0x1p-53 * slack_radius * drift.w_most;
    block.each([&](unsigned thread) {
      if (thread < kBuckets) bucket[thread] = {kNowhere, kNowhere, 0, 0};
      if (block.index == 0 && thread == 0) {
        parted->low = drift.low;
        parted->w_most = drift.w_most;
      }
    });
    block.each([&](unsigned thread) {
      for (auto c = static_cast<int32_t>(block.index * block.threads + thread); c < p.chains;
           c += static_cast<int32_t>(block.count * block.threads)) {
        const int32_t row = level.row_of[c];
        if (row < 0) continue;
        const bool contends = level.high[c] + slack >= drift.low;
        if (contends) fetch_add(&parted->contenders, 1);
        if (contends || key.of(level, c) >= threshold) {
          const int32_t at = fetch_add(&parted->inside, 1);
          if (at < capacity) list[at] = c;
          continue;
        }
        const auto radius = static_cast<double>(level.form[c].radius);
        const auto at = static_cast<int>((radius - radius_low) * per_bucket);
        Bucket& to = bucket[at < 0 ? 0 : at >= kBuckets ? kBuckets - 1 : at];
        fetch_max(&to.high, level.high[c]);
        fetch_max(&to.q, p.q[row]);
        fetch_max(&to.q_abs, fabs(p.q[row]));
        fetch_max(&to.radius, radius);
      }
    });
    block.each([&](unsigned thread) {
      if (thread >= kBuckets || bucket[thread].high == kNowhere) return;
      Bucket& to = parted->outside[thread];
      fetch_max(&to.high, bucket[thread].high);
      fetch_max(&to.q, bucket[thread].q);
      fetch_max(&to.q_abs, bucket[thread].q_abs);
      fetch_max(&to.radius, bucket[thread].radius);
    });
  }
};

// Smallest and largest radius of all chains: out = {-least, most}.
struct Radii {
  static constexpr unsigned kThreads = 256;
  const RowForm* form;
  int32_t chains;
  double* out;

  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      double least = -1.7e308, most = 0;
      for (auto c = static_cast<int32_t>(block.index * block.threads + thread); c < chains;
           c += static_cast<int32_t>(block.count * block.threads)) {
        least = fmax(least, -static_cast<double>(form[c].radius));
        most = fmax(most, static_cast<double>(form[c].radius));
      }
      fetch_max(out, least);
      fetch_max(out + 1, most);
    });
  }
};

}  // namespace coregain::cuda
