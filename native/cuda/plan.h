// Which mode fits a device, and what it takes: plain arithmetic, tested on the processor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "cuda/api.h"
#include "cuda/text.h"

namespace coregain::cuda {

struct PlanRequest {
  CudaMode mode = CudaMode::kAuto;
  uint64_t rows = 0, cols = 0, chains = 0;
  uint64_t value_bytes = 4;  // 8 for float64
  bool cosine = false;
  uint64_t free_bytes = 0;  // of the device
  uint64_t l2_bytes = 0;
  uint64_t most_window = ~uint64_t{0};  // rows that the multiprocessors' shared memory holds: GridSteps::most_rows
};

struct Plan {
  CudaMode mode = CudaMode::kAuto;  // kAuto: nothing fits, `needed` says what would
  bool x_on_device = true;          // else read from pinned host memory
  bool plane_on_device = true;
  uint64_t window = 0;  // rows of the inner products
  uint64_t device_bytes = 0, pinned_bytes = 0;
  uint64_t needed = 0;
};

constexpr uint64_t kPlanesRow = 128;  // planes have room for whole tiles: Gram::kRows
constexpr uint64_t kPlaneAlign = 64;
constexpr uint64_t kSmallestWindow = 1024;
constexpr uint64_t kLargestWindow = 32768;

inline uint64_t round_up(uint64_t value, uint64_t to) {
  return (value + to - 1) / to * to;
}
inline uint64_t plane_stride(uint64_t cols) {
  return round_up(cols, kPlaneAlign);
}
inline uint64_t gram_pitch(uint64_t window) {
  return round_up(window, 32);
}
// Of a window of that many rows: two planes, their forms, lists, and the inner products of all pairs.
inline uint64_t window_bytes(uint64_t window, uint64_t cols) {
  return 2 * round_up(window, kPlanesRow) * plane_stride(cols) + window * (32 + 4 + 8) +
         window * gram_pitch(window) * 4;
}
// Beside x and the windows: by row q, lengths and chains, by chain its row, by column w and the origin.
inline uint64_t common_bytes(const PlanRequest& r) {
  return r.rows * (8 + 4 + (r.cosine ? 8 : 0)) + r.chains * 4 + r.cols * 96 + (uint64_t{8} << 20);
}
// By chain, for the look-ahead: form, scores and bounds.
inline uint64_t level_bytes(const PlanRequest& r) {
  return r.chains * (32 + 24);
}
// What the driver may need for itself.
inline uint64_t usable_bytes(uint64_t free_bytes) {
  return free_bytes - std::min(free_bytes, free_bytes / 50 + (uint64_t{64} << 20));
}

// Rows of a look-ahead window whose inner products fill half of L2, as far as `bytes` reach; at least kSmallestWindow
// where that fits, up to kLargestWindow where memory is plenty: the engine fills it only where it has to.
inline uint64_t largest_window(const PlanRequest& r, uint64_t bytes) {
  uint64_t window = 0;
  for (uint64_t tried = kSmallestWindow; tried <= std::min(kLargestWindow, r.most_window); tried *= 2)
    if (window_bytes(std::min(tried, r.chains), r.cols) <= bytes) window = std::min(tried, r.chains);
  return window;
}

// Rows that a window should have: the inner products fill half of L2, so that the rows that a step reads stay there.
inline uint64_t usual_window(uint64_t l2_bytes) {
  uint64_t window = kSmallestWindow;
  while (window < 8192 && 4 * (window + 512) * (window + 512) <= l2_bytes / 2) window += 512;
  return window;
}

// Gram mode where it fits; else the look-ahead with everything on the device; then x in pinned memory; then the 8-bit
// plane too.
inline Plan plan(const PlanRequest& r) {
  Plan out;
  const uint64_t usable = usable_bytes(r.free_bytes);
  const uint64_t x = r.rows * r.cols * r.value_bytes;
  const uint64_t gram = common_bytes(r) + x + window_bytes(r.chains, r.cols);
  if (r.mode != CudaMode::kLookAhead && gram <= usable && r.chains <= r.most_window) {
    out.mode = CudaMode::kGram;
    out.window = r.chains;
    out.device_bytes = gram;
    return out;
  }
  out.needed = gram;
  if (r.mode == CudaMode::kGram) return out;
  const uint64_t plane = r.chains * plane_stride(r.cols);
  const uint64_t fixed = common_bytes(r) + level_bytes(r);
  const uint64_t smallest = window_bytes(std::min(kSmallestWindow, r.chains), r.cols);
  for (const bool x_on_device : {true, false}) {
    for (const bool plane_on_device : {true, false}) {
      if (x_on_device && !plane_on_device) continue;  // the plane is read more often than x
      const uint64_t resident = fixed + (x_on_device ? x : 0) + (plane_on_device ? plane : 0);
      out.needed = resident + smallest;
      if (out.needed > usable) continue;
      out.mode = CudaMode::kLookAhead;
      out.x_on_device = x_on_device;
      out.plane_on_device = plane_on_device;
      // not all of what is left: the larger the window, the rarer the need for it
      out.window = std::max(largest_window(r, (usable - resident) / 2), std::min(kSmallestWindow, r.chains));
      out.device_bytes = resident + window_bytes(out.window, r.cols);
      out.pinned_bytes = (x_on_device ? 0 : x) + (plane_on_device ? 0 : plane);
      return out;
    }
  }
  return out;
}

// What a caller is told where nothing fits.
inline std::string memory_sentence(const PlanRequest& r, const Plan& p) {
  const bool gram = r.mode == CudaMode::kGram;
  if (gram && r.chains > r.most_window)
    return "The scores of " + std::to_string(r.rows) +
           " rows do not fit in the multiprocessors of this device, which hold " + std::to_string(r.most_window) +
           ". Use the engine \"lazy\", or the device \"cpu\".";
  return "The " + std::string(gram ? "inner products of all pairs" : "smallest look-ahead") + " of " +
         std::to_string(r.rows) + " x " + std::to_string(r.cols) + " values need " + gigabytes(p.needed) +
         " of device memory, and " + gigabytes(usable_bytes(r.free_bytes)) + " can be had. Use " +
         (gram ? "the engine \"lazy\", which needs less, or " : "") + "the device \"cpu\".";
}

}  // namespace coregain::cuda
