#include "reduce/layout.h"

#include <algorithm>

#include "objectives/random.h"
#include "reduce/power.h"

namespace coregain::reduce {
namespace {

constexpr size_t kTurns = 8;
constexpr size_t kNegatives = 5;
constexpr float kLongest = 4;  // step in a coordinate, before the rate
constexpr size_t kLanes = 8;

float squared_distance(const float* a, const float* b, size_t dims) {
  if (dims < kLanes) {
    float sum = 0;
    for (size_t c = 0; c < dims; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
  }
  float sum[kLanes] = {};
  size_t c = 0;
  for (; c + kLanes <= dims; c += kLanes)
    for (size_t t = 0; t < kLanes; ++t) sum[t] += (a[c + t] - b[c + t]) * (a[c + t] - b[c + t]);
  for (size_t t = 0; c < dims; ++c, ++t) sum[t] += (a[c] - b[c]) * (a[c] - b[c]);
  return ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
}

// point += rate * clip(coefficient * (point - other))
void step(float* point, const float* other, size_t dims, float coefficient, float rate) {
  for (size_t c = 0; c < dims; ++c) {
    const float gradient = coefficient * (point[c] - other[c]);
    point[c] += rate * std::min(kLongest, std::max(-kLongest, gradient));
  }
}

// Gradients of log(1 / (1 + a d^2b)) and log(1 - ...), as factors of the difference.
float attraction(const Curve& curve, float square) {
  if (!(square > 0)) return 0;
  const auto s = static_cast<double>(square);
  const double p = power(s, curve.b);
  return static_cast<float>(-2 * curve.a * curve.b * p / (s * (curve.a * p + 1)));
}
float repulsion(const Curve& curve, float square) {
  if (!(square > 0)) return 0;
  const auto s = static_cast<double>(square);
  return static_cast<float>(2 * curve.b / ((0.001 + s) * (curve.a * power(s, curve.b) + 1)));
}

}  // namespace

void descend(std::vector<float>& points, size_t dims, const Graph& graph, const Descent& descent,
             const std::vector<float>* anchors, ThreadPool& pool, const Control& control,
             const std::function<void(size_t)>& done) {
  const size_t n = points.size() / dims;
  const std::vector<float>& others = anchors == nullptr ? points : *anchors;
  const size_t m = others.size() / dims;
  // An edge of the original moves both its ends, and is there twice: a vertex is pulled as its head and as its tail.
  const size_t pulls = anchors == nullptr ? 2 : 1;
  const double heaviest = graph.weight.empty() ? 1 : *std::max_element(graph.weight.begin(), graph.weight.end());
  const size_t slots = (n + kTurns - 1) / kTurns;
  std::vector<float> moved(slots * dims);
  for (size_t epoch = 0; epoch < descent.epochs; ++epoch) {
    const auto time = static_cast<double>(epoch);
    const auto rate = static_cast<float>(descent.rate * (1 - time / static_cast<double>(descent.epochs)));
    for (size_t turn = 0; turn < kTurns; ++turn) {
      const size_t count = (n + kTurns - 1 - turn) / kTurns;
      const size_t block = std::max<size_t>(1, 4096 / (dims + 16));
      pool.for_blocks(count, block, [&](unsigned, size_t begin, size_t end) {
        control.check();
        for (size_t slot = begin; slot < end; ++slot) {
          const size_t i = slot * kTurns + turn;
          float* point = &moved[slot * dims];
          std::copy_n(&points[i * dims], dims, point);
          objectives::Words words(descent.seed, (epoch << 32) + i);
          for (size_t e = graph.offset[i]; e < graph.offset[i + 1]; ++e) {
            const double share = graph.weight[e] / heaviest;
            if (static_cast<int64_t>((time + 1) * share) == static_cast<int64_t>(time * share)) continue;
            const float* target = &others[static_cast<size_t>(graph.to[e]) * dims];
            for (size_t pull = 0; pull < pulls; ++pull)
              step(point, target, dims, attraction(descent.curve, squared_distance(point, target, dims)), rate);
            // all five from one place, so that none waits for the one before
            const float* away[kNegatives];
            float factor[kNegatives];
            for (size_t s = 0; s < kNegatives; ++s) {
              const size_t j = words.next() * static_cast<uint64_t>(m) >> 32;  // uniform but for m / 2^32
              away[s] = &others[j * dims];
              const bool itself = anchors == nullptr && j == i;
              factor[s] = itself ? 0 : repulsion(descent.curve, squared_distance(point, away[s], dims));
            }
            for (size_t s = 0; s < kNegatives; ++s) step(point, away[s], dims, factor[s], rate);
          }
        }
      });
      pool.for_blocks(count, 64 * block, [&](unsigned, size_t begin, size_t end) {
        for (size_t slot = begin; slot < end; ++slot)
          std::copy_n(&moved[slot * dims], dims, &points[(slot * kTurns + turn) * dims]);
      });
    }
    done(epoch + 1);
  }
}

}  // namespace coregain::reduce
