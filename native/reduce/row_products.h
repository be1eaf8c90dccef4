// Products of all rows with each other, X X^T, a slice of columns at a time: of few rows with more columns than anybody
// has memory for.
#pragma once

#include <cstddef>
#include <vector>

#include "core/buffer.h"
#include "kernels/doubles.h"
#include "linear/products.h"

namespace coregain::reduce {

// What is taken off columns before their products, and what is left.
struct Centre {
  bool about_zero = false;  // nothing is taken off
  double* shift = nullptr;  // [columns]: the mean of the first rows
  double* sums = nullptr;   // [columns]: of x - shift
};

// Writes `centre` of the columns of a part. Throws Error ERR_NOT_FINITE or ERR_PCA_OVERFLOW with the row,
// ERR_CANCELLED.
void measure(const linear::Part& part, const DoublesKernel& doubles, const Centre& centre,
             const linear::Workers& workers);

// Float64 sums of float32 sums of GemmKernel::kDepth products, from column 0 on: the same bits whatever the slices, the
// number of threads and the SIMD level.
class RowProducts {
 public:
  // Columns that are laid out at a time; twice as many are in memory.
  static constexpr size_t kColumns = 21 * GemmKernel::kDepth;

  // `cols`: of a part, as a rule.
  RowProducts(size_t rows, size_t cols, const linear::Workers& workers);

  // Columns of all rows; whole GemmKernel::kDepth columns but for the last part. They are read when this returns, and
  // multiplied while later ones are read. `centre` as `measure`; the same errors.
  void add(const linear::Part& part, const DoublesKernel& doubles, const Centre& centre,
           const linear::Workers& workers);
  // Multiplies what is left, and gives the lower triangle, [rows, rows]. Throws Error ERR_PCA_OVERFLOW with the row.
  Buffer<double> take(const linear::Workers& workers);

 private:
  // Columns of all rows, the rows side by side.
  struct Slice {
    size_t cols = 0;
    Buffer<float> panels;  // [kDepth columns][panel][kDepth][kPanel]
  };
  // Sums of the rows of panels [row, row + high) with those of [panel, panel + panels).
  struct Tile {
    size_t row, high, panel, panels;
    Buffer<double> sums;  // [high * kPanel, panels * kPanel]
  };

  void cut(unsigned threads);
  void step(Slice& ready, Slice* next, const linear::Part& part, const DoublesKernel& doubles, const Centre& centre,
            const linear::Workers& workers);
  void lay_out(Slice& slice, size_t chunk, const linear::Part& part, const DoublesKernel& doubles, const Centre& centre,
               const GemmKernel& kernel) const;
  void multiply(const Slice& slice, Tile& tile, const GemmKernel& kernel) const;

  size_t count_, panels_, width_;  // rows, panels of them, columns of a slice
  std::vector<Tile> tiles_;        // the largest first: the others fill the gaps at the end
  Slice slices_[2];
  size_t turn_ = 0;
};

}  // namespace coregain::reduce
