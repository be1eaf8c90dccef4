// Arithmetic on float64 vectors of d elements whose results only bound errors: the order of their sums is each
// instruction set's own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace coregain {

struct VectorsKernel {
  // |a - b|^2
  double (*distance)(const double* a, const double* b, size_t d);
  // |s (a - b)|^2, s a diagonal
  double (*scaled_distance)(const double* a, const double* b, const double* s, size_t d);
  // a.b
  double (*product)(const double* a, const double* b, size_t d);
  // out = from * f - origin_f, from float32; |out|^2 is not needed.
  void (*centre)(const float* from, const double* origin_f, double f, size_t d, double* out);
  // out = v * factor in float32
  void (*narrow)(const double* v, double factor, size_t d, float* out);
  // t = v s: largest |t|, and |t|^2 into *square
  double (*largest)(const double* v, const double* s, size_t d, double* square);
  // out = the integers nearest to v s inverse, |v s inverse| < 2^15; returns |v s - out scale|^2
  double (*round16)(const double* v, const double* s, double inverse, double scale, size_t d, int16_t* out);
  // The same in 8 bits; |out|^2 into *kept.
  double (*round8)(const double* v, const double* s, double inverse, double scale, size_t d, int8_t* out, double* kept);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const VectorsKernel& vectors_kernel(const std::string& level);

}  // namespace coregain
