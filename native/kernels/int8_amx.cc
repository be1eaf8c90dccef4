// Advanced Matrix Extensions: 16 rows x 16 vectors at a time. An int16 vector is two int8 ones, 256 high + low.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/int8.h"

namespace coregain {

extern const Int8Kernel int8_vnni;

namespace {

constexpr size_t kTile = 16;
constexpr size_t kBytes = 64;              // columns of one step
constexpr size_t kPlane = kTile * kBytes;  // bytes of one tile
// A lane takes at most 64 * 127 * 255 < 2^21 a step; longer rows go the way without tiles.
constexpr size_t kMostStride = 1000 * kBytes;

struct Configuration {
  uint8_t palette = 1;
  uint8_t start = 0;
  uint8_t reserved[14] = {};
  uint16_t columns[16] = {};
  uint8_t rows[16] = {};
};

// 16 x 16 floats, rows to columns.
inline void transpose(__m512 (&m)[16]) {
  __m512 t[16];
  for (size_t i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(m[i], m[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(m[i], m[i + 1]);
  }
  for (size_t i = 0; i < 16; i += 4) {
    for (size_t h = 0; h < 2; ++h) {
      const __m512d low = _mm512_castps_pd(t[i + h]), high = _mm512_castps_pd(t[i + 2 + h]);
      m[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      m[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  for (size_t i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_f32x4(m[i], m[4 + i], 0x88);
    t[4 + i] = _mm512_shuffle_f32x4(m[i], m[4 + i], 0xdd);
    t[8 + i] = _mm512_shuffle_f32x4(m[8 + i], m[12 + i], 0x88);
    t[12 + i] = _mm512_shuffle_f32x4(m[8 + i], m[12 + i], 0xdd);
  }
  for (size_t i = 0; i < 4; ++i) {
    m[i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0x88);
    m[8 + i] = _mm512_shuffle_f32x4(t[i], t[8 + i], 0xdd);
    m[4 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0x88);
    m[12 + i] = _mm512_shuffle_f32x4(t[4 + i], t[12 + i], 0xdd);
  }
}

// For each 16 vectors and 64 columns: the high bytes as a tile (4 columns of each vector side by side), then the low.
void pack(const int16_t* from, size_t vectors, size_t stride, int16_t* to) {
  if (stride > kMostStride) return int8_vnni.pack(from, vectors, stride, to);
  auto* bytes = reinterpret_cast<uint8_t*>(to);
  for (size_t v = 0; v < vectors; v += kTile) {
    for (size_t j = 0; j < stride; j += kBytes, bytes += 2 * kPlane) {
      __m512 planes[2][kTile];
      for (size_t c = 0; c < kTile; ++c) {
        const int16_t* at = from + (v + c) * stride + j;
        const __m512i first = _mm512_loadu_si512(at), second = _mm512_loadu_si512(at + kBytes / 2);
        const __m512i low =
            _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(first)), _mm512_cvtepi16_epi8(second), 1);
        const __m512i high =
            _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srai_epi16(first, 8))),
                               _mm512_cvtepi16_epi8(_mm512_srai_epi16(second, 8)), 1);
        planes[0][c] = _mm512_castsi512_ps(high);
        planes[1][c] = _mm512_castsi512_ps(low);
      }
      for (size_t p = 0; p < 2; ++p) {
        transpose(planes[p]);
        for (size_t k = 0; k < kTile; ++k) _mm512_storeu_ps(bytes + p * kPlane + k * kBytes, planes[p][k]);
      }
    }
  }
}

// float32(256 high + low), exact up to that rounding
inline __m256 together(const int32_t* high, const int32_t* low) {
  const __m512d h = _mm512_cvtepi32_pd(_mm256_load_si256(reinterpret_cast<const __m256i*>(high)));
  const __m512d l = _mm512_cvtepi32_pd(_mm256_load_si256(reinterpret_cast<const __m256i*>(low)));
  return _mm512_cvtpd_ps(_mm512_fmadd_pd(h, _mm512_set1_pd(256), l));
}

inline void write(const int32_t* high, const int32_t* low, size_t wanted, float* out, size_t out_stride) {
  __m512 m[16];
  for (size_t r = 0; r < kTile; ++r) {
    const int32_t *h = high + r * kTile, *l = low + r * kTile;
    m[r] = _mm512_insertf32x8(_mm512_castps256_ps512(together(h, l)), together(h + kTile / 2, l + kTile / 2), 1);
  }
  transpose(m);
  for (size_t c = 0; c < wanted; ++c) _mm512_storeu_ps(out + c * out_stride, m[c]);
}

void products(const int8_t* rows, size_t count, size_t stride, const int16_t* packed, size_t wanted, float* out,
              size_t out_stride) {
  if (stride > kMostStride) return int8_vnni.products(rows, count, stride, packed, wanted, out, out_stride);
  Configuration configuration;
  for (size_t t = 0; t < 8; ++t) {
    configuration.columns[t] = kBytes;
    configuration.rows[t] = kTile;
  }
  _tile_loadconfig(&configuration);
  alignas(64) int32_t sums[4][kTile * kTile];
  const size_t bytes = kBytes;
  for (size_t i = 0; i < count; i += 2 * kTile) {
    const bool two = i + kTile < count;
    const int8_t* first = rows + i * stride;
    const int8_t* second = two ? first + kTile * stride : first;
    for (size_t v = 0; v < wanted; v += kTile) {
      const size_t columns = wanted - v < kTile ? wanted - v : kTile;
      const auto* plane = reinterpret_cast<const uint8_t*>(packed + v * stride);
      _tile_zero(4);
      _tile_zero(5);
      _tile_zero(6);
      _tile_zero(7);
      for (size_t j = 0; j < stride; j += kBytes, plane += 2 * kPlane) {
        _tile_loadd(0, first + j, stride);
        _tile_loadd(1, second + j, stride);
        _tile_loadd(2, plane, bytes);
        _tile_loadd(3, plane + kPlane, bytes);
        _tile_dpbssd(4, 0, 2);
        _tile_dpbsud(5, 0, 3);
        _tile_dpbssd(6, 1, 2);
        _tile_dpbsud(7, 1, 3);
      }
      _tile_stored(4, sums[0], bytes);
      _tile_stored(5, sums[1], bytes);
      _tile_stored(6, sums[2], bytes);
      _tile_stored(7, sums[3], bytes);
      float* to = out + v * out_stride + i;
      write(sums[0], sums[1], columns, to, out_stride);
      if (two) write(sums[2], sums[3], columns, to + kTile, out_stride);
    }
  }
  _tile_release();
}

void product(const int8_t* rows, size_t count, size_t stride, const int16_t* vector, float* out) {
  int8_vnni.product(rows, count, stride, vector, out);
}

}  // namespace

extern const Int8Kernel int8_amx;
const Int8Kernel int8_amx = {"amx", pack, products, product};

}  // namespace coregain
