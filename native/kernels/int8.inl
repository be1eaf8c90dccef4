// Compiled once per instruction set, with COREGAIN_INT8 (name of the kernel), COREGAIN_NAME and these primitives
// defined: Sums (int32 lanes), Row (kWidth int8 widened to int16), Vector (kWidth int16), load_row, load_vector, and
// multiply_add, which adds the products of neighbours to the lanes. No standard templates here: see dot.inl.
//
// A lane takes at most 2 * 127 * 32767 < 2^23 a step, so kChunk / kWidth <= 256 steps stay below 2^31.
#include "kernels/int8.h"

namespace coregain {
namespace {

constexpr size_t kChunk = 256 * kWidth < 4096 ? 256 * kWidth : 4096;

// Exact: lanes are below 2^31.
inline double fold(Sums sums) {
  typedef double Doubles __attribute__((vector_size(2 * sizeof(Sums))));
  constexpr size_t lanes = sizeof(Sums) / sizeof(int32_t);
  union {
    Doubles all;
    double lane[lanes];
  } value = {__builtin_convertvector(sums, Doubles)};
  for (size_t width = lanes / 2; width > 0; width /= 2)
    for (size_t t = 0; t < width; ++t) value.lane[t] += value.lane[t + width];
  return value.lane[0];
}

template <size_t kR, size_t kV>
inline void tile(const int8_t* rows, size_t stride, const int16_t* vectors, float* out, size_t out_stride) {
  double total[kR][kV] = {};
  for (size_t from = 0; from < stride; from += kChunk) {
    const size_t end = stride - from < kChunk ? stride : from + kChunk;
    Sums sums[kR][kV] = {};
    for (size_t j = from; j < end; j += kWidth) {
      Vector v[kV];
      for (size_t c = 0; c < kV; ++c) v[c] = load_vector(vectors + c * stride + j);
      for (size_t r = 0; r < kR; ++r) {
        const Row row = load_row(rows + r * stride + j);
        for (size_t c = 0; c < kV; ++c) sums[r][c] = multiply_add(sums[r][c], row, v[c]);
      }
    }
    for (size_t r = 0; r < kR; ++r)
      for (size_t c = 0; c < kV; ++c) total[r][c] += fold(sums[r][c]);
  }
  for (size_t r = 0; r < kR; ++r)
    for (size_t c = 0; c < kV; ++c) out[c * out_stride + r] = static_cast<float>(total[r][c]);
}

void pack(const int16_t* from, size_t vectors, size_t stride, int16_t* to) {
  for (size_t i = 0; i < vectors * stride; ++i) to[i] = from[i];
}

void products(const int8_t* rows, size_t count, size_t stride, const int16_t* packed, size_t wanted, float* out,
              size_t out_stride) {
  // vectors outside: four of them and the rows of this call stay in the cache
  size_t c = 0;
  for (; c + kVectorTile <= wanted; c += kVectorTile)
    for (size_t i = 0; i < count; i += kRowTile)
      tile<kRowTile, kVectorTile>(rows + i * stride, stride, packed + c * stride, out + c * out_stride + i, out_stride);
  for (; c < wanted; ++c)
    for (size_t i = 0; i < count; i += kRowTile)
      tile<kRowTile, 1>(rows + i * stride, stride, packed + c * stride, out + c * out_stride + i, out_stride);
}

void product(const int8_t* rows, size_t count, size_t stride, const int16_t* vector, float* out) {
  for (size_t i = 0; i < count; i += 4) tile<4, 1>(rows + i * stride, stride, vector, out + i, 0);
}

}  // namespace

extern const Int8Kernel COREGAIN_INT8;
const Int8Kernel COREGAIN_INT8 = {COREGAIN_NAME, pack, products, product};

}  // namespace coregain
