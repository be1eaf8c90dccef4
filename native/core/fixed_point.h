// Vectors of exact numbers: integers of any width times one power of two. Sums of float32 or float64 values are exact
// here, hence the same whatever the order of summation, the number of threads or the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace coregain {

// A double as mantissa * 2^exponent, exactly; mantissa 0 for 0.
struct Exact {
  int64_t mantissa;
  int exponent;
};
Exact decompose(double value);

// Exponent of the lowest bit set in `value` (not 0): value is a multiple of 2^lowest_bit(value).
int lowest_bit(double value);

// A signed integer of fixed width, two's complement, least significant limb first.
class WideInt {
 public:
  explicit WideInt(size_t limbs) : limbs_(limbs, 0) {}
  // this += mantissa * 2^shift. Bits beyond the width are lost: the owner chooses a width that holds every sum.
  void add(__int128 mantissa, unsigned shift);
  void add(const WideInt& other);
  void subtract(const WideInt& other);
  // this += a * b * sign, where a and b are two's complement.
  void add_product(const uint64_t* a, size_t a_limbs, const uint64_t* b, size_t b_limbs, bool negate);
  // -1, 0, 1
  int sign() const;
  size_t limbs() const { return limbs_.size(); }
  const uint64_t* data() const { return limbs_.data(); }

 private:
  std::vector<uint64_t> limbs_;
};

// d exact numbers, each an integer of `limbs` limbs times 2^unit.
class FixedVector {
 public:
  // Holds sums of up to 2^count_bits values that are multiples of 2^unit and below 2^max_exponent in magnitude.
  FixedVector(size_t d, int unit, int max_exponent, int count_bits);

  size_t size() const { return d_; }
  size_t limbs() const { return limbs_; }
  int unit() const { return unit_; }

  void clear();
  // element j += times * value, |times| < 2^32; value must be a multiple of 2^unit.
  void add(size_t j, double value, int64_t times);
  // this = -other, for vectors of the same shape.
  void assign_negated(const FixedVector& other);
  // element-wise this += other, for vectors of the same shape.
  void add(const FixedVector& other);
  const uint64_t* element(size_t j) const { return data_.data() + j * limbs_; }
  // element j * 2^-scale, rounded: relative error below 2^-52.
  double value(size_t j, int scale) const;

 private:
  size_t d_;
  size_t limbs_;
  int unit_;
  std::vector<uint64_t> data_;
};

}  // namespace coregain
