// Inner products of int8 rows with int16 vectors: the cheap estimates of the lazy engine (greedy/int8_rows.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace coregain {

struct Int8Kernel {
  static constexpr size_t kRows = 16;     // rows of a call come in multiples of this
  static constexpr size_t kStride = 64;   // bytes from one row to the next are a multiple of this, zero-padded
  static constexpr size_t kVectors = 16;  // vectors too are packed in multiples of this

  const char* name;
  // int16 [vectors, stride] -> the form that `products` reads, `vectors * stride` int16 in all.
  void (*pack)(const int16_t* from, size_t vectors, size_t stride, int16_t* to);
  // out[v * out_stride + i] = sum_j rows[i * stride + j] * vectors[v][j] for i < rows, the exact integer rounded once
  // to float32. `wanted` <= vectors says how many of the packed vectors are computed. stride < 2^31.
  void (*products)(const int8_t* rows, size_t count, size_t stride, const int16_t* packed, size_t wanted, float* out,
                   size_t out_stride);
  // The same for one vector that is not packed: bound by memory, not by arithmetic.
  void (*product)(const int8_t* rows, size_t count, size_t stride, const int16_t* vector, float* out);
};

// The kernel of a SIMD level of core/cpu.h; "" = the best that this machine runs. Throws Error ERR_SIMD.
const Int8Kernel& int8_kernel(const std::string& level);

}  // namespace coregain
