#include "greedy/window.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
constexpr size_t kBlock = ScoresKernel::kBlock;
constexpr size_t kSmallestBatch = 16, kLargestBatch = 1024;
// Below this many rows a second thread costs more than it brings.
constexpr size_t kAlone = 12288;

size_t round_up(size_t n, size_t to) {
  return (n + to - 1) / to * to;
}

template <typename T>
void reserve(Buffer<T>& buffer, size_t size) {
  if (buffer.size() >= size) return;
  buffer = Buffer<T>();
  buffer = Buffer<T>(size);
}

}  // namespace

Window::Window(const Points& points, const Int8Rows& rows, const Objective& objective, const std::string& simd,
               ThreadPool& pool)
    : points_(points),
      rows_(rows),
      objective_(objective),
      int8_(int8_kernel(simd)),
      kernel_(scores_kernel(simd)),
      pool_(pool) {}

void Window::open(const int32_t* slots, size_t n, const Base& base, size_t memory) {
  n_ = n;
  padded_ = round_up(n, kBlock);
  slots_ = slots;
  base_ = base;
  updates_ = 0;
  q_max_ = radius_max_ = 0;
  reserve(score_, padded_);
  reserve(twice_q_, padded_);
  base_error_.resize(padded_);
  residual_.resize(padded_);
  magnitude_.resize(padded_);
  scale_.resize(padded_);
  for (size_t i = n; i < padded_; ++i) {
    score_[i] = kLowest;
    twice_q_[i] = 0;
    base_error_[i] = residual_[i] = magnitude_[i] = scale_[i] = 0;
  }
  const size_t stride = rows_.stride;
  if (slots == nullptr) {
    q_ = rows_.q(0);
    std::copy_n(rows_.scale.begin(), n, scale_.begin());
    std::copy_n(rows_.magnitude.begin(), n, magnitude_.begin());
    std::copy_n(rows_.residual.begin(), n, residual_.begin());
  } else {
    reserve(gathered_, padded_ * stride);
    pool_.for_blocks(n, 256, [&](unsigned, size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        const auto from = static_cast<size_t>(slots[i]);
        std::memcpy(gathered_.data() + i * stride, rows_.q(from), stride);
        scale_[i] = rows_.scale[from];
        magnitude_[i] = rows_.magnitude[from];
        residual_[i] = rows_.residual[from];
      }
    });
    std::memset(gathered_.data() + n * stride, 0, (padded_ - n) * stride);
    q_ = gathered_.data();
  }
  adapt_batch();
  column_.assign(padded_, -1);
  used_ = 0;
  const size_t column = padded_ * sizeof(float);
  capacity_ = std::max(kSmallestBatch, std::min(round_up(memory / column, kSmallestBatch), round_up(n, kSmallestBatch)));
  batch_ = std::min(batch_, capacity_);
}

void Window::seal() {
  const size_t blocks = padded_ / kBlock;
  block_score_.resize(blocks);
  block_base_.resize(blocks);
  block_residual_.resize(blocks);
  block_magnitude_.resize(blocks);
  block_error_.resize(blocks);
  for (size_t b = 0; b < blocks; ++b) {
    const size_t from = b * kBlock;
    block_score_[b] = *std::max_element(score_.data() + from, score_.data() + from + kBlock);
    const auto largest = [&](const std::vector<float>& v) {
      return *std::max_element(v.begin() + static_cast<ptrdiff_t>(from),
                               v.begin() + static_cast<ptrdiff_t>(from + kBlock));
    };
    block_base_[b] = largest(base_error_);
    block_residual_[b] = largest(residual_);
    block_magnitude_[b] = largest(magnitude_);
  }
}

void Window::rebase() {
  ++rebases_;
  base_.w.assign(objective_.w(), objective_.w() + points_.d);
  base_.loose = 0;
  updates_ = 0;
  pool_.for_blocks(n_, 64, [&](unsigned, size_t begin, size_t end) {
    int32_t rows[DotKernel::kRows];
    size_t at[DotKernel::kRows];
    Bounds bounds[DotKernel::kRows];
    size_t count = 0;
    const auto flush = [&] {
      if (count == 0) return;
      objective_.bounds32(rows, count, bounds);
      for (size_t r = 0; r < count; ++r) {
        score_[at[r]] = (bounds[r].low + bounds[r].high) / 2;
        base_error_[at[r]] = static_cast<float>((bounds[r].high - bounds[r].low) * (0.5 + 0x1p-20)) + 0x1p-140F;
      }
      count = 0;
    };
    for (size_t i = begin; i < end; ++i) {
      if (score_[i] == kLowest) continue;
      rows[count] = rows_.row[slot(i)];
      at[count] = i;
      if (++count == DotKernel::kRows) flush();
    }
    flush();
  });
  products_ += n_;
  seal();
}

void Window::moved() {
  double square[4] = {};
  const double* w = objective_.w();
  for (size_t j = 0; j < points_.d; ++j) {
    const double t = (w[j] - base_.w[j]) * rows_.spread[j];
    square[j % 4] += t * t;
  }
  distance_ = 2 * std::sqrt((square[0] + square[1]) + (square[2] + square[3])) * (1 + 0x1p-20);
  roundoff_ = objective_.roundoff(q_max_, radius_max_, updates_);
  const auto distance = static_cast<float>(distance_ * (1 + 0x1p-20));
  const auto loose = static_cast<float>(base_.loose * (1 + 0x1p-20));
  const auto roundoff = static_cast<float>(roundoff_ * (1 + 0x1p-20)) + 0x1p-140F;
  for (size_t b = 0; b < block_error_.size(); ++b)
    block_error_[b] = static_cast<double>(
        (block_base_[b] + block_residual_[b] * distance + block_magnitude_[b] * loose + roundoff) * (1 + 0x1p-20F));
}

size_t Window::top() const {
  size_t best = 0;
  for (size_t b = 1; b < block_score_.size(); ++b)
    if (block_score_[b] > block_score_[best]) best = b;
  if (block_score_.empty() || block_score_[best] == kLowest) return n_;
  for (size_t i = best * kBlock;; ++i)
    if (score_[i] == block_score_[best]) return i;
}

Bounds Window::bounds(size_t i) const {
  const double error = static_cast<double>(base_error_[i]) + static_cast<double>(residual_[i]) * distance_ +
                       static_cast<double>(magnitude_[i]) * base_.loose + roundoff_;
  return {score_[i] - error * (1 + 0x1p-40), score_[i] + error * (1 + 0x1p-40)};
}

void Window::reaching(double low, std::vector<size_t>& out) const {
  out.clear();
  for (size_t b = 0; b < block_score_.size(); ++b) {
    if (block_score_[b] + block_error_[b] < low) continue;
    for (size_t i = b * kBlock; i < (b + 1) * kBlock; ++i)
      if (score_[i] != kLowest && bounds(i).high >= low) out.push_back(i);
  }
}

void Window::choose(size_t i, bool stays) {
  if (!stays) score_[i] = kLowest;
  if (column_[i] < 0) compute_columns(i);
  ++served_;
  const auto column = static_cast<size_t>(column_[i]);
  const float* products = columns_.data() + column * padded_;
  const double factor = 4 * column_scale_[column];
  base_.loose += 4 * column_error_[column];
  ++updates_;
  if (padded_ <= kAlone || pool_.size() == 1) {
    kernel_.update(score_.data(), twice_q_.data(), products, factor, padded_, block_score_.data());
    return;
  }
  const size_t blocks = padded_ / kBlock;
  pool_.run([&](unsigned t) {
    const size_t begin = blocks * t / pool_.size() * kBlock, end = blocks * (t + 1) / pool_.size() * kBlock;
    kernel_.update(score_.data() + begin, twice_q_.data() + begin, products + begin, factor, end - begin,
                   block_score_.data() + begin / kBlock);
  });
}

// As many columns at a time as are then used before the next batch is needed, more or less.
void Window::adapt_batch() {
  if (served_ == 0) return;
  if (served_ * 2 > batch_) batch_ = std::min(2 * batch_, kLargestBatch);
  if (served_ * 6 < batch_) batch_ = std::max(batch_ / 2, kSmallestBatch);
  served_ = 0;
}

// Columns for the row that was just chosen and for those with the best estimates that have none yet.
void Window::compute_columns(size_t chosen) {
  adapt_batch();
  batch_ = std::min(batch_, capacity_);
  if (columns_.size() < capacity_ * padded_) reserve(columns_, capacity_ * padded_);
  if (used_ + batch_ > capacity_) {
    std::fill(column_.begin(), column_.end(), -1);
    used_ = 0;
  }

  // The batch-th largest of the block maxima is at most the batch-th largest score.
  std::vector<double> maxima(block_score_);
  double threshold = kLowest;
  if (maxima.size() > batch_) {
    std::nth_element(maxima.begin(), maxima.begin() + static_cast<ptrdiff_t>(batch_ - 1), maxima.end(),
                     std::greater<>());
    threshold = maxima[batch_ - 1];
  }
  std::vector<std::pair<double, size_t>> best;
  for (size_t b = 0; b < block_score_.size(); ++b) {
    if (block_score_[b] < threshold) continue;
    for (size_t i = b * kBlock; i < std::min(n_, (b + 1) * kBlock); ++i)
      if (score_[i] >= threshold && score_[i] != kLowest && column_[i] < 0 && i != chosen) best.emplace_back(-score_[i], i);
  }
  const size_t wanted = std::min(batch_ - 1, best.size());
  if (wanted < best.size()) std::nth_element(best.begin(), best.begin() + static_cast<ptrdiff_t>(wanted), best.end());
  best.resize(wanted);
  best.emplace_back(0, chosen);

  const size_t count = best.size(), rounded = round_up(count, Int8Kernel::kVectors), stride = rows_.stride;
  vectors_.resize(rounded * stride);
  packed_.resize(rounded * stride);
  column_scale_.resize(capacity_);
  column_error_.resize(capacity_);
  const auto quantise = [&](unsigned, size_t begin, size_t end) {
    std::vector<double> scratch(points_.d);
    for (size_t c = begin; c < end; ++c) {
      const size_t column = used_ + c;
      const auto row = static_cast<size_t>(rows_.row[slot(best[c].second)]);
      const Int16Form form = rows_.quantise_row(row, scratch.data(), vectors_.data() + c * stride);
      column_scale_[column] = form.scale;
      column_error_[column] = form.error;
    }
  };
  pool_.for_blocks(count, 16, quantise);
  std::fill(vectors_.begin() + static_cast<ptrdiff_t>(count * stride), vectors_.end(), int16_t{0});
  int8_.pack(vectors_.data(), rounded, stride, packed_.data());

  float* columns = columns_.data() + used_ * padded_;
  pool_.for_blocks(padded_, 256, [&](unsigned, size_t begin, size_t end) {
    int8_.products(q_ + begin * stride, end - begin, stride, packed_.data(), count, columns + begin, padded_);
    for (size_t c = 0; c < count; ++c) {
      float* at = columns + c * padded_;
      for (size_t i = begin; i < end; ++i) at[i] *= scale_[i];
    }
  });
  for (size_t c = 0; c < count; ++c) column_[best[c].second] = static_cast<int32_t>(used_ + c);
  used_ += count;
  products_ += count * n_;
}

}  // namespace coregain
