// Similarities of many points with a few rows, for objectives that look at all pairs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/buffer.h"
#include "objectives/pairs.h"

namespace coregain::objectives {

// The similarity of Pairs, from float32 products where their error stays below 1e-5; else from Pairs itself. A pair has
// one value whatever the tile. Takes float32 copies of both matrices (one, where they are the same).
class Tiles {
 public:
  static constexpr size_t kRows = PanelKernel::kRows;  // rows of `b` in a tile
  static constexpr size_t kPoints = 512;               // rows of `a` in it, in whole panels

  explicit Tiles(Pairs pairs);
  const Pairs& pairs() const { return pairs_; }
  const Context& context() const { return pairs_.context(); }
  size_t points() const { return pairs_.a().rows; }
  // points, rounded up to whole panels
  size_t padded() const { return (points() + PanelKernel::kPoints - 1) / PanelKernel::kPoints * PanelKernel::kPoints; }

  // out[r * kPoints + i - begin] = s(i, rows[r]); count <= kRows, end - begin <= kPoints, both whole panels. What is
  // beyond the last point is anything in [0, 1].
  void tile(const int32_t* rows, size_t count, size_t begin, size_t end, float* out) const;

 private:
  // Panels of 16 rows (see PanelKernel), of unit length or centred and scaled.
  struct Copy {
    Buffer<float> panels;
    std::vector<float> squares;  // |row|^2, rbf only
  };
  Copy copy(const Matrix& x, const std::vector<double>& mean, double scale) const;

  Pairs pairs_;
  bool exact_ = false;  // no copies: Pairs
  bool same_;
  Copy a_, b_;
};

}  // namespace coregain::objectives
