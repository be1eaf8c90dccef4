// From names and parameters to objectives.
#include <functional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "objectives/maximize.h"

namespace coregain::objectives {
namespace {

struct Maker {
  const Context& context;
  const Matrix& x;
  const Part& part;
  double gamma;

  Pairs pairs(const Matrix& a) const { return {context, part.measure, gamma, a, x}; }
  Tiles tiles(const Matrix& a) const { return Tiles(pairs(a)); }
  // nearest to each row of x among the examples, times `factor`
  std::vector<double> nearest(double factor) const {
    std::vector<double> most = pairs(part.examples).column_maxima();
    for (double& value : most) value *= factor;
    return most;
  }
  ObjectivePtr log_determinant_given(const Matrix& condition, double scale) const {
    return log_determinant(pairs(x), part.ridge, condition, scale);
  }
  ObjectivePtr cut(double nu) const {
    return graph_cut(context, part.measure, gamma, x, part.examples, part.lambda, nu);
  }
};

using Make = std::function<ObjectivePtr(const Maker&)>;

const std::unordered_map<std::string, Make>& makers() {
  static const std::unordered_map<std::string, Make> all = {
      {"graph-cut", [](const Maker& m) { return m.cut(0); }},
      {"graph-cut-cg", [](const Maker& m) { return m.cut(m.part.nu); }},
      {"graph-cut-mi",
       [](const Maker& m) {
         return graph_cut_towards(m.context, m.part.measure, m.gamma, m.x, m.part.examples, m.part.lambda);
       }},
      {"squared-distance", [](const Maker& m) { return squared_distance(m.context, m.x); }},
      {"disparity-sum", [](const Maker& m) { return disparity_sum(m.context, m.x); }},
      {"disparity-min", [](const Maker& m) { return disparity_min(m.context, m.x); }},
      {"k-center", [](const Maker& m) { return k_center(m.context, m.x); }},
      {"facility-location",
       [](const Maker& m) {
         Tiles tiles = m.tiles(m.x);
         return m.part.neighbours == 0 ? facility_location(std::move(tiles), {})
                                       : sparse_facility_location(tiles, m.part.neighbours);
       }},
      {"facility-location-mi",
       [](const Maker& m) {
         return facility_location(m.tiles(m.x), {{}, m.nearest(m.part.eta), {}});
       }},
      {"facility-location-cg",
       [](const Maker& m) {
         return facility_location(m.tiles(m.x), {m.nearest(m.part.nu), {}, {}});
       }},
      {"facility-location-query-mi",
       [](const Maker& m) {
         return facility_location(m.tiles(m.part.examples), {{}, {}, m.nearest(m.part.eta)});
       }},
      {"saturated-coverage",
       [](const Maker& m) {
         std::vector<double> cap = m.pairs(m.x).column_sums();
         for (double& value : cap) value *= m.part.alpha;
         return saturated_coverage(m.tiles(m.x), cap);
       }},
      {"log-determinant",
       [](const Maker& m) {
         return m.log_determinant_given({nullptr, m.x.is_double, 0, m.x.cols}, 0);
       }},
      {"log-determinant-cg", [](const Maker& m) { return m.log_determinant_given(m.part.examples, m.part.nu); }},
      {"log-determinant-mi",
       [](const Maker& m) {
         std::vector<std::pair<double, ObjectivePtr>> parts;
         parts.emplace_back(1, m.log_determinant_given({nullptr, m.x.is_double, 0, m.x.cols}, 0));
         parts.emplace_back(-1, m.log_determinant_given(m.part.examples, m.part.eta));
         return mixture(std::move(parts));
       }},
      {"set-cover", [](const Maker& m) { return set_cover(m.context, m.part.entries); }},
      {"probabilistic-set-cover", [](const Maker& m) { return probabilistic_set_cover(m.context, m.part.entries); }},
      {"feature-based",
       [](const Maker& m) {
         Entries entries = m.part.entries;
         entries.dense = m.x;
         return feature_based(m.context, std::move(entries), m.part.concave);
       }},
  };
  return all;
}

}  // namespace

ObjectivePtr make_objective(const Task& task, const Context& context) {
  std::vector<std::pair<double, ObjectivePtr>> parts;
  for (const Part& part : task.parts) {
    const double gamma = part.measure != Measure::kRbf ? 0 : part.gamma > 0 ? part.gamma : default_gamma(task.x);
    const auto found = makers().find(part.name);
    if (found == makers().end()) throw std::invalid_argument("There is no objective \"" + part.name + "\".");
    parts.emplace_back(part.weight, found->second(Maker{context, task.x, part, gamma}));
  }
  if (parts.size() == 1 && parts.front().first == 1) return std::move(parts.front().second);
  return mixture(std::move(parts));
}

}  // namespace coregain::objectives
