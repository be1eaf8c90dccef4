#include "greedy/objective.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>

namespace coregain {
namespace {

// Covers the roundings of the norms themselves, which are far smaller.
constexpr double kSlack = 1.0001;
// Cosine: u is stored as a multiple of 2^-60 (docs/exact-order.md), so that its sums fit two limbs.
constexpr int kCosineUnit = -60;

struct Range {
  int lowest = std::numeric_limits<int>::max();   // lowest bit set anywhere
  int highest = std::numeric_limits<int>::min();  // every |value| < 2^highest
  size_t bad = std::numeric_limits<size_t>::max();

  void merge(const Range& other) {
    lowest = std::min(lowest, other.lowest);
    highest = std::max(highest, other.highest);
    bad = std::min(bad, other.bad);
  }
};

template <typename T, typename Bits, int kMantissa, int kBias>
Range scan_values(const T* values, size_t begin, size_t end) {
  Range range;
  constexpr Bits kMantissaMask = (Bits{1} << kMantissa) - 1;
  constexpr int kExponentMask = static_cast<int>((Bits{1} << (sizeof(Bits) * 8 - 1 - kMantissa)) - 1);
  for (size_t i = begin; i < end; ++i) {
    const auto bits = std::bit_cast<Bits>(values[i]);
    int exponent = static_cast<int>(bits >> kMantissa) & kExponentMask;
    Bits mantissa = bits & kMantissaMask;
    if (exponent == kExponentMask) {
      range.bad = i;
      return range;
    }
    if (exponent == 0) {
      if (mantissa == 0) continue;
      exponent = 1;  // denormal
    } else {
      mantissa |= Bits{1} << kMantissa;
    }
    exponent -= kBias + kMantissa;
    range.lowest = std::min(range.lowest, exponent + std::countr_zero(mantissa));
    range.highest = std::max(range.highest, exponent + static_cast<int>(std::bit_width(mantissa)));
  }
  return range;
}

int count_bits(size_t rows) {
  return static_cast<int>(std::bit_width(rows)) + 2;
}

}  // namespace

Objective::Objective(const Problem& problem, ThreadPool& pool, const DotKernel& kernel)
    : x_(problem.x),
      cosine_(problem.gain == Gain::kCosine),
      kernel_(kernel),
      pool_(pool),
      d_(problem.x.cols),
      rest_(0, 0, 0, 0),
      w_(0, 0, 0, 0) {
  scan();
  if (cosine_) measure_norms();
  sum_and_choose_origin();
  measure_rows();
  find_twins();
  w64_.assign(d_, 0);
  w32_.assign(kernel_.padded_size(d_), 0);
  left_ = static_cast<int64_t>(x_.rows);
  q_left_ = std::accumulate(q_.begin(), q_.end(), 0.0);
}

void Objective::scan() {
  std::vector<Range> ranges(pool_.size());
  pool_.for_range(x_.rows * d_, [&](unsigned t, size_t begin, size_t end) {
    ranges[t] = x_.is_double ? scan_values<double, uint64_t, 52, 1023>(x_.f64(0), begin, end)
                             : scan_values<float, uint32_t, 23, 127>(x_.f32(0), begin, end);
  });
  Range all;
  for (const Range& range : ranges) all.merge(range);
  if (all.bad != std::numeric_limits<size_t>::max()) throw NotFinite(all.bad / d_, all.bad % d_);
  const bool zero = all.highest == std::numeric_limits<int>::min();
  scale_ = zero ? 0 : all.highest;
  unit_ = cosine_ ? kCosineUnit : zero ? 0 : all.lowest;
}

void Objective::measure_norms() {
  inverse_norm_.assign(x_.rows, 0);
  pool_.for_range(x_.rows, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      double square = 0;
      for (size_t j = 0; j < d_; ++j) {
        const double value = std::ldexp(x_.is_double ? x_.f64(i)[j] : static_cast<double>(x_.f32(i)[j]), -scale_);
        square += value * value;
      }
      // rows more than 2^500 times shorter than the longest value count as zero rows: cos = 0
      inverse_norm_[i] = square > 0x1p-1000 ? 1 / std::sqrt(square) : 0;
    }
  });
}

void Objective::load(size_t i, double* z) const {
  const double factor = std::ldexp(1.0, std::clamp(-scale_, -1000, 1000));
  const double rest = std::ldexp(1.0, -scale_ - std::clamp(-scale_, -1000, 1000));  // 1 but for extreme scales
  if (x_.is_double) {
    const double* row = x_.f64(i);
    for (size_t j = 0; j < d_; ++j) z[j] = row[j] * factor * rest;
  } else {
    const float* row = x_.f32(i);
    for (size_t j = 0; j < d_; ++j) z[j] = static_cast<double>(row[j]) * factor;
  }
  if (!cosine_) return;
  const double inverse = inverse_norm_[i];
  for (size_t j = 0; j < d_; ++j) z[j] = std::rint(z[j] * inverse * 0x1p60) * 0x1p-60;
}

void Objective::sum_and_choose_origin() {
  const int highest = cosine_ ? 1 : scale_;
  const FixedVector zero(d_, unit_, highest + 1, count_bits(x_.rows));
  std::vector<FixedVector> sums(pool_.size(), zero);
  pool_.for_range(x_.rows, [&](unsigned t, size_t begin, size_t end) {
    std::vector<double> z(d_);
    for (size_t i = begin; i < end; ++i) {
      if (cosine_) {
        load(i, z.data());
        for (size_t j = 0; j < d_; ++j) sums[t].add(j, z[j], 1);
      } else {
        for (size_t j = 0; j < d_; ++j)
          sums[t].add(j, x_.is_double ? x_.f64(i)[j] : static_cast<double>(x_.f32(i)[j]), 1);
      }
    }
  });
  rest_ = sums[0];
  for (size_t t = 1; t < sums.size(); ++t) rest_.add(sums[t]);
  w_ = zero;

  // Near the mean, few bits, and a multiple of the unit: then y = x - o is exact in fixed point.
  origin_.resize(d_);
  z_origin_.resize(d_);
  for (size_t j = 0; j < d_; ++j) {
    const double mean = rest_.value(j, highest) / static_cast<double>(x_.rows);
    int exponent = 0;
    const double fraction = std::frexp(mean, &exponent);
    exponent += highest;
    const int grid = std::max(unit_, exponent - 24);
    origin_[j] = std::ldexp(std::rint(std::ldexp(fraction, exponent - grid)), grid);
    z_origin_[j] = cosine_ ? origin_[j] : std::ldexp(origin_[j], -scale_);
    rest_.add(j, origin_[j], -static_cast<int64_t>(x_.rows));
  }
}

void Objective::measure_rows() {
  q_.resize(x_.rows);
  norm32_.resize(x_.rows);
  double origin_square = 0;
  for (const double o : z_origin_) origin_square += o * o;
  q_bound_ = 2 * std::sqrt(origin_square) * kSlack * kSlack;

  std::vector<double> spread(pool_.size(), 0);
  pool_.for_range(x_.rows, [&](unsigned t, size_t begin, size_t end) {
    std::vector<double> z(d_);
    for (size_t i = begin; i < end; ++i) {
      load(i, z.data());
      double along = 0, length = 0, square = 0;
      for (size_t j = 0; j < d_; ++j) {
        const double y = z[j] - z_origin_[j];
        along += z[j] * z_origin_[j];
        length += z[j] * z[j];
        square += y * y;
      }
      q_[i] = cosine_ ? -2 * along : square;
      norm32_[i] = (cosine_ ? 1 : std::sqrt(length)) * kSlack;
      spread[t] = std::max(spread[t], square);
    }
  });
  const double radius = std::sqrt(*std::max_element(spread.begin(), spread.end()));

  // A common offset much larger than the spread would make the float32 bound of x.w too wide to be of use.
  const bool offset = !cosine_ && std::sqrt(origin_square) > 8 * radius;
  direct_ = !x_.is_double && !offset && scale_ >= -100 && scale_ <= 100;
  if (!direct_) {
    copy_.resize(x_.rows * d_);
    pool_.for_range(x_.rows, [&](unsigned, size_t begin, size_t end) {
      std::vector<double> z(d_);
      for (size_t i = begin; i < end; ++i) {
        load(i, z.data());
        for (size_t j = 0; j < d_; ++j) copy_[i * d_ + j] = static_cast<float>(cosine_ ? z[j] : z[j] - z_origin_[j]);
        if (!cosine_) norm32_[i] = std::sqrt(q_[i]) * kSlack;
      }
    });
  }

  // docs/exact-order.md, "float32": roundings of the product, of w and of the copy; then what underflow can lose.
  const double u = 0x1p-24;
  const double n = kernel_.roundings(d_) + 3;
  relative32_ = n * u < 0.5 ? n * u / (1 - n * u) : 1;
  const double d = static_cast<double>(d_);
  absolute32_ = d * 0x1p-146 * (1 + std::sqrt(d) * (direct_ ? std::ldexp(1.0, scale_) : 2));
  relative64_ = (d + 16) * 0x1p-52;
}

void Objective::find_twins() {
  const size_t width = d_ * (x_.is_double ? 8 : 4);
  const auto* bytes = static_cast<const unsigned char*>(x_.data);
  std::vector<uint64_t> hashes(x_.rows);
  pool_.for_range(x_.rows, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      uint64_t hash = 0xcbf29ce484222325;
      for (size_t at = 0; at < width; at += 4) {  // FNV-1a over 32-bit words
        uint32_t word = 0;
        std::memcpy(&word, bytes + i * width + at, 4);
        hash = (hash ^ word) * 0x100000001b3;
      }
      hashes[i] = hash ^ (hash >> 32);
    }
  });
  twin_.resize(x_.rows);
  std::unordered_multimap<uint64_t, int32_t> first;
  first.reserve(x_.rows);
  for (size_t i = 0; i < x_.rows; ++i) {
    twin_[i] = static_cast<int32_t>(i);
    const auto [begin, end] = first.equal_range(hashes[i]);
    const auto same = std::find_if(begin, end, [&](const auto& entry) {
      return std::memcmp(bytes + static_cast<size_t>(entry.second) * width, bytes + i * width, width) == 0;
    });
    if (same != end)
      twin_[i] = same->second;
    else
      first.emplace(hashes[i], static_cast<int32_t>(i));
  }
}

void Objective::begin_bin() {
  members_ = left_;
  a_ = -left_;
  q_all_ = q_left_;
  q_chosen_ = 0;
  w_.assign_negated(rest_);
  refresh();
}

void Objective::take(size_t i) {
  std::vector<double> z(d_);
  if (cosine_) load(i, z.data());
  for (size_t j = 0; j < d_; ++j) {
    const double value = cosine_ ? z[j] : x_.is_double ? x_.f64(i)[j] : static_cast<double>(x_.f32(i)[j]);
    w_.add(j, value, 2);
    w_.add(j, origin_[j], -2);
    rest_.add(j, value, -1);
    rest_.add(j, origin_[j], 1);
  }
  a_ += 2;
  --left_;
  q_left_ -= q_[i];
  q_chosen_ += q_[i];
  refresh();
}

// Rounds the exact w for the two fast precisions.
void Objective::refresh() {
  double square = 0;
  for (size_t j = 0; j < d_; ++j) {
    w64_[j] = w_.value(j, cosine_ ? 0 : scale_);
    square += w64_[j] * w64_[j];
  }
  w_norm_ = std::sqrt(square) * kSlack;
  const int exponent = w_norm_ > 0 ? std::ilogb(w_norm_) : 0;
  const double factor = std::ldexp(1.0, -exponent);
  for (size_t j = 0; j < d_; ++j) w32_[j] = static_cast<float>(w64_[j] * factor);
  dot_unit_ = std::ldexp(1.0, exponent - (direct_ ? scale_ : 0));
}

Objective::Bounds Objective::bounds32(size_t i) const {
  const float* row = direct_ ? x_.f32(i) : copy_.data() + i * d_;
  double unit = dot_unit_;
  if (cosine_ && direct_) unit *= inverse_norm_[i];
  const double product = unit * static_cast<double>(kernel_.dot(row, w32_.data(), d_));
  const auto a = static_cast<double>(a_);
  const double score = a * q_[i] - 2 * product;
  const double reach = 2 * norm32_[i] * w_norm_;
  const double error =
      (relative32_ + relative64_) * reach + 2 * absolute32_ * unit + relative64_ * std::abs(a) * q_magnitude(i);
  return {score - error, score + error};
}

Objective::Bounds Objective::bounds64(size_t i, double* scratch) const {
  load(i, scratch);
  double product = 0;
  if (cosine_) {
    for (size_t j = 0; j < d_; ++j) product += scratch[j] * w64_[j];
  } else {
    for (size_t j = 0; j < d_; ++j) product += (scratch[j] - z_origin_[j]) * w64_[j];
  }
  const auto a = static_cast<double>(a_);
  const double score = a * q_[i] - 2 * product;
  const double length = (cosine_ ? 1 : std::sqrt(q_[i])) * kSlack;
  const double error =
      relative64_ * (std::abs(a) * q_magnitude(i) + 2 * length * w_norm_) + static_cast<double>(d_) * 0x1p-1000;
  return {score - error, score + error};
}

WideInt Objective::exact_score(size_t i) const {
  FixedVector z(d_, unit_, cosine_ ? 2 : scale_ + 1, count_bits(x_.rows));
  FixedVector v = w_;
  if (cosine_) {
    std::vector<double> u(d_);
    load(i, u.data());
    for (size_t j = 0; j < d_; ++j) {
      z.add(j, u[j], 1);
      v.add(j, origin_[j], a_);
    }
  } else {
    for (size_t j = 0; j < d_; ++j) {
      z.add(j, x_.is_double ? x_.f64(i)[j] : static_cast<double>(x_.f32(i)[j]), 1);
      z.add(j, origin_[j], -1);
    }
  }
  const size_t width = z.limbs() + v.limbs() + 2;
  WideInt product(width);
  WideInt score(width);
  for (size_t j = 0; j < d_; ++j) product.add_product(z.element(j), z.limbs(), v.element(j), v.limbs(), true);
  score.add(product);
  score.add(product);
  if (!cosine_) {
    WideInt square(width - 1);
    for (size_t j = 0; j < d_; ++j) square.add_product(z.element(j), z.limbs(), z.element(j), z.limbs(), false);
    const auto a = static_cast<uint64_t>(a_);
    score.add_product(square.data(), square.limbs(), &a, 1, false);
  }
  return score;
}

size_t Objective::best_exact(const std::vector<size_t>& candidates) const {
  size_t best = candidates[0];
  WideInt best_score = exact_score(best);
  for (size_t c = 1; c < candidates.size(); ++c) {
    const size_t i = candidates[c];
    WideInt score = exact_score(i);
    WideInt difference = score;
    difference.subtract(best_score);
    const int sign = difference.sign();
    if (sign < 0 || (sign == 0 && i > best)) continue;
    best = i;
    best_score = std::move(score);
  }
  return best;
}

double Objective::gain(size_t i) const {
  std::vector<double> z(d_);
  load(i, z.data());
  double product = 0;
  for (size_t j = 0; j < d_; ++j) product += (cosine_ ? z[j] : z[j] - z_origin_[j]) * w64_[j];
  const auto a = static_cast<double>(a_);
  const double score = a * q_[i] - 2 * product;
  // score is -2 u.v with v = 2s - T; gain = sum_D s(u, .) - 2 sum_S s(u, .), s = (1 + cos) / 2
  if (cosine_) return 0.5 * -a + 0.25 * score;
  const double squares = score + 2 * q_chosen_ - q_all_;
  return std::ldexp(squares, 2 * scale_);
}

}  // namespace coregain
