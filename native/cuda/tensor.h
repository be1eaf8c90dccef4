// Tensor-core products of rows in any precision. One layout serves all: a step takes 32 bytes of 16 rows of A and of 8
// rows of B, which is 8 numbers of tf32, 16 of bfloat16 or 32 of int8, and lane g * 4 + t holds
//
//   a[0..3]: rows g, g + 8, g, g + 8, bytes 4 t .. 4 t + 3, the last two 16 further right
//   b[0..1]: row g, bytes 4 t .. 4 t + 3 and 16 further right
//   c[0..3]: rows g, g, g + 8, g + 8 of A, rows 2 t, 2 t + 1 of B        (PTX ISA 9.7.14: m16n8k8, k16, k32)
#pragma once

#include "cuda/api.h"
#include "cuda/block.h"

namespace coregain::cuda {

struct FloatOperands {
  float* c;
  const uint32_t *a, *b;
};

COREGAIN_DEVICE float float_of(uint32_t bits) {
#if defined(__CUDACC__)
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
#endif
}

#if !defined(__CUDACC__)
// C += A B^T; `kPerWord` numbers in 4 bytes, read by number(word, i).
template <unsigned kPerWord, typename F, typename Number>
void multiply_floats(const Warp& warp, const F& operands, const Number& number) {
  float a[16][8 * kPerWord], b[8][8 * kPerWord];
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const FloatOperands o = operands(warp.index * kWarp + lane);
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < kPerWord; ++i) {
      for (unsigned r = 0; r < 4; ++r) a[g + r % 2 * 8][(t + r / 2 * 4) * kPerWord + i] = number(o.a[r], i);
      for (unsigned r = 0; r < 2; ++r) b[g][(t + r * 4) * kPerWord + i] = number(o.b[r], i);
    }
  }
  for (unsigned lane = 0; lane < kWarp; ++lane) {
    const FloatOperands o = operands(warp.index * kWarp + lane);
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; ++r)
      o.c[r] = multiply_add(emulated().tensor, o.c[r], a[g + r / 2 * 8], b[2 * t + r % 2], 8 * kPerWord);
  }
}
#endif

template <typename F>
COREGAIN_DEVICE void multiply_tf32(const Warp& warp, const F& operands) {
#if defined(__CUDACC__)
  static_cast<void>(warp);
  const FloatOperands o = operands(threadIdx.x);
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(o.c[0]), "+f"(o.c[1]), "+f"(o.c[2]), "+f"(o.c[3])
      : "r"(o.a[0]), "r"(o.a[1]), "r"(o.a[2]), "r"(o.a[3]), "r"(o.b[0]), "r"(o.b[1]));
#else
  // the unit reads 19 bits; rows come rounded to them
  multiply_floats<1>(warp, operands, [](uint32_t word, unsigned) { return float_of(word & 0xffffe000U); });
#endif
}

template <typename F>
COREGAIN_DEVICE void multiply_bf16(const Warp& warp, const F& operands) {
#if defined(__CUDACC__)
  static_cast<void>(warp);
  const FloatOperands o = operands(threadIdx.x);
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(o.c[0]), "+f"(o.c[1]), "+f"(o.c[2]), "+f"(o.c[3])
      : "r"(o.a[0]), "r"(o.a[1]), "r"(o.a[2]), "r"(o.a[3]), "r"(o.b[0]), "r"(o.b[1]));
#else
  multiply_floats<2>(warp, operands, [](uint32_t word, unsigned i) { return float_of(word >> (16 * i) << 16); });
#endif
}

}  // namespace coregain::cuda
