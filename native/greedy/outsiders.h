// The points outside the window, in buckets of similar radius: one bound for each bucket holds for all of its points
// until w has moved too far.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>

#include "greedy/objective.h"

namespace coregain {

// When a and w have moved by da >= 0 and dw, the score of a point has moved by da q - 2 y.dw <= da q + 2 |y| |dw|.
struct Outsiders {
  static constexpr size_t kBuckets = 32;

  struct Bucket {
    double high = -std::numeric_limits<double>::infinity();  // largest upper bound
    double q = -std::numeric_limits<double>::infinity();     // largest
    double q_abs = 0;                                        // largest magnitude
    double radius = 0;                                       // largest
  };

  void add(size_t bucket, double high, double q, double radius) {
    Bucket& b = buckets[bucket];
    b.high = std::max(b.high, high);
    b.q = std::max(b.q, q);
    b.q_abs = std::max(b.q_abs, q < 0 ? -q : q);
    b.radius = std::max(b.radius, radius);
  }
  void merge(const Outsiders& other) {
    for (size_t b = 0; b < kBuckets; ++b) {
      const Bucket& from = other.buckets[b];
      if (from.high == -std::numeric_limits<double>::infinity()) continue;
      add(b, from.high, from.q, from.radius);
      buckets[b].q_abs = std::max(buckets[b].q_abs, from.q_abs);
    }
  }
  // No outsider has a higher score now.
  double bound(const Objective& objective, double da, double dw) const {
    double highest = -std::numeric_limits<double>::infinity();
    for (const Bucket& b : buckets) {
      if (b.high == -std::numeric_limits<double>::infinity()) continue;
      highest = std::max(highest, b.high + da * b.q + 2 * b.radius * dw + objective.roundoff(b.q_abs, b.radius, 0));
    }
    return highest;
  }

  std::array<Bucket, kBuckets> buckets;
};

}  // namespace coregain
