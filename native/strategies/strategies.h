// Native halves of the strategies in lib/select/strategies/, which has formulas and sources.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"

namespace coregain::strategies {

struct Task {
  Matrix x;
  uint64_t seed = 0;
  unsigned threads = 0;  // 0 = all hardware threads
  std::string simd;      // "" = the best level of this machine
};

// All functions: the same result for every number of threads and SIMD level. Control: done as each says. They throw
// what Rows throws.

struct Clusters {
  std::vector<int32_t> of;       // [N], 0 .. k - 1, none empty unless there are fewer distinct rows than clusters
  std::vector<double> distance;  // [N], squared, to the centre
  size_t rounds = 0;
  bool converged = false;
};
// k-means++ (Arthur and Vassilvitskii 2007), then Lloyd's rounds until no row changes its cluster or `rounds` are over;
// ties to the lowest cluster; a cluster that lost all rows restarts at the row farthest from its centre. done = rounds.
Clusters k_means(const Task& task, size_t clusters, size_t rounds, Control& control);

struct Herd {
  std::vector<int32_t> rows;
  std::vector<double> scores;  // <w, x> when chosen
};
// Welling 2009: x_t = argmax <w, x> among the rows that are allowed and not yet chosen, w += mean - x_t, from w = mean;
// `initial` rows come first. done = rows chosen.
Herd herding(const Task& task, size_t budget, const std::vector<uint8_t>& allowed, const std::vector<int32_t>& initial,
             Control& control);

struct Density {
  double radius_squared = 0;        // eps^2
  std::vector<int32_t> neighbours;  // [N], rows within eps, the row itself included
  std::vector<int32_t> order;       // rows along the PCA tree
};
// eps = fraction * sqrt(median squared distance of sampled pairs). done = rows counted.
Density density(const Task& task, double fraction, Control& control);

}  // namespace coregain::strategies
