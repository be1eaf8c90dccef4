#include "core/big_int.h"

#include <algorithm>
#include <utility>

namespace coregain {
namespace {

using Digits = std::vector<uint32_t>;

bool less(const Digits& a, const Digits& b) {
  if (a.size() != b.size()) return a.size() < b.size();
  return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend());
}

Digits add(const Digits& a, const Digits& b) {
  Digits sum;
  uint64_t carry = 0;
  for (size_t i = 0; i < std::max(a.size(), b.size()) || carry != 0; ++i) {
    carry += i < a.size() ? a[i] : 0;
    carry += i < b.size() ? b[i] : 0;
    sum.push_back(static_cast<uint32_t>(carry));
    carry >>= 32;
  }
  return sum;
}

// a - b, where b is not larger
Digits subtract(const Digits& a, const Digits& b) {
  Digits difference;
  int64_t borrow = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    int64_t digit = static_cast<int64_t>(a[i]) - (i < b.size() ? b[i] : 0) - borrow;
    borrow = digit < 0;
    difference.push_back(static_cast<uint32_t>(digit));
  }
  return difference;
}

}  // namespace

BigInt::BigInt(int64_t value, int shift) : negative_(value < 0) {
  uint64_t magnitude = negative_ ? ~static_cast<uint64_t>(value) + 1 : static_cast<uint64_t>(value);
  if (shift < 0) magnitude = shift > -64 ? magnitude >> -shift : 0;
  if (shift > 0) digits_.assign(static_cast<size_t>(shift) / 32, 0);
  const unsigned bits = shift > 0 ? static_cast<unsigned>(shift) % 32 : 0;
  auto wide = static_cast<unsigned __int128>(magnitude) << bits;
  for (; wide != 0; wide >>= 32) digits_.push_back(static_cast<uint32_t>(wide));
  trim();
}

void BigInt::trim() {
  while (!digits_.empty() && digits_.back() == 0) digits_.pop_back();
  if (digits_.empty()) negative_ = false;
}

BigInt BigInt::operator+(const BigInt& other) const {
  BigInt sum;
  if (negative_ == other.negative_) {
    sum.digits_ = add(digits_, other.digits_);
    sum.negative_ = negative_;
  } else if (less(digits_, other.digits_)) {
    sum.digits_ = subtract(other.digits_, digits_);
    sum.negative_ = other.negative_;
  } else {
    sum.digits_ = subtract(digits_, other.digits_);
    sum.negative_ = negative_;
  }
  sum.trim();
  return sum;
}

BigInt BigInt::operator-(const BigInt& other) const {
  BigInt minus = other;
  minus.negative_ = !other.negative_ && !other.digits_.empty();
  return *this + minus;
}

BigInt BigInt::operator*(const BigInt& other) const {
  BigInt product;
  product.digits_.assign(digits_.size() + other.digits_.size(), 0);
  for (size_t i = 0; i < digits_.size(); ++i) {
    uint64_t carry = 0;
    for (size_t k = 0; k < other.digits_.size(); ++k) {
      carry += static_cast<uint64_t>(digits_[i]) * other.digits_[k] + product.digits_[i + k];
      product.digits_[i + k] = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
    product.digits_[i + other.digits_.size()] = static_cast<uint32_t>(carry);
  }
  product.negative_ = negative_ != other.negative_;
  product.trim();
  return product;
}

bool BigInt::operator<(const BigInt& other) const {
  if (negative_ != other.negative_) return negative_;
  return negative_ ? less(other.digits_, digits_) : less(digits_, other.digits_);
}

}  // namespace coregain
