// Exact numbers: integers of any width times one power of two. Sums of float32 or float64 values are exact here, hence
// the same whatever the order of summation, the number of threads or the device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace coregain {

// A finite double as mantissa * 2^exponent, exactly; mantissa 0 for 0.
struct Parts {
  int64_t mantissa;
  int exponent;
};
Parts split(double value);

// A signed integer of fixed width, two's complement, least significant limb first. The owner chooses a width that holds
// every sum: what overflows is lost.
class WideInt {
 public:
  explicit WideInt(int bits) : limbs_(static_cast<size_t>(bits) / 64 + 1, 0) {}
  void clear();
  // this += mantissa * 2^shift
  void add(__int128 mantissa, unsigned shift);
  // this -= other, of the same width
  void subtract(const WideInt& other);
  // this += factor * other * 2^shift, |factor| < 2^62
  void add_product(int64_t factor, unsigned shift, const WideInt& other);
  // this = times * the integer at `limbs`
  void assign(const uint64_t* limbs, size_t count, int64_t times);
  // -1, 0, 1
  int sign() const;

 private:
  std::vector<uint64_t> limbs_;
};

// d exact numbers, each an integer of `limbs` limbs times 2^unit.
class FixedVector {
 public:
  FixedVector() = default;
  // Integers of `bits` bits and a sign.
  FixedVector(size_t d, int unit, int bits);

  size_t limbs() const { return limbs_; }
  const uint64_t* element(size_t j) const { return data_.data() + j * limbs_; }

  // this += times * row; every row[j] must be a multiple of 2^unit, |times| < 2^32.
  void add(const double* row, int64_t times) { add(row, times, 0, d_); }
  // The same for elements begin .. end - 1 only: threads may share a vector out.
  void add(const double* row, int64_t times, size_t begin, size_t end);
  // this += other, of the same shape.
  void add(const FixedVector& other);
  // this = (this - other) / 2, of the same shape; the difference must be even.
  void subtract_half(const FixedVector& other);
  // this = -other, of the same shape.
  void assign_negated(const FixedVector& other);

  // out[j] = element j * 2^-scale; relative error at most 2^-51, underflow apart.
  void round(double* out, int scale) const { round(out, scale, 0, d_); }
  void round(double* out, int scale, size_t begin, size_t end) const;

 private:
  size_t d_ = 0;
  size_t limbs_ = 1;
  int unit_ = 0;
  // Values of at most 126 bits at ordinary exponents, which all real data are, need no loops over limbs.
  bool narrow_ = true;
  std::vector<uint64_t> data_;
};

}  // namespace coregain
