#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#define COREGAIN_INT8 int8_neon
#define COREGAIN_NAME "neon"

namespace coregain {
namespace {

constexpr size_t kWidth = 8;
constexpr size_t kRowTile = 4, kVectorTile = 4;
typedef int32x4_t Sums;
typedef int16x8_t Row;
typedef int16x8_t Vector;

inline Row load_row(const int8_t* from) {
  return vmovl_s8(vld1_s8(from));
}

inline Vector load_vector(const int16_t* from) {
  return vld1q_s16(from);
}

inline Sums multiply_add(Sums sums, Row row, Vector v) {
  return vmlal_high_s16(vmlal_s16(sums, vget_low_s16(row), vget_low_s16(v)), row, v);
}

}  // namespace
}  // namespace coregain

#include "kernels/int8.inl"
