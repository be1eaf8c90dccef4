// Similarities of many rows with a few, for objectives that look at all pairs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/buffer.h"
#include "objectives/pairs.h"

namespace coregain::objectives {

// The similarity of Pairs, from float32 products where their error stays below 1e-5; else from Pairs itself. A pair has
// one value whatever the tile. Takes float32 copies of both matrices (one, where they are the same).
class Tiles {
 public:
  static constexpr size_t kRows = 16;     // rows of `b` in a tile
  static constexpr size_t kPoints = 512;  // rows of `a` in it

  explicit Tiles(Pairs pairs);
  const Pairs& pairs() const { return pairs_; }

  // out[r * kPoints + i - begin] = s(i, rows[r]); count <= kRows, end - begin <= kPoints
  void tile(const int32_t* rows, size_t count, size_t begin, size_t end, float* out) const;

 private:
  struct Copy {
    Buffer<float> rows;
    std::vector<float> squares;  // |row|^2, rbf only
  };
  Copy copy(const Matrix& x, const std::vector<double>& mean, double scale) const;

  Pairs pairs_;
  size_t stride_;
  bool exact_ = false;  // no copies: Pairs
  bool same_;
  Copy a_, b_;
};

}  // namespace coregain::objectives
