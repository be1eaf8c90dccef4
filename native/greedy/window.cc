#include "greedy/window.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
constexpr size_t kBlock = ScoresKernel::kBlock;
constexpr size_t kSmallestBatch = 16, kLargestBatch = 1024;
constexpr size_t kTrial = 8;  // batches of one size
// Below this many rows a second thread costs more than it brings.
constexpr size_t kAlone = 12288;
constexpr size_t kAloneProducts = size_t{30} << 20;  // multiplications

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

void Window::open(const Level& level, const std::vector<int32_t>* list, size_t memory) {
  level_ = &level;
  list_ = list;
  n_ = list == nullptr ? level.size() : list->size();
  padded_ = round_up(n_, kBlock);
  base_ = level.base;
  updates_ = 0;
  q_max_ = radius_max_ = 0;
  reserve(score_, padded_);
  reserve(twice_q_, padded_);
  base_error_.resize(padded_);
  residual_.resize(padded_);
  magnitude_.resize(padded_);
  scale_.resize(padded_);
  const Int8Rows& rows = level.rows;
  const size_t stride = rows.stride;
  if (list != nullptr) reserve(gathered_, padded_ * stride);
  q_ = list == nullptr ? rows.q(0) : gathered_.data();
  for (size_t i = 0; i < n_; ++i) {
    const size_t at = index(i);
    score_[i] = level.score[at];
    twice_q_[i] = 2 * level.q[at];
    base_error_[i] = level.base_error[at];
    scale_[i] = rows.scale[at];
    magnitude_[i] = rows.magnitude[at];
    residual_[i] = rows.residual[at];
    q_max_ = std::max(q_max_, std::abs(level.q[at]));
    radius_max_ = std::max(radius_max_, static_cast<double>(level.radius[at]));
    if (list != nullptr) std::memcpy(gathered_.data() + i * stride, rows.q(at), stride);
  }
  for (size_t i = n_; i < padded_; ++i) {
    score_[i] = kLowest;
    twice_q_[i] = 0;
    base_error_[i] = residual_[i] = magnitude_[i] = scale_[i] = 0;
    if (list != nullptr) std::memset(gathered_.data() + i * stride, 0, stride);
  }
  adapt_batch();
  column_.assign(padded_, -1);
  used_ = 0;
  const size_t column = padded_ * sizeof(float);
  capacity_ =
      std::max(kSmallestBatch, std::min(round_up(memory / column, kSmallestBatch), round_up(n_, kSmallestBatch)));
  seal();
  if (const size_t best = top(); best < n_) compute_columns(best);
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
  const Objective& objective = tools_.objective;
  base_ = {.w = {objective.w(), objective.w() + tools_.points.d}, .a = objective.a(), .loose = 0};
  updates_ = 0;
  tools_.pool.for_blocks(n_, 64, [&](unsigned, size_t begin, size_t end) {
    int32_t rows[DotKernel::kRows];
    size_t at[DotKernel::kRows];
    Bounds bounds[DotKernel::kRows];
    size_t count = 0;
    const auto flush = [&] {
      if (count == 0) return;
      objective.bounds32(rows, count, bounds);
      for (size_t r = 0; r < count; ++r) {
        score_[at[r]] = (bounds[r].low + bounds[r].high) / 2;
        base_error_[at[r]] = static_cast<float>((bounds[r].high - bounds[r].low) * (0.5 + 0x1p-20)) + 0x1p-140F;
      }
      count = 0;
    };
    for (size_t i = begin; i < end; ++i) {
      if (score_[i] == kLowest) continue;
      rows[count] = row(i);
      at[count] = i;
      if (++count == DotKernel::kRows) flush();
    }
    flush();
  });
  products_ += n_;
  seal();
}

void Window::moved() {
  distance_ = 2 * (1 + 0x1p-20) *
              std::sqrt(tools_.vectors.scaled_distance(tools_.objective.w(), base_.w.data(), tools_.quantiser.spread(),
                                                       tools_.points.d));
  roundoff_ = tools_.objective.roundoff(q_max_, radius_max_, updates_);
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
  if (padded_ <= kAlone || tools_.pool.size() == 1) {
    tools_.scores.update(score_.data(), twice_q_.data(), products, factor, padded_, block_score_.data());
    return;
  }
  const size_t blocks = padded_ / kBlock;
  tools_.pool.run([&](unsigned t) {
    const size_t begin = blocks * t / tools_.pool.size() * kBlock, end = blocks * (t + 1) / tools_.pool.size() * kBlock;
    tools_.scores.update(score_.data() + begin, twice_q_.data() + begin, products + begin, factor, end - begin,
                         block_score_.data() + begin / kBlock);
  });
}

// Columns computed ahead are cheap one by one, but some are never used: looks for the number at a time that costs the
// least for each that is. From 1, which needs no packing, to kSmallestBatch, then by factors of 2.
void Window::adapt_batch() {
  trial_.served += served_;
  served_ = 0;
  if (trial_.batches < kTrial || trial_.served == 0) return;
  const double cost = trial_.seconds / static_cast<double>(trial_.served);
  if (cost > cost_before_) growing_ = !growing_;
  cost_before_ = cost;
  trial_ = {};
  if (growing_)
    batch_ = batch_ == 1 ? kSmallestBatch : std::min(2 * batch_, kLargestBatch);
  else
    batch_ = batch_ <= kSmallestBatch ? 1 : batch_ / 2;
}

// Columns for the row that was just chosen and for those with the best estimates that have none yet.
void Window::compute_columns(size_t chosen) {
  const auto began = std::chrono::steady_clock::now();
  adapt_batch();
  const size_t batch = std::min(batch_, capacity_);
  if (columns_.size() < capacity_ * padded_) reserve(columns_, capacity_ * padded_);
  if (used_ + batch > capacity_) {
    std::fill(column_.begin(), column_.end(), -1);
    used_ = 0;
  }
  column_scale_.resize(capacity_);
  column_error_.resize(capacity_);
  const std::vector<int32_t> indices = likely(chosen, batch);
  quantise(indices);
  multiply(indices.size());
  for (size_t c = 0; c < indices.size(); ++c)
    column_[static_cast<size_t>(indices[c])] = static_cast<int32_t>(used_ + c);
  used_ += indices.size();
  products_ += indices.size() * n_;
  ++trial_.batches;
  trial_.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// `chosen`, and the rows of the best estimates without a column: `batch` in all, or as many as there are.
std::vector<int32_t> Window::likely(size_t chosen, size_t batch) const {
  std::vector<int32_t> indices = {static_cast<int32_t>(chosen)};
  if (batch == 1) return indices;
  // The batch-th largest of the block maxima is at most the batch-th largest score.
  std::vector<double> maxima(block_score_);
  double threshold = kLowest;
  if (maxima.size() > batch) {
    std::nth_element(maxima.begin(), maxima.begin() + static_cast<ptrdiff_t>(batch - 1), maxima.end(),
                     std::greater<>());
    threshold = maxima[batch - 1];
  }
  std::vector<std::pair<double, int32_t>> best;
  for (size_t b = 0; b < block_score_.size(); ++b) {
    if (block_score_[b] < threshold) continue;
    for (size_t i = b * kBlock; i < std::min(n_, (b + 1) * kBlock); ++i)
      if (score_[i] >= threshold && score_[i] != kLowest && column_[i] < 0 && i != chosen)
        best.emplace_back(-score_[i], static_cast<int32_t>(i));
  }
  const size_t wanted = std::min(batch - 1, best.size());
  if (wanted < best.size()) std::nth_element(best.begin(), best.begin() + static_cast<ptrdiff_t>(wanted), best.end());
  for (size_t c = 0; c < wanted; ++c) indices.push_back(best[c].second);
  return indices;
}

// The rows as int16 vectors, into vectors_ and packed_.
void Window::quantise(const std::vector<int32_t>& indices) {
  const size_t count = indices.size(), stride = tools_.quantiser.stride();
  const size_t rounded = round_up(count, Int8Kernel::kVectors);
  vectors_.resize(rounded * stride);
  const auto some = [&](unsigned, size_t begin, size_t end) {
    std::vector<double> scratch(tools_.points.d);
    for (size_t c = begin; c < end; ++c) {
      const auto of = static_cast<size_t>(row(static_cast<size_t>(indices[c])));
      const Int16Form form = tools_.quantiser.quantise_row(of, scratch.data(), vectors_.data() + c * stride);
      column_scale_[used_ + c] = form.scale;
      column_error_[used_ + c] = form.error;
    }
  };
  if (count < 64)
    some(0, 0, count);
  else
    tools_.pool.for_blocks(count, 16, some);
  if (count == 1) return;
  std::fill(vectors_.begin() + static_cast<ptrdiff_t>(count * stride), vectors_.end(), int16_t{0});
  packed_.resize(rounded * stride);
  tools_.int8.pack(vectors_.data(), rounded, stride, packed_.data());
}

// The products of all rows with `count` vectors.
void Window::multiply(size_t count) {
  const size_t stride = tools_.quantiser.stride();
  float* columns = columns_.data() + used_ * padded_;
  const auto some = [&](unsigned, size_t begin, size_t end) {
    const int8_t* rows = q_ + begin * stride;
    if (count == 1)
      tools_.int8.product(rows, end - begin, stride, vectors_.data(), columns + begin);
    else
      tools_.int8.products(rows, end - begin, stride, packed_.data(), count, columns + begin, padded_);
    for (size_t c = 0; c < count; ++c) {
      float* at = columns + c * padded_;
      for (size_t i = begin; i < end; ++i) at[i] *= scale_[i];
    }
  };
  if (count * padded_ * stride < kAloneProducts)
    some(0, 0, padded_);
  else
    tools_.pool.for_blocks(padded_, 256, some);
}

}  // namespace coregain
