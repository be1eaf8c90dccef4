#include "core/fixed_point.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace coregain {
namespace {

// limbs[0..n) += value * 2^shift, two's complement; wraps at the top.
void add_shifted(uint64_t* limbs, size_t n, __int128 value, unsigned shift) {
  const size_t first = shift / 64;
  const unsigned bits = shift % 64;
  const auto low = static_cast<unsigned __int128>(value);
  const uint64_t fill = value < 0 ? ~uint64_t{0} : 0;
  const uint64_t part[3] = {
      static_cast<uint64_t>(low << bits),
      bits == 0 ? static_cast<uint64_t>(low >> 64) : static_cast<uint64_t>(low >> (64 - bits)),
      bits == 0 ? fill : (static_cast<uint64_t>(low >> 64) >> (64 - bits)) | (fill << bits),
  };
  unsigned carry = 0;
  for (size_t i = first; i < n; ++i) {
    const uint64_t addend = i - first < 3 ? part[i - first] : fill;
    const unsigned __int128 sum = static_cast<unsigned __int128>(limbs[i]) + addend + carry;
    limbs[i] = static_cast<uint64_t>(sum);
    carry = static_cast<unsigned>(sum >> 64);
    if (i - first >= 2 && carry == (fill & 1)) return;  // nothing changes further up
  }
}

bool negative(const uint64_t* limbs, size_t n) {
  return (limbs[n - 1] >> 63) != 0;
}

// Magnitude of a two's complement number.
std::vector<uint64_t> magnitude(const uint64_t* limbs, size_t n) {
  std::vector<uint64_t> out(limbs, limbs + n);
  if (!negative(limbs, n)) return out;
  unsigned carry = 1;
  for (uint64_t& limb : out) {
    limb = ~limb + carry;
    carry = carry && limb == 0;
  }
  return out;
}

}  // namespace

Exact decompose(double value) {
  if (value == 0) return {0, 0};
  int exponent = 0;
  const auto mantissa = static_cast<int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
  return {mantissa, exponent - 53};
}

int lowest_bit(double value) {
  const Exact e = decompose(value);
  return e.exponent + std::countr_zero(static_cast<uint64_t>(e.mantissa));
}

void WideInt::add(__int128 mantissa, unsigned shift) {
  add_shifted(limbs_.data(), limbs_.size(), mantissa, shift);
}

void WideInt::add(const WideInt& other) {
  unsigned carry = 0;
  const uint64_t fill = negative(other.limbs_.data(), other.limbs_.size()) ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < limbs_.size(); ++i) {
    const uint64_t addend = i < other.limbs_.size() ? other.limbs_[i] : fill;
    const unsigned __int128 sum = static_cast<unsigned __int128>(limbs_[i]) + addend + carry;
    limbs_[i] = static_cast<uint64_t>(sum);
    carry = static_cast<unsigned>(sum >> 64);
  }
}

void WideInt::subtract(const WideInt& other) {
  WideInt negated(limbs_.size());
  negated.add(other);
  for (uint64_t& limb : negated.limbs_) limb = ~limb;
  negated.add(1, 0);
  add(negated);
}

void WideInt::add_product(const uint64_t* a, size_t a_limbs, const uint64_t* b, size_t b_limbs, bool negate) {
  const bool minus = negative(a, a_limbs) != negative(b, b_limbs);
  const std::vector<uint64_t> x = magnitude(a, a_limbs);
  const std::vector<uint64_t> y = magnitude(b, b_limbs);
  WideInt product(limbs_.size());
  for (size_t i = 0; i < a_limbs; ++i) {
    uint64_t carry = 0;
    for (size_t k = 0; k < b_limbs && i + k < limbs_.size(); ++k) {
      const unsigned __int128 t = static_cast<unsigned __int128>(x[i]) * y[k] + product.limbs_[i + k] + carry;
      product.limbs_[i + k] = static_cast<uint64_t>(t);
      carry = static_cast<uint64_t>(t >> 64);
    }
    if (i + b_limbs < limbs_.size()) product.limbs_[i + b_limbs] = carry;
  }
  if (minus != negate)
    subtract(product);
  else
    add(product);
}

int WideInt::sign() const {
  if (negative(limbs_.data(), limbs_.size())) return -1;
  return std::any_of(limbs_.begin(), limbs_.end(), [](uint64_t limb) { return limb != 0; }) ? 1 : 0;
}

FixedVector::FixedVector(size_t d, int unit, int max_exponent, int count_bits)
    // one bit for the sign, one for good measure
    : d_(d), limbs_(static_cast<size_t>(std::max(1, (max_exponent - unit + count_bits + 2 + 63) / 64))), unit_(unit) {
  data_.assign(d_ * limbs_, 0);
}

void FixedVector::clear() {
  std::fill(data_.begin(), data_.end(), 0);
}

void FixedVector::add(size_t j, double value, int64_t times) {
  if (value == 0) return;
  Exact e = decompose(value);
  const int shift = e.exponent - unit_;
  __int128 mantissa = e.mantissa;
  // value is a multiple of the unit, so the bits below it are zero
  if (shift < 0) mantissa >>= std::min(-shift, 63);
  mantissa *= times;
  uint64_t* limbs = data_.data() + j * limbs_;
  if (limbs_ == 1)
    limbs[0] += static_cast<uint64_t>(mantissa) << std::max(shift, 0);
  else
    add_shifted(limbs, limbs_, mantissa, static_cast<unsigned>(std::max(shift, 0)));
}

void FixedVector::add(const FixedVector& other) {
  for (size_t j = 0; j < d_; ++j) {
    unsigned carry = 0;
    for (size_t i = j * limbs_; i < (j + 1) * limbs_; ++i) {
      const unsigned __int128 sum = static_cast<unsigned __int128>(data_[i]) + other.data_[i] + carry;
      data_[i] = static_cast<uint64_t>(sum);
      carry = static_cast<unsigned>(sum >> 64);
    }
  }
}

void FixedVector::assign_negated(const FixedVector& other) {
  for (size_t j = 0; j < d_; ++j) {
    unsigned carry = 1;
    for (size_t i = j * limbs_; i < (j + 1) * limbs_; ++i) {
      data_[i] = ~other.data_[i] + carry;
      carry = carry && data_[i] == 0;
    }
  }
}

double FixedVector::value(size_t j, int scale) const {
  const uint64_t* limbs = element(j);
  const bool minus = negative(limbs, limbs_);
  size_t top = limbs_;
  double result = 0;
  if (limbs_ <= 2) {  // the usual width, without allocation
    const __int128 number = limbs_ == 1
                                ? static_cast<__int128>(static_cast<int64_t>(limbs[0]))
                                : static_cast<__int128>((static_cast<unsigned __int128>(limbs[1]) << 64) | limbs[0]);
    return std::ldexp(static_cast<double>(number), unit_ - scale);
  }
  const std::vector<uint64_t> m = magnitude(limbs, limbs_);
  while (top > 0 && m[top - 1] == 0) --top;
  if (top == 0) return 0;
  // the two top limbs hold at least 65 significant bits
  unsigned __int128 head = m[top - 1];
  int exponent = static_cast<int>(64 * (top - 1));
  if (top > 1) {
    head = (head << 64) | m[top - 2];
    exponent -= 64;
  }
  result = std::ldexp(static_cast<double>(head), exponent + unit_ - scale);
  return minus ? -result : result;
}

}  // namespace coregain
