#include "greedy/objective.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace coregain {
namespace {

constexpr double kUp = 1 + 0x1p-20;      // more than the roundings of a norm
constexpr double kFinal = 0x1p-50;       // more than the roundings of a q - 2 p, per |a q| + 2 |p|
constexpr double kUnderflow = 0x1p-900;  // more than float64 can lose by underflow in one score

int bit_width(size_t n) {
  return static_cast<int>(std::bit_width(n));
}

// n u / (1 - n u): the relative error of n float32 roundings.
double gamma32(unsigned n) {
  const double nu = n * 0x1p-24;
  return nu / (1 - nu);
}

}  // namespace

Objective::Objective(const Points& points, const DotKernel& kernel, const VectorsKernel& vectors)
    : p_(points),
      kernel_(kernel),
      vectors_(vectors),
      float64_is_exact_(!points.cosine && points.scale == points.highest &&
                        2 * (points.highest - points.unit + 1) + bit_width(points.n) + bit_width(points.d) + 2 <= 53),
      unit64_(float64_is_exact_ ? 0 : 0x1p-53),
      // the product itself, then w to float32 and, where there is one, the copy to float32 and y before it
      relative32_(gamma32(kernel.roundings(points.d) + 3)),
      q_error_(points.cosine ? points.terms * unit64_ * 2 * points.f * points.origin_norm * kUp
                             : points.terms * unit64_),
      rest_(points.total),
      w_(points.d, points.unit, points.bits),
      w64_(points.d),
      w32_(kernel.padded(points.d), 0) {
  w_.assign_negated(rest_);
}

void Objective::begin_bin(const std::vector<uint8_t>& taken) {
  members_ = 0;
  q_all_ = q_chosen_ = 0;
  for (size_t i = 0; i < p_.n; ++i) {
    if (taken[i]) continue;
    ++members_;
    q_all_ += p_.q[i];
  }
  a_ = -members_;
  // w + rest was twice the sum over S; D loses S
  rest_.subtract_half(w_);
  w_.assign_negated(rest_);
  w_largest_ = 0;
  refresh();
}

void Objective::take(size_t i) {
  std::vector<double> scratch(p_.d);
  const double* z = p_.z(i, scratch.data());
  w_.add(z, 2);
  w_.add(p_.origin.data(), -2);
  a_ += 2;
  q_chosen_ += p_.q[i];
  refresh();
}

void Objective::take_all(const int32_t* rows, size_t count, ThreadPool& pool, double* gains) {
  constexpr size_t kRows = 128, kColumns = 64;
  const size_t d = p_.d;
  std::vector<double> z(std::min(count, kRows) * d), w(z.size());
  for (; count > 0; rows += std::min(count, kRows), gains += std::min(count, kRows), count -= std::min(count, kRows)) {
    const size_t some = std::min(count, kRows);
    pool.for_blocks(some, 8, [&](unsigned, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        double* to = z.data() + i * d;
        const double* from = p_.z(static_cast<size_t>(rows[i]), to);
        if (from != to) std::copy_n(from, d, to);
      }
    });
    pool.for_blocks(d, kColumns, [&](unsigned, size_t begin, size_t end) {
      for (size_t i = 0; i < some; ++i) {
        w_.round(w.data() + i * d, p_.scale, begin, end);
        w_.add(z.data() + i * d, 2, begin, end);
        w_.add(p_.origin.data(), -2, begin, end);
      }
    });
    // in the order in which `take` adds
    std::vector<double> chosen(some);
    for (size_t i = 0; i < some; ++i) {
      chosen[i] = q_chosen_;
      q_chosen_ += p_.q[static_cast<size_t>(rows[i])];
    }
    pool.for_blocks(some, 8, [&](unsigned, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        gains[i] = gain(product64(z.data() + i * d, w.data() + i * d), p_.q[static_cast<size_t>(rows[i])],
                        static_cast<double>(a_) + 2 * static_cast<double>(i), chosen[i]);
    });
    a_ += 2 * static_cast<int64_t>(some);
  }
  refresh();
}

// Rounds the exact w for the two fast precisions.
void Objective::refresh() {
  w_.round(w64_.data(), p_.scale);
  w_norm_ = std::sqrt(vectors_.product(w64_.data(), w64_.data(), p_.d)) * kUp;
  w_largest_ = std::max(w_largest_, w_norm_);
  shift_ = p_.direct ? 2 * vectors_.product(p_.origin_f.data(), w64_.data(), p_.d) : 0;

  // |row| |w32| <= 2^60: no overflow, and underflow 200 bits below the largest product.
  const int w_exponent = w_norm_ > 0 ? std::ilogb(w_norm_) + 1 : 0;
  const int row_exponent = p_.longest > 0 ? std::ilogb(p_.longest) + 1 : 0;
  const int to = std::clamp(60 - row_exponent, -120, 120);
  const double factor = std::ldexp(1.0, to - w_exponent);
  vectors_.narrow(w64_.data(), factor, p_.d, w32_.data());
  // a direct row is x where f z is meant
  unit32_ = std::ldexp(p_.direct ? p_.f : 1, w_exponent - to);
  const auto d = static_cast<double>(p_.d);
  underflow32_ = 0x1p-148 * (d + std::sqrt(d) * (p_.longest + std::ldexp(1.0, to)));
}

// At least the norm of what float32 products are taken of, in units of f z.
double Objective::norm32(size_t i) const {
  if (!p_.cosine) return p_.radius(i) + (p_.direct ? p_.origin_norm : 0);
  return p_.direct ? p_.f * kUp : p_.radius(i);
}

void Objective::bounds32(const int32_t* rows, size_t count, Bounds* out) const {
  const float* pointers[DotKernel::kRows];
  double products[DotKernel::kRows];
  for (size_t r = 0; r < DotKernel::kRows; ++r) {
    const auto i = static_cast<size_t>(rows[std::min(r, count - 1)]);
    pointers[r] = p_.direct ? p_.x.f32(i) : p_.copy.data() + i * p_.d;
  }
  kernel_.dot(pointers, w32_.data(), p_.d, products);

  const auto a = static_cast<double>(a_);
  const double per_norm = 2 * w_norm_ * (relative32_ + p_.terms * 0x1p-53);
  const double shift_error = p_.direct ? p_.terms * 0x1p-51 * p_.origin_norm * w_norm_ + kFinal * std::abs(shift_) : 0;
  for (size_t r = 0; r < count; ++r) {
    const auto i = static_cast<size_t>(rows[r]);
    const double unit = p_.cosine && p_.direct ? (p_.length[i] > 0 ? unit32_ / p_.length[i] : 0) : unit32_;
    const double product = unit * products[r];
    const double aq = a * p_.q[i];
    const double error = per_norm * norm32(i) + 2 * underflow32_ * unit + q_error_ * std::abs(p_.cosine ? a : aq) +
                         kFinal * (std::abs(aq) + 2 * std::abs(product)) + shift_error + kUnderflow;
    const double score = aq - 2 * product + shift_;
    out[r] = {score - error, score + error};
  }
}

Objective::Roundoff Objective::roundoff() const {
  const auto members = static_cast<double>(members_);
  const double of_q = 2 * q_error_ * members;
  return {members * 0x1p-45 + (p_.cosine ? 0 : of_q), 2 * w_largest_ * 0x1p-45, (p_.cosine ? of_q : 0) + kUnderflow};
}

double Objective::product64(const double* z, const double* w) const {
  // four sums side by side, like sum_of_squares: fast, and one fixed order
  double sum[4] = {};
  for (size_t j = 0; j < p_.d; ++j) {
    const double value = p_.cosine ? z[j] * p_.f : z[j] * p_.f - p_.origin[j] * p_.f;
    sum[j % 4] += value * w[j];
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double Objective::product64(size_t i, double* scratch) const {
  return product64(p_.z(i, scratch), w64_.data());
}

Bounds Objective::bounds64(size_t i, double* scratch) const {
  const double product = product64(i, scratch);
  const auto a = static_cast<double>(a_);
  const double aq = a * p_.q[i];
  const double score = aq - 2 * product;
  if (float64_is_exact_) return {score, score};
  const double norm = p_.cosine ? p_.f * kUp : std::sqrt(p_.q[i]) * kUp;
  const double error = 2 * p_.terms * unit64_ * norm * w_norm_ + q_error_ * std::abs(p_.cosine ? a : aq) +
                       kFinal * (std::abs(aq) + 2 * std::abs(product)) + kUnderflow;
  return {score - error, score + error};
}

// score = sum_j z_j t_j with t = a z - 2 (w + a o) (squared distance) or -2 (w + a o) (cosine), in units of 2^(2 unit).
void Objective::exact_score(size_t i, double* scratch, WideInt& out) const {
  const double* z = p_.z(i, scratch);
  WideInt t(p_.bits);
  out.clear();
  const auto units = [&](double value, unsigned* shift) {
    const Parts parts = split(value);
    const int up = parts.exponent - p_.unit;
    *shift = static_cast<unsigned>(std::max(up, 0));
    return up >= 0 ? parts.mantissa : parts.mantissa >> std::min(-up, 63);  // the bits below the unit are zero
  };
  for (size_t j = 0; j < p_.d; ++j) {
    if (z[j] == 0) continue;
    unsigned shift = 0;
    t.assign(w_.element(j), w_.limbs(), -2);
    const int64_t o = units(p_.origin[j], &shift);
    t.add(static_cast<__int128>(o) * -2 * a_, shift);
    const int64_t value = units(z[j], &shift);
    if (!p_.cosine) t.add(static_cast<__int128>(value) * a_, shift);
    out.add_product(value, shift, t);
  }
}

size_t Objective::best_exact(const std::vector<size_t>& rows) const {
  const int bits = 2 * p_.bits + bit_width(p_.d);
  std::vector<double> scratch(p_.d);
  WideInt best_score(bits), score(bits), difference(bits);
  size_t best = rows[0];
  exact_score(best, scratch.data(), best_score);
  for (size_t c = 1; c < rows.size(); ++c) {
    exact_score(rows[c], scratch.data(), score);
    difference = score;
    difference.subtract(best_score);
    const int sign = difference.sign();
    if (sign < 0 || (sign == 0 && rows[c] > best)) continue;
    best = rows[c];
    std::swap(best_score, score);
  }
  return best;
}

double Objective::gain(size_t i, double* scratch) const {
  return gain(product64(i, scratch), p_.q[i], static_cast<double>(a_), q_chosen_);
}

double Objective::gain(double product, double q, double a, double q_chosen) const {
  const double score = a * q - 2 * product;
  // score is -2 f^2 u.(2 s - T), the gain (|D| - 2 k) / 2 + u.(T - 2 s) / 2
  if (p_.cosine) return 0.5 * -a + 0.25 * std::ldexp(score, 2 * p_.scale);
  return std::ldexp(score + 2 * q_chosen - q_all_, 2 * p_.scale);
}

}  // namespace coregain
