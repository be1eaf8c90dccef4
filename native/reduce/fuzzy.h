// Distances of neighbours -> the weighted graph whose shape the layout keeps (McInnes et al. 2018, section 3.1).
#pragma once

#include <cstdint>
#include <vector>

#include "reduce/neighbours.h"

namespace coregain::reduce {

// Weights of the edges from each query to its neighbours, [n, k], in 0..1:
//
//     w_ij = exp(-max(0, d_ij - rho_i) / sigma_i),    sum_j w_ij = log2(neighbours)
//
// rho_i is the least distance that is not 0, sigma_i is found by bisection and is at least a thousandth of the mean
// distance of the query (of all queries, where rho_i is 0).
std::vector<double> memberships(const Neighbours& near, size_t neighbours);

// Edges of vertex i: [offset[i], offset[i + 1]), ascending.
struct Graph {
  std::vector<size_t> offset;  // [n + 1]
  std::vector<int32_t> to;
  std::vector<double> weight;  // in 0..1
};

// Every edge in both directions, with the weight a + b - a b of the two directions' weights.
Graph fuzzy_union(const Neighbours& near, const std::vector<double>& weights);

struct Curve {
  double a, b;
};
// The a and b for which 1 / (1 + a x^(2b)) is nearest, by least squares over 300 points of 0..3 spread, to 1 up to
// min_dist and exp(-(x - min_dist) / spread) behind it. 0 <= min_dist <= spread.
Curve fit_curve(double min_dist, double spread);

}  // namespace coregain::reduce
