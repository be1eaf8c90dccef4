#include "core/fixed_point.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace coregain {
namespace {

using Unsigned = unsigned __int128;

// limbs[0..n) += value * 2^shift, wrapping at the top.
void add_shifted(uint64_t* limbs, size_t n, __int128 value, unsigned shift) {
  const size_t first = shift / 64;
  const unsigned bits = shift % 64;
  const auto low = static_cast<uint64_t>(value);
  const auto high = static_cast<uint64_t>(static_cast<Unsigned>(value) >> 64);
  const uint64_t fill = value < 0 ? ~uint64_t{0} : 0;
  const uint64_t part[3] = {
      low << bits,
      bits == 0 ? high : (high << bits) | (low >> (64 - bits)),
      bits == 0 ? fill : (fill << bits) | (high >> (64 - bits)),
  };
  uint64_t carry = 0;
  for (size_t i = first; i < n; ++i) {
    const Unsigned sum = static_cast<Unsigned>(limbs[i]) + (i - first < 3 ? part[i - first] : fill) + carry;
    limbs[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
    if (i - first >= 2 && carry == (fill & 1)) return;  // nothing changes further up
  }
}

bool negative(const uint64_t* limbs, size_t n) {
  return (limbs[n - 1] >> 63) != 0;
}

void negate(uint64_t* limbs, size_t n) {
  uint64_t carry = 1;
  for (size_t i = 0; i < n; ++i) {
    limbs[i] = ~limbs[i] + carry;
    carry &= static_cast<uint64_t>(limbs[i] == 0);
  }
}

__int128 two_limbs(const uint64_t* limbs) {
  return static_cast<__int128>((static_cast<Unsigned>(limbs[1]) << 64) | limbs[0]);
}

// The mantissa of `value` as a number of 2^unit: the bits below the unit are zero.
__int128 in_units(const Parts& parts, int unit, unsigned* shift) {
  const int up = parts.exponent - unit;
  *shift = static_cast<unsigned>(std::max(up, 0));
  return up >= 0 ? parts.mantissa : parts.mantissa >> std::min(-up, 63);
}

// Rounds any number of limbs by its two highest ones that are in use, which hold at least 65 bits.
double round_wide(const uint64_t* limbs, size_t n, int exponent, std::vector<uint64_t>& scratch) {
  scratch.assign(limbs, limbs + n);
  const bool minus = negative(limbs, n);
  if (minus) negate(scratch.data(), n);
  size_t top = n - 1;
  while (top > 1 && scratch[top] == 0) --top;
  const Unsigned head = top == 0 ? scratch[0] : (static_cast<Unsigned>(scratch[top]) << 64) | scratch[top - 1];
  const double magnitude =
      std::ldexp(static_cast<double>(head), exponent + (top > 1 ? 64 * static_cast<int>(top - 1) : 0));
  return minus ? -magnitude : magnitude;
}

}  // namespace

Parts split(double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const int field = static_cast<int>(bits >> 52) & 0x7ff;
  const auto fraction = static_cast<int64_t>(bits & ((uint64_t{1} << 52) - 1));
  const int64_t magnitude = field == 0 ? fraction : fraction | (int64_t{1} << 52);
  return {value < 0 ? -magnitude : magnitude, std::max(field, 1) - 1075};
}

void WideInt::clear() {
  std::fill(limbs_.begin(), limbs_.end(), 0);
}

void WideInt::add(__int128 mantissa, unsigned shift) {
  add_shifted(limbs_.data(), limbs_.size(), mantissa, shift);
}

void WideInt::subtract(const WideInt& other) {
  uint64_t carry = 1;
  for (size_t i = 0; i < limbs_.size(); ++i) {
    const Unsigned sum = static_cast<Unsigned>(limbs_[i]) + ~other.limbs_[i] + carry;
    limbs_[i] = static_cast<uint64_t>(sum);
    carry = static_cast<uint64_t>(sum >> 64);
  }
}

void WideInt::add_product(int64_t factor, unsigned shift, const WideInt& other) {
  // Limb by limb; the limbs below the top are unsigned, the top one carries the sign.
  const size_t n = other.limbs_.size();
  for (size_t i = 0; i < n; ++i) {
    const uint64_t limb = other.limbs_[i];
    const auto at = static_cast<unsigned>(shift + 64 * i);
    if (i + 1 == n)
      add(static_cast<__int128>(factor) * static_cast<int64_t>(limb), at);
    else if (limb != 0)
      add(static_cast<__int128>(factor) * static_cast<__int128>(limb), at);  // below 2^126
  }
}

void WideInt::assign(const uint64_t* limbs, size_t count, int64_t times) {
  clear();
  for (size_t i = 0; i < count; ++i) {
    const __int128 limb =
        i + 1 == count ? static_cast<__int128>(static_cast<int64_t>(limbs[i])) : static_cast<__int128>(limbs[i]);
    add(limb * times, static_cast<unsigned>(64 * i));
  }
}

int WideInt::sign() const {
  if (negative(limbs_.data(), limbs_.size())) return -1;
  return std::any_of(limbs_.begin(), limbs_.end(), [](uint64_t limb) { return limb != 0; }) ? 1 : 0;
}

namespace {

// A double that is an integer below 2^126, as such. Without a branch: whether values need more than 53 bits is as good
// as random where rows are normalised.
__int128 long_integer(double value) {
  constexpr uint64_t kImplicit = uint64_t{1} << 52;
  const auto bits = std::bit_cast<uint64_t>(value);
  const auto field = static_cast<int>(bits >> 52 & 0x7ff);
  const uint64_t mantissa = (bits & (kImplicit - 1)) | kImplicit;
  const int shift = field - 1075;
  const int right = std::clamp(-shift, 0, 63), left = std::max(shift, 0);
  const auto sign = -static_cast<__int128>(bits >> 63);  // 0 or -1
  return ((static_cast<__int128>(mantissa >> right) << left) ^ sign) - sign;
}

}  // namespace

FixedVector::FixedVector(size_t d, int unit, int bits)
    : d_(d),
      limbs_(static_cast<size_t>(bits) / 64 + 1),
      unit_(unit),
      narrow_(limbs_ <= 2 && unit > -1000 && unit < 800),
      data_(d * limbs_, 0) {}

void FixedVector::add(const double* row, int64_t times, size_t begin, size_t end) {
  if (narrow_) {
    // exact: the product is an integer that fits
    if (limbs_ == 1) {
      const double units = std::ldexp(1.0, -unit_);
      for (size_t j = begin; j < end; ++j)
        data_[j] += static_cast<uint64_t>(static_cast<int64_t>(row[j] * units)) * static_cast<uint64_t>(times);
      return;
    }
    const double units = std::ldexp(1.0, -unit_);
    for (size_t j = begin; j < end; ++j) {
      const __int128 addend = long_integer(row[j] * units) * times;
      uint64_t* limbs = data_.data() + 2 * j;
      const Unsigned sum = static_cast<Unsigned>(two_limbs(limbs)) + static_cast<Unsigned>(addend);
      limbs[0] = static_cast<uint64_t>(sum);
      limbs[1] = static_cast<uint64_t>(sum >> 64);
    }
    return;
  }
  for (size_t j = begin; j < end; ++j) {
    if (row[j] == 0) continue;
    unsigned shift = 0;
    const __int128 mantissa = in_units(split(row[j]), unit_, &shift);
    add_shifted(data_.data() + j * limbs_, limbs_, mantissa * times, shift);
  }
}

void FixedVector::add(const FixedVector& other) {
  for (size_t j = 0; j < d_; ++j) {
    uint64_t carry = 0;
    for (size_t i = j * limbs_; i < (j + 1) * limbs_; ++i) {
      const Unsigned sum = static_cast<Unsigned>(data_[i]) + other.data_[i] + carry;
      data_[i] = static_cast<uint64_t>(sum);
      carry = static_cast<uint64_t>(sum >> 64);
    }
  }
}

void FixedVector::subtract_half(const FixedVector& other) {
  for (size_t j = 0; j < d_; ++j) {
    uint64_t* limbs = data_.data() + j * limbs_;
    uint64_t borrow = 0;
    for (size_t i = 0; i < limbs_; ++i) {
      const Unsigned difference = static_cast<Unsigned>(limbs[i]) - other.data_[j * limbs_ + i] - borrow;
      limbs[i] = static_cast<uint64_t>(difference);
      borrow = static_cast<uint64_t>(difference >> 64) & 1;
    }
    for (size_t i = 0; i + 1 < limbs_; ++i) limbs[i] = limbs[i] >> 1 | limbs[i + 1] << 63;
    limbs[limbs_ - 1] = static_cast<uint64_t>(static_cast<int64_t>(limbs[limbs_ - 1]) >> 1);
  }
}

void FixedVector::assign_negated(const FixedVector& other) {
  data_ = other.data_;
  for (size_t j = 0; j < d_; ++j) negate(data_.data() + j * limbs_, limbs_);
}

void FixedVector::round(double* out, int scale, size_t begin, size_t end) const {
  const int exponent = unit_ - scale;
  if (narrow_ && exponent > -1000 && exponent < 800) {
    const double factor = std::ldexp(1.0, exponent);
    for (size_t j = begin; j < end; ++j) {
      const uint64_t* limbs = element(j);
      const auto low = static_cast<int64_t>(limbs[0]);
      // One limb is rounded once. With two, the number is at least 2^63, so that three roundings stay below 2^-51 of
      // it.
      if (limbs_ == 1 || static_cast<int64_t>(limbs[1]) == low >> 63)
        out[j] = static_cast<double>(low) * factor;
      else
        out[j] =
            (static_cast<double>(static_cast<int64_t>(limbs[1])) * 0x1p64 + static_cast<double>(limbs[0])) * factor;
    }
    return;
  }
  std::vector<uint64_t> scratch;
  for (size_t j = begin; j < end; ++j) out[j] = round_wide(element(j), limbs_, exponent, scratch);
}

}  // namespace coregain
