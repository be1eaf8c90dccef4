// Rows in 16 bits, as two planes of 8 for the tensor cores. With f y = s Q + e and Q = 256 high + low,
//
//   y_i.y_p = s_i s_p (Q_i.Q_p) + s_i Q_i.e_p + e_i.y_p
//
// so that |y_i.y_p - s_i s_p (Q_i.Q_p)| <= magnitude_i residual_p + residual_i |y_p|, and Q_i.Q_p is an exact integer.
// The high plane on its own is the 8-bit form of a row: y = 256 s high + e8.
#pragma once

#include "cuda/points.h"

namespace coregain::cuda {

constexpr double kLargest16 = 127 * 256 + 127;  // so that both parts of Q fit in 8 bits

// A float32 number above `value`.
COREGAIN_DEVICE float float_above(double value) {
  return static_cast<float>(value * (1 + 0x1p-20)) + 0x1p-140F;
}

// What bounds need to know of a row of planes.
struct RowForm {
  double scale;      // s
  float residual;    // >= |e|
  float magnitude;   // >= |s Q|
  float radius;      // >= |f y|
  float residual8;   // >= |e8|
  float magnitude8;  // >= |256 s high|
};

// planes[c] = form of the row of chain list[c] (of chain c without a list). One warp a row; reads the row three times,
// from L1 or L2 after the first: about d * 4 bytes from memory and d or 2 d bytes to it.
struct Quantise {
  static constexpr unsigned kThreads = 256;
  Points points;
  const int32_t* list;    // [size], or null
  const int32_t* row_of;  // [chains]: a chain that is used up keeps the form that it had, or gets zeros
  int32_t size;
  size_t stride;       // of a plane's row: bytes, a multiple of 64, zero beyond d
  int8_t *high, *low;  // [size, stride]; low may be null
  RowForm* form;       // [size]

  COREGAIN_DEVICE void operator()(Block& block) const {
    block.warps([&](const Warp& warp) {
      const auto step = static_cast<int32_t>(block.count * block.threads / kWarp);
      for (auto c = static_cast<int32_t>(block.index * block.threads / kWarp + warp.index); c < size; c += step) {
        const int32_t row = row_of[list == nullptr ? c : list[c]];
        one(warp, static_cast<size_t>(c), row < 0 ? 0 : static_cast<size_t>(row), row >= 0);
      }
    });
  }

  COREGAIN_DEVICE void one(const Warp& warp, size_t c, size_t row, bool there) const {
    const size_t d = there ? points.d : 0;
    const double top = warp.max([&](unsigned lane) {
      double most = 0;
      for (size_t j = lane; j < d; j += kWarp) most = fmax(most, fabs(points.y(row, j)));
      return most;
    });
    // |y / s| <= kLargest16 with room for the rounding of the division
    const double scale = top > 1e-290 ? top * (1 + 0x1p-40) / kLargest16 : 0;
    const auto integer = [&](double y) { return scale > 0 ? static_cast<int32_t>(rint(y / scale)) : 0; };
    warp.lanes([&](unsigned lane) {
      for (size_t j = lane; j < stride; j += kWarp) {
        const int32_t value = j < d ? integer(points.y(row, j)) : 0;
        const int32_t part = (value + 128) >> 8;
        high[c * stride + j] = static_cast<int8_t>(part);
        if (low != nullptr) low[c * stride + j] = static_cast<int8_t>(value - part * 256);
      }
    });
    // sums of squares of: y, its rest, Q, the rest of the high part, the high part
    const auto sum = [&](auto term) {
      return sqrt(warp.sum([&](unsigned lane) {
        double total = 0;
        for (size_t j = lane; j < d; j += kWarp) {
          const double y = points.y(row, j), value = term(y);
          total += value * value;
        }
        return total;
      }));
    };
    const double norm = sum([](double y) { return y; });
    const double rest = sum([&](double y) { return y - scale * integer(y); });
    const double kept = sum([&](double y) { return static_cast<double>(integer(y)); });
    const double rest8 = sum([&](double y) { return y - scale * (((integer(y) + 128) >> 8) * 256); });
    const double kept8 = sum([&](double y) { return static_cast<double>((integer(y) + 128) >> 8); });
    const double rounding = 0x1p-45 * norm;  // of y, and of the differences
    warp.lanes([&](unsigned lane) {
      if (lane != 0) return;
      form[c] = {.scale = scale,
                 .residual = float_above(rest + rounding),
                 .magnitude = float_above(kept * scale),
                 .radius = float_above(norm + rounding),
                 .residual8 = float_above(rest8 + rounding),
                 .magnitude8 = float_above(kept8 * 256 * scale)};
    });
  }
};

}  // namespace coregain::cuda
