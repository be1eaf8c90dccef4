// The points that can win the next steps, with scores that are kept up to date at every step.
//
// A step that chooses p changes the score of row i by 2 q_i - 4 y_i.y_p. The products with p of all rows of the window,
// a column, come from int8 arithmetic (greedy/int8_rows.h), many columns in one pass, computed ahead for the rows that
// are likely to be chosen next. The error of the estimate grows with the distance that w has moved since the scores
// were last taken from float32 (the base), not with the number of steps.
#pragma once

#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "greedy/level.h"

namespace coregain {

class Window {
 public:
  explicit Window(const Tools& tools) : tools_(tools) {}

  // The rows level.rows[list[i]], or all of the level, read in place, where `list` is null. Columns take at most
  // `memory` bytes, and room for at least one batch.
  void open(const Level& level, const std::vector<int32_t>* list, size_t memory);
  // Takes the scores of all rows from float32 again.
  void rebase();

  size_t size() const { return n_; }
  // Index in the level.
  size_t index(size_t i) const { return list_ == nullptr ? i : static_cast<size_t>((*list_)[i]); }
  // In the matrix.
  int32_t row(size_t i) const { return level_->rows.row[index(i)]; }
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
  void seal();
  void adapt_batch();
  void compute_columns(size_t chosen);
  std::vector<int32_t> likely(size_t chosen, size_t batch) const;
  void quantise(const std::vector<int32_t>& indices);
  void multiply(size_t count);

  const Tools tools_;
  const Level* level_ = nullptr;
  const std::vector<int32_t>* list_ = nullptr;
  size_t n_ = 0, padded_ = 0;
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

  Buffer<float> columns_;        // [capacity, padded]
  std::vector<int32_t> column_;  // of row i, -1 for none
  std::vector<double> column_scale_, column_error_;
  size_t capacity_ = 0, used_ = 0;
  size_t batch_ = 16;  // columns at a time
  size_t served_ = 0;  // columns used since the last batch
  struct {
    size_t batches = 0, served = 0;
    double seconds = 0;
  } trial_;  // of this batch_
  double cost_before_ = 0;
  bool growing_ = true;
  uint64_t products_ = 0;
  std::vector<int16_t> vectors_, packed_;
};

}  // namespace coregain
