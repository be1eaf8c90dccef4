// Optimizers: they fill a budget with rows that make an objective large.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "objectives/objective.h"

namespace coregain::objectives {

enum class Optimizer { kNaive, kLazy, kStochastic, kBidirectional };

// One objective of a mixture, its parameters already checked (lib/select/objectives).
struct Part {
  std::string name;
  double weight = 1;
  Measure measure = Measure::kCosine;
  double gamma = 0;  // 0 = default_gamma
  double lambda = 1;
  double eta = 1;
  double nu = 1;
  double ridge = 1;
  double alpha = 1;
  size_t neighbours = 0;  // 0 = all
  Concave concave = Concave::kSqrt;
  Matrix examples;  // query or private set, of the type of `x`
  Entries entries;
};

struct Task {
  Matrix x;
  size_t rows = 0;
  std::vector<Part> parts;
  std::vector<uint8_t> allowed;  // by row: 1 = may be chosen
  std::vector<int32_t> initial;  // chosen first, in this order
  Optimizer optimizer = Optimizer::kNaive;
  size_t budget = 0;          // rows in all
  std::vector<double> costs;  // empty, or by row: then max_cost takes the place of `budget`
  double max_cost = 0;
  uint64_t seed = 0;
  double epsilon = 0.1;
  unsigned threads = 0;
  std::string simd;
};

struct Maximum {
  std::vector<int32_t> rows;
  std::vector<double> gains;
  double value = 0;
  uint64_t evaluations = 0;
  unsigned threads = 0;
  double seconds = 0;
  std::string simd;
};

// Throws Error ERR_CANCELLED, ERR_NOT_FINITE (with the row), ERR_OUT_OF_MEMORY, ERR_SIMD.
Maximum maximize(const Task& task, Control& control);

// The objective of `task`; `task` must outlive it.
ObjectivePtr make_objective(const Task& task, const Context& context);

}  // namespace coregain::objectives
