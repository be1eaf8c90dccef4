#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define COREGAIN_INT8 int8_avx2
#define COREGAIN_NAME "avx2"

namespace coregain {
namespace {

constexpr size_t kWidth = 16;
constexpr size_t kRowTile = 2, kVectorTile = 4;
typedef int32_t Sums __attribute__((vector_size(32)));
typedef __m256i Row;
typedef __m256i Vector;

inline Row load_row(const int8_t* from) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

inline Vector load_vector(const int16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

inline Sums multiply_add(Sums sums, Row row, Vector v) {
  return sums + reinterpret_cast<Sums>(_mm256_madd_epi16(row, v));
}

}  // namespace
}  // namespace coregain

#include "kernels/int8.inl"
