// The arithmetic on one number a row that surrounds the inner products of the lazy engine.
#pragma once

#include <cstddef>
#include <string>

namespace coregain {

// One pass over all rows, by row (double and float arrays) and for all of them (factors).
struct Estimate {
  const double *base_score, *q;
  const float *scale, *products, *base_error, *residual, *magnitude, *radius;
  double da, factor, distance, loose;            // factor: of scale * products
  double roundoff_q, roundoff_radius, roundoff;  // see Objective::Roundoff
  double *score, *high;                          // out: base_score + da q + factor scale products; plus its error
};

struct ScoresKernel {
  static constexpr size_t kBlock = 32;  // rows that share a maximum

  // scores[i] += twice_q[i] - factor * products[i], i < n, a multiple of kBlock; block_max[b] = largest of block b.
  void (*update)(double* scores, const double* twice_q, const float* products, double factor, size_t n,
                 double* block_max);

  // Returns the largest lower bound. Rows with base_score = -infinity have no score.
  double (*estimate)(const Estimate& rows, size_t n);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const ScoresKernel& scores_kernel(const std::string& level);

}  // namespace coregain
