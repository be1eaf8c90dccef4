// Float32 inner products stay within the bound that the engine's proof uses, on every instruction set.
#include <cmath>
#include <random>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "kernels/dot.h"

namespace coregain {
namespace {

TEST("inner products are within n u / (1 - n u) of the exact sum, for all lengths and alignments") {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (const std::string& level : simd_levels()) {
    const DotKernel& kernel = dot_kernel(level);
    EXPECT(kernel.name == level);
    for (const size_t d : {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 768, 4095, 4096, 4097, 20001}) {
      // rows end where their memory ends, so that the address sanitizer sees a read beyond
      std::vector<std::vector<float>> rows(DotKernel::kRows, std::vector<float>(d + 1));
      std::vector<float> w(kernel.padded(d), 0);
      const float* pointers[DotKernel::kRows];
      for (size_t r = 0; r < DotKernel::kRows; ++r) {
        for (float& value : rows[r]) value = normal(random) + (r == 3 ? 100.0F : 0.0F);
        pointers[r] = rows[r].data() + 1;  // not aligned
      }
      for (size_t j = 0; j < d; ++j) w[j] = normal(random);
      double out[DotKernel::kRows];
      kernel.dot(pointers, w.data(), d, out);
      const double nu = kernel.roundings(d) * 0x1p-24;
      for (size_t r = 0; r < DotKernel::kRows; ++r) {
        long double exact = 0, magnitude = 0;
        for (size_t j = 0; j < d; ++j) {
          const long double term = static_cast<long double>(pointers[r][j]) * w[j];
          exact += term;
          magnitude += std::abs(term);
        }
        EXPECT(std::abs(static_cast<long double>(out[r]) - exact) <= nu / (1 - nu) * magnitude);
      }
    }
  }
}

TEST("inner products with integers are exact") {
  for (const std::string& level : simd_levels()) {
    const DotKernel& kernel = dot_kernel(level);
    for (size_t d = 1; d < 200; ++d) {
      std::vector<float> row(d), w(kernel.padded(d), 0);
      double expected = 0;
      for (size_t j = 0; j < d; ++j) {
        row[j] = static_cast<float>(j % 11) - 4;
        w[j] = static_cast<float>(j % 7) - 2;
        expected += static_cast<double>(row[j]) * w[j];
      }
      const float* pointers[DotKernel::kRows] = {row.data(), row.data(), row.data(), row.data()};
      double out[DotKernel::kRows];
      kernel.dot(pointers, w.data(), d, out);
      for (const double value : out) EXPECT(value == expected);
    }
  }
}

TEST("a level that the machine lacks is refused") {
  EXPECT_THROWS(dot_kernel("sse9"));
  EXPECT(dot_kernel("").name == simd_levels().front());
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
