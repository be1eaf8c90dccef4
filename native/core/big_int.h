// Integers of any size, plainly: the arithmetic of the oracle, which must share nothing with what it checks.
#pragma once

#include <cstdint>
#include <vector>

namespace coregain {

class BigInt {
 public:
  BigInt() = default;
  // value * 2^shift. The bits that a negative shift drops must be zero.
  BigInt(int64_t value, int shift);

  BigInt operator+(const BigInt& other) const;
  BigInt operator-(const BigInt& other) const;
  BigInt operator*(const BigInt& other) const;
  bool operator<(const BigInt& other) const;
  bool operator==(const BigInt& other) const = default;

 private:
  void trim();
  bool negative_ = false;
  std::vector<uint32_t> digits_;  // magnitude, least significant first, no leading zeros; 0 has none
};

}  // namespace coregain
