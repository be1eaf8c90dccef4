// What one use of an edge does to the row of a layout, the same bits at every SIMD level: sums in the order of
// distances.h, powers in float64 to ten digits, nothing fused.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

struct LayoutKernel {
  static constexpr size_t kAway = 5;      // rows that one moves away from
  static constexpr size_t kTogether = 8;  // rows of few components that move at once
  static constexpr size_t kFew = 7;       // components of such a row at most
  static constexpr size_t kSums = 16;     // longer rows are padded with zeros to a multiple of it

  // Of the similarity 1 / (1 + a |y_i - y_j|^(2b)).
  struct Step {
    double a, b;
    float rate;
    size_t pulls;  // steps towards the target
  };

  const char* name;
  // `pulls` times: point += rate clip(f (point - target)), f of the attraction at the distance then; and
  // point += sum_s rate clip(f_s (point - away_s)), all five of one place. `clip` is to [-4, 4] in a component.
  void (*use)(float* point, const float* target, const float* const* away, size_t stride, const Step& step);
  // The same for kTogether rows of `dims` <= kFew components, points [dims, kTogether], target [kTogether],
  // away [kAway, kTogether].
  void (*use_few)(float* points, const float* const* target, const float* const* away, size_t dims, const Step& step);
  // out[t] = x[t]^y, t < kTogether, x > 0 and normal; relative error below 1e-10.
  void (*power)(const double* x, double y, double* out);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const LayoutKernel& layout_kernel(const std::string& level);

}  // namespace coregain
