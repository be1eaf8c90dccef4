#include <cstddef>
#include <cstdint>
#include <cstring>

#define COREGAIN_INT8 int8_scalar
#define COREGAIN_NAME "scalar"

namespace coregain {
namespace {

// Vectors of the compiler's own, in whatever registers the machine has.
constexpr size_t kWidth = 16;
constexpr size_t kRowTile = 2, kVectorTile = 2;
typedef int32_t Sums __attribute__((vector_size(32)));
typedef int16_t Row __attribute__((vector_size(32)));
typedef int16_t Vector __attribute__((vector_size(32)));

inline Row load_row(const int8_t* from) {
  Row row;
  for (size_t t = 0; t < kWidth; ++t) row[t] = from[t];
  return row;
}

inline Vector load_vector(const int16_t* from) {
  Vector v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline Sums multiply_add(Sums sums, Row row, Vector v) {
  for (size_t t = 0; t < kWidth; ++t) sums[t / 2] += static_cast<int32_t>(row[t]) * v[t];
  return sums;
}

}  // namespace
}  // namespace coregain

#include "kernels/int8.inl"
