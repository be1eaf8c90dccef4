// Inner products of 16 points at a time with a few rows, and what coverage objectives sum over them.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct PanelKernel {
  static constexpr size_t kPoints = 16;  // points of a panel: panel[j * kPoints + t] is column j of point t
  static constexpr size_t kRows = 16;    // most rows at a time
  static constexpr size_t kChunk = 128;  // columns summed one after the other; then the sums of the chunks

  const char* name;
  // out[r * stride + t] = sum_j panel[j * kPoints + t] * rows[r * d + j], r < count <= kRows; at most min(d, kChunk) +
  // d / kChunk + 1 roundings. A product does not depend on its place in the panel, nor on `count`.
  void (*products)(const float* panel, const float* rows, size_t count, size_t d, float* out, size_t stride);
  // s[i] = 1/2 + s[i] / 2, into [0, 1]; n a multiple of kPoints, as below.
  void (*similarity)(float* s, size_t n);
  // sum_i max(0, min(s[i], cap[i]) - reached[i]); `cap` null = no cap. The terms are float32,
  // their sum float64 in a fixed order: it never grows when `reached` does.
  double (*above)(const float* s, const float* reached, const float* cap, size_t n);
  // sum_i min(s[i], room[i])
  double (*within)(const float* s, const float* room, size_t n);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const PanelKernel& panel_kernel(const std::string& level);

}  // namespace coregain
