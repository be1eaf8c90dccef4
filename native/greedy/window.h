// The points that can win the next steps, with scores that are kept up to date at every step.
//
// A step that chooses p changes the score of row i by 2 q_i - 4 y_i.y_p. The products with p of all rows of the window, a
// column, come from int8 arithmetic (greedy/int8_rows.h), many columns in one pass, computed ahead for the rows that are
// likely to be chosen next. The error of the estimate grows with the distance that w has moved since the scores were
// last taken from float32 (the base), not with the number of steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/thread_pool.h"
#include "greedy/int8_rows.h"
#include "greedy/objective.h"
#include "kernels/int8.h"
#include "kernels/scores.h"

namespace coregain {

// Where scores were computed: the error of an estimate is base + 2 residual_i |D (w - here)| + magnitude_i * loose.
struct Base {
  std::vector<double> w;  // [d]
  double loose = 0;       // what the int16 forms of the vectors since then may have lost, see Int16Form::error
};

class Window {
 public:
  // Columns take at most `memory` bytes, and room for at least one batch.
  Window(const Points& points, const Int8Rows& rows, const Objective& objective, const std::string& simd,
         ThreadPool& pool);

  // Starts anew with n rows: slot i is slots[i], or i where `slots` is null (all of them, read in place).
  void open(const int32_t* slots, size_t n, const Base& base, size_t memory);
  // Score and error at the base of the row at index i; to be called for all after `open`, then `seal`.
  void set(size_t i, double q, double radius, double score, float base_error) {
    score_[i] = score;
    twice_q_[i] = 2 * q;
    base_error_[i] = base_error;
    if (q > q_max_ || -q > q_max_) q_max_ = q > 0 ? q : -q;
    if (radius > radius_max_) radius_max_ = radius;
  }
  void seal();
  // Takes the scores of all rows from float32 again.
  void rebase();

  size_t size() const { return n_; }
  size_t slot(size_t i) const { return slots_ == nullptr ? i : static_cast<size_t>(slots_[i]); }
  size_t rebases() const { return rebases_; }
  uint64_t products() const { return products_; }

  // To be called when w has moved, before the next three.
  void moved();
  // Index of the largest estimate; size() where no row is left.
  size_t top() const;
  // The interval of row i.
  Bounds bounds(size_t i) const;
  // Indices of all rows whose interval reaches `low`.
  void reaching(double low, std::vector<size_t>& out) const;

  // Row i was chosen (w is not yet moved); `stays` where an equal row takes its place.
  void choose(size_t i, bool stays);

 private:
  void adapt_batch();
  void compute_columns(size_t chosen);

  const Points& points_;
  const Int8Rows& rows_;
  const Objective& objective_;
  const Int8Kernel& int8_;
  const ScoresKernel& kernel_;
  ThreadPool& pool_;

  size_t n_ = 0, padded_ = 0;
  const int32_t* slots_ = nullptr;
  const int8_t* q_ = nullptr;  // [padded, stride]
  Buffer<int8_t> gathered_;
  Buffer<double> score_, twice_q_;
  std::vector<float> base_error_, residual_, magnitude_, scale_;
  std::vector<double> block_score_, block_error_;
  std::vector<float> block_base_, block_residual_, block_magnitude_;
  double q_max_ = 0, radius_max_ = 0;

  Base base_;
  double distance_ = 0;  // 2 |D (w - base)|
  double roundoff_ = 0;
  size_t updates_ = 0;
  size_t rebases_ = 0;

  Buffer<float> columns_;        // [capacity, padded]
  std::vector<int32_t> column_;  // of row i, -1 for none
  std::vector<double> column_scale_, column_error_;
  size_t capacity_ = 0, used_ = 0;
  size_t batch_ = 64, served_ = 0;
  uint64_t products_ = 0;
  std::vector<int16_t> vectors_, packed_;
};

}  // namespace coregain
