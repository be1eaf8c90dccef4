// The exact numbers under the engine, and the big integers under its oracle.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "core/big_int.h"
#include "core/fixed_point.h"

namespace coregain {
namespace {

TEST("a double splits into a mantissa and an exponent, exactly") {
  for (const double value : {1.0, -0.1, 0.0, 5e-324, -2.2e-308, std::numeric_limits<double>::max(), 3e-310}) {
    const Parts parts = split(value);
    EXPECT(std::ldexp(static_cast<double>(parts.mantissa), parts.exponent) == value);
  }
}

TEST("big integers obey the laws of arithmetic, far beyond 64 bits") {
  std::mt19937_64 random(1);
  const auto draw = [&] {
    return BigInt(static_cast<int64_t>(random()), static_cast<int>(random() % 300)) +
           BigInt(static_cast<int64_t>(random()), static_cast<int>(random() % 100));
  };
  for (int trial = 0; trial < 2000; ++trial) {
    const BigInt a = draw(), b = draw(), c = draw();
    EXPECT(a + b == b + a);
    EXPECT((a + b) - b == a);
    EXPECT(a - a == BigInt());
    EXPECT(a * (b + c) == a * b + a * c);
    EXPECT((a - b) * (a + b) == a * a - b * b);
    EXPECT((a < b) == (b - a == BigInt() ? false : BigInt() < b - a));
    EXPECT(!(a < b && b < a));
  }
  EXPECT(BigInt(6, 0) * BigInt(-7, 0) == BigInt(-42, 0));
  EXPECT(BigInt(-3, 70) < BigInt(2, 0));
  EXPECT(BigInt(12, -2) == BigInt(3, 0));
  EXPECT(BigInt(std::numeric_limits<int64_t>::min(), 1) == BigInt(-1, 64));
}

TEST("wide integers agree with 128-bit arithmetic") {
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 5000; ++trial) {
    const auto a = static_cast<int64_t>(random()) >> (random() % 60);
    const auto b = static_cast<int64_t>(random()) >> (11 + random() % 50);
    const auto c = static_cast<int64_t>(random()) >> (random() % 60);
    const auto shift = static_cast<unsigned>(random() % 200);
    // (a + c) * b * 2^shift, then minus the same, built another way
    WideInt sum(400), left(400), right(400);
    sum.add(a, 0);
    sum.add(c, 0);
    left.add_product(b, shift, sum);
    const __int128 direct = (static_cast<__int128>(a) + c) * b;
    right.add(direct, shift);
    EXPECT(left.sign() == (direct > 0) - (direct < 0));
    left.subtract(right);
    EXPECT(left.sign() == 0);
    left.add(-1, 0);
    EXPECT(left.sign() == -1);
    left.add(2, 0);
    EXPECT(left.sign() == 1);
  }
}

TEST("wide integers multiply across limbs") {
  // (2^150 - 3) * -5 = 15 - 5 * 2^150
  WideInt x(200), product(300), expected(300);
  x.add(1, 150);
  x.add(-3, 0);
  product.add_product(-5, 0, x);
  expected.add(-5, 150);
  expected.add(15, 0);
  product.subtract(expected);
  EXPECT(product.sign() == 0);
}

// Sums values in a FixedVector and in BigInt, and compares.
void check_sums(const std::vector<double>& values, int unit, int highest) {
  const int bits = highest - unit + 10;
  FixedVector vector(1, unit, bits);
  BigInt sum;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t times = i % 3 == 0 ? -2 : 1;
    vector.add(&values[i], times);
    const Parts parts = split(values[i]);
    sum = sum + BigInt(parts.mantissa, parts.exponent - unit) * BigInt(times, 0);
  }
  // read the limbs back
  BigInt limbs;
  for (size_t i = 0; i < vector.limbs(); ++i) {
    const uint64_t limb = vector.element(0)[i];
    if (i + 1 == vector.limbs()) {
      limbs = limbs + BigInt(static_cast<int64_t>(limb), static_cast<int>(64 * i));
    } else {
      limbs = limbs + BigInt(static_cast<int64_t>(limb >> 32), static_cast<int>(64 * i + 32));
      limbs = limbs + BigInt(static_cast<int64_t>(limb & 0xffffffff), static_cast<int>(64 * i));
    }
  }
  EXPECT(limbs == sum);

  // the rounded value is within 2^-51 of the exact one
  double rounded = 0;
  const int scale = std::min(highest, unit + 800);  // nothing underflows
  vector.round(&rounded, scale);
  const Parts parts = split(rounded);
  const int exponent = parts.exponent + scale - unit;
  const int up = exponent < 0 ? -exponent : 0;  // compare as multiples of 2^-up units
  const BigInt error = BigInt(parts.mantissa, exponent + up) - sum * BigInt(1, up);
  const BigInt zero;
  const BigInt magnitude = error < zero ? zero - error : error;
  const BigInt bound = (sum < zero ? zero - sum : sum) * BigInt(1, up);
  EXPECT(!(bound < magnitude * BigInt(1, 51)));

  FixedVector negated(1, unit, bits);
  negated.assign_negated(vector);
  negated.add(vector);
  for (size_t i = 0; i < negated.limbs(); ++i) EXPECT(negated.element(0)[i] == 0);
}

TEST("fixed-point sums are exact for one limb, two and many; rounding keeps its bound") {
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 400; ++trial) {
    for (const int span : {20, 60, 100, 300, 1200}) {  // between the highest and the lowest bit of the data
      const int unit = static_cast<int>(random() % 600) - 700;
      std::vector<double> values;
      const size_t count = 1 + random() % 20;
      for (size_t i = 0; i < count; ++i) {
        const int bits = static_cast<int>(random() % static_cast<uint64_t>(std::min(span, 53))) + 1;
        const auto mantissa = static_cast<int64_t>(random() >> (64 - bits));
        const int room = span - bits;
        const int exponent = unit + (room > 0 ? static_cast<int>(random() % static_cast<uint64_t>(room)) : 0);
        values.push_back(std::ldexp(static_cast<double>(random() % 2 ? mantissa : -mantissa), exponent));
      }
      if (trial % 2 == 0) values.push_back(-values[0]);  // cancellation
      check_sums(values, unit, unit + span);
    }
  }
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
