#include "reduce/fuzzy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reduce/power.h"

namespace coregain::reduce {
namespace {

constexpr int kBisections = 64;
constexpr double kTolerance = 1e-5;  // of the sum of a query's weights
constexpr double kLeastScale = 1e-3;

double membership(double distance, double rho, double sigma) {
  if (distance <= rho || sigma <= 0) return 1;
  return exp_of((rho - distance) / sigma);
}

}  // namespace

std::vector<double> memberships(const Neighbours& near, size_t neighbours) {
  const size_t k = near.k, n = near.row.size() / k;
  const double target = log2_of(static_cast<double>(neighbours));
  double total = 0;
  for (const double d : near.distance) total += d;
  const double mean_of_all = total / static_cast<double>(near.distance.size());

  std::vector<double> weights(n * k);
  for (size_t i = 0; i < n; ++i) {
    const double* d = &near.distance[i * k];
    const double* first = std::find_if(d, d + k, [](double distance) { return distance > 0; });
    const double rho = first == d + k ? 0 : *first;
    const auto sum_at = [&](double sigma) {
      double sum = 0;
      for (size_t j = 0; j < k; ++j) sum += membership(d[j], rho, sigma);
      return sum;
    };
    double low = 0, high = std::numeric_limits<double>::infinity(), sigma = 1;
    for (int step = 0; step < kBisections; ++step) {
      const double sum = sum_at(sigma);
      if (std::fabs(sum - target) < kTolerance) break;
      (sum > target ? high : low) = sigma;
      sigma = std::isinf(high) ? sigma * 2 : (low + high) / 2;
    }
    double mean = 0;
    for (size_t j = 0; j < k; ++j) mean += d[j] / static_cast<double>(k);
    sigma = std::max(sigma, kLeastScale * (rho > 0 ? mean : mean_of_all));
    for (size_t j = 0; j < k; ++j) weights[i * k + j] = membership(d[j], rho, sigma);
  }
  return weights;
}

Graph fuzzy_union(const Neighbours& near, const std::vector<double>& weights) {
  struct Edge {
    int32_t to;
    double weight;
  };
  const size_t k = near.k, n = near.row.size() / k;
  std::vector<std::vector<Edge>> edges(n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t e = i * k; e < (i + 1) * k; ++e) {
      edges[i].push_back({near.row[e], weights[e]});
      edges[static_cast<size_t>(near.row[e])].push_back({static_cast<int32_t>(i), weights[e]});
    }
  }
  Graph graph;
  graph.offset.push_back(0);
  for (std::vector<Edge>& of : edges) {
    std::stable_sort(of.begin(), of.end(), [](const Edge& a, const Edge& b) { return a.to < b.to; });
    for (size_t e = 0; e < of.size(); ++e) {
      if (e > 0 && of[e].to == of[e - 1].to) {
        const double a = of[e - 1].weight, b = of[e].weight;
        graph.weight.back() = a + b - a * b;
      } else {
        graph.to.push_back(of[e].to);
        graph.weight.push_back(of[e].weight);
      }
    }
    graph.offset.push_back(graph.to.size());
  }
  return graph;
}

Curve fit_curve(double min_dist, double spread) {
  constexpr int kPoints = 300;
  // Levenberg and Marquardt's method on log a and log b, which keeps both positive.
  struct State {
    double error, gradient[2], hessian[3];
  };
  const auto at = [&](double log_a, double log_b) {
    const double a = exp_of(log_a), b = exp_of(log_b);
    State s = {};
    for (int p = 0; p < kPoints; ++p) {
      const double x = 3 * spread * p / (kPoints - 1);
      const double wanted = x < min_dist ? 1 : exp_of((min_dist - x) / spread);
      const double log_x = x > 0 ? log2_of(x) * 0.69314718055994531 : 0;
      const double t = x > 0 ? a * exp_of(2 * b * log_x) : 0;
      const double y = 1 / (1 + t), residual = y - wanted;
      const double by_a = -t * y * y, by_b = by_a * 2 * b * log_x;
      s.error += residual * residual;
      s.gradient[0] += residual * by_a;
      s.gradient[1] += residual * by_b;
      s.hessian[0] += by_a * by_a;
      s.hessian[1] += by_a * by_b;
      s.hessian[2] += by_b * by_b;
    }
    return s;
  };
  double log_a = 0, log_b = 0, damping = 1e-3;
  State now = at(log_a, log_b);
  for (int step = 0; step < 200; ++step) {
    const double h0 = now.hessian[0] * (1 + damping), h2 = now.hessian[2] * (1 + damping), h1 = now.hessian[1];
    const double determinant = h0 * h2 - h1 * h1;
    if (!(determinant > 0)) break;
    const double by_a = (h1 * now.gradient[1] - h2 * now.gradient[0]) / determinant;
    const double by_b = (h1 * now.gradient[0] - h0 * now.gradient[1]) / determinant;
    const State next = at(log_a + by_a, log_b + by_b);
    if (next.error < now.error) {
      log_a += by_a;
      log_b += by_b;
      now = next;
      damping /= 3;
      if (std::fabs(by_a) + std::fabs(by_b) < 1e-12) break;
    } else {
      damping *= 4;
      if (damping > 1e12) break;
    }
  }
  return {exp_of(log_a), exp_of(log_b)};
}

}  // namespace coregain::reduce
