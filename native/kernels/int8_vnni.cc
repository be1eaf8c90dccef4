#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#define COREGAIN_INT8 int8_vnni
#define COREGAIN_NAME "avx512vnni"

namespace coregain {
namespace {

constexpr size_t kWidth = 32;
constexpr size_t kRowTile = 4, kVectorTile = 4;
typedef int32_t Sums __attribute__((vector_size(64)));
typedef __m512i Row;
typedef __m512i Vector;

inline Row load_row(const int8_t* from) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

inline Vector load_vector(const int16_t* from) {
  return _mm512_loadu_si512(from);
}

inline Sums multiply_add(Sums sums, Row row, Vector v) {
  return reinterpret_cast<Sums>(_mm512_dpwssd_epi32(reinterpret_cast<__m512i>(sums), row, v));
}

}  // namespace
}  // namespace coregain

#include "kernels/int8.inl"
