// One of the nested sets of the lazy engine: all points, those that may win soon, those that may win sooner. A pass
// gives every point of the set an interval for its score; `part` then keeps the best as the next set and leaves one
// bound for each bucket of the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/control.h"
#include "core/thread_pool.h"
#include "greedy/int8_rows.h"
#include "greedy/objective.h"
#include "greedy/outsiders.h"
#include "kernels/int8.h"
#include "kernels/scores.h"
#include "kernels/vectors.h"

namespace coregain {

// Where scores were taken from float32. What was estimated since is off by at most
// base error + 2 residual |D (w - here)| + magnitude * loose.
struct Base {
  std::vector<double> w;  // [d]
  double a = 0;
  double loose = 0;  // 2 times what the int16 forms of vectors may have lost, see Int16Form::error
};

// What a level works with.
struct Tools {
  const Points& points;
  const Quantiser& quantiser;
  const Objective& objective;
  const Int8Kernel& int8;
  const ScoresKernel& scores;
  const VectorsKernel& vectors;
  ThreadPool& pool;
  const Control& control;
};

class Level {
 public:
  // All points.
  Level(const Tools& tools, Int8Rows rows);
  // Empty, to be filled by `gather`.
  explicit Level(const Tools& tools);

  // Becomes the rows `from[list[i]]`, with their scores.
  void gather(const Level& from, const std::vector<int32_t>& list);

  // Scores and bounds of all rows now: from one float32 product each, or from the base and an int8 product each.
  void take_base();
  void estimate();

  // Rows that can still win by what the last pass knows.
  size_t contenders() const;
  // Parts the rows by upper bound + da q + 2 dw radius: about `target` of the best, and all that can win now, are
  // listed in `inside`, the others go to `outsiders`.
  void part(double target, double da, double dw, std::vector<int32_t>& inside);

  // The row at i is in a bin; next is the row that takes its place, -1 for none.
  void leave(size_t i, int32_t next);
  // Drops the rows that have left.
  void compact();

  size_t size() const { return rows.row.size(); }
  size_t alive() const { return size() - dead; }

  Int8Rows rows;
  std::vector<int32_t> parent;  // index in the level that it was gathered from
  size_t dead = 0;
  // By row.
  Buffer<double> q, base_score, score, high;
  Buffer<float> radius, base_error;
  Base base;
  // At the last pass.
  std::vector<double> w;
  double a = 0;
  double low = 0;  // the best lower bound
  Outsiders outsiders;

 private:
  void finish(double da, double factor, double distance);

  const Tools tools_;
  double radius_low_ = 0, radius_high_ = 0;
  std::vector<int16_t> vector_;
  std::vector<double> keys_;
};

}  // namespace coregain
