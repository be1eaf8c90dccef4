#include "greedy/level.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

namespace coregain {
namespace {

constexpr double kLowest = -std::numeric_limits<double>::infinity();
constexpr size_t kPass = 512;  // rows of a pass that a thread takes at a time
constexpr size_t kPart = 4096;
// Below this many rows a second thread costs more than it brings.
constexpr size_t kAlone = 4096;
constexpr size_t kSample = 512;

template <typename T>
void reserve(Buffer<T>& buffer, size_t size) {
  if (buffer.size() >= size) return;
  buffer = Buffer<T>();
  buffer = Buffer<T>(size + size / 4);
}

}  // namespace

Level::Level(const Tools& tools, Int8Rows all)
    : rows(std::move(all)),
      q(rows.row.size()),
      base_score(rows.row.size()),
      score(rows.row.size()),
      high(rows.row.size()),
      radius(rows.row.size()),
      base_error(rows.row.size()),
      tools_(tools) {
  for (size_t i = 0; i < size(); ++i) {
    const auto row = static_cast<size_t>(rows.row[i]);
    q[i] = tools.points.q[row];
    radius[i] = float_above(tools.points.radius(row));
  }
  const auto [least, most] = std::minmax_element(radius.data(), radius.data() + size());
  radius_low_ = static_cast<double>(*least);
  radius_high_ = static_cast<double>(*most);
}

Level::Level(const Tools& tools) : tools_(tools) {}

void Level::gather(const Level& from, const std::vector<int32_t>& list) {
  const size_t n = list.size();
  parent = list;
  dead = 0;
  rows.gather(from.rows, list, tools_.pool);
  reserve(q, n);
  reserve(base_score, n);
  reserve(score, n);
  reserve(high, n);
  reserve(radius, n);
  reserve(base_error, n);
  for (size_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(list[i]);
    q[i] = from.q[at];
    base_score[i] = from.base_score[at];
    score[i] = from.score[at];
    high[i] = from.high[at];
    radius[i] = from.radius[at];
    base_error[i] = from.base_error[at];
  }
  base = from.base;
  w = from.w;
  a = from.a;
  low = from.low;
  radius_low_ = from.radius_low_;
  radius_high_ = from.radius_high_;
}

void Level::take_base() {
  const Objective& objective = tools_.objective;
  base = {.w = {objective.w(), objective.w() + tools_.points.d}, .a = objective.a(), .loose = 0};
  tools_.pool.for_blocks(size(), 64, [&](unsigned, size_t begin, size_t end) {
    tools_.control.check();
    int32_t some[DotKernel::kRows];
    Bounds bounds[DotKernel::kRows];
    for (size_t i = begin; i < end; i += DotKernel::kRows) {
      const size_t count = std::min(DotKernel::kRows, end - i);
      for (size_t r = 0; r < count; ++r) some[r] = std::max(0, rows.row[i + r]);
      objective.bounds32(some, count, bounds);
      for (size_t r = 0; r < count; ++r) {
        base_score[i + r] = rows.row[i + r] < 0 ? kLowest : (bounds[r].low + bounds[r].high) / 2;
        base_error[i + r] = float_above((bounds[r].high - bounds[r].low) / 2);
      }
    }
  });
  finish(0, 0, 0);
}

void Level::estimate() {
  const size_t d = tools_.points.d;
  std::vector<double> moved(d);
  for (size_t j = 0; j < d; ++j) moved[j] = tools_.objective.w()[j] - base.w[j];
  vector_.resize(rows.stride);
  const Int16Form form = tools_.quantiser.quantise(moved.data(), vector_.data());
  base.loose = 2 * form.error;
  finish(tools_.objective.a() - base.a, -2 * form.scale, 2 * form.length);
}

// From the base; factor = 0 where there are no products to add.
void Level::finish(double da, double factor, double distance) {
  const Objective& objective = tools_.objective;
  w.assign(objective.w(), objective.w() + tools_.points.d);
  a = objective.a();
  const Objective::Roundoff roundoff = objective.roundoff();
  std::vector<double> lows(tools_.pool.size(), kLowest);
  const auto pass = [&](unsigned t, size_t begin, size_t end) {
    tools_.control.check();
    alignas(64) float products[kPass] = {};
    for (; begin < end; begin += kPass) {
      const size_t stop = std::min(end, begin + kPass);
      if (factor != 0) {
        const size_t count = (stop - begin + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows;
        tools_.int8.product(rows.q(begin), count, rows.stride, vector_.data(), products);
      }
      const Estimate estimate = {
          .base_score = base_score.data() + begin,
          .q = q.data() + begin,
          .scale = rows.scale.data() + begin,
          .products = products,
          .base_error = base_error.data() + begin,
          .residual = rows.residual.data() + begin,
          .magnitude = rows.magnitude.data() + begin,
          .radius = radius.data() + begin,
          .da = da,
          .factor = factor,
          .distance = distance,
          .loose = base.loose,
          .roundoff_q = roundoff.q,
          .roundoff_radius = roundoff.radius,
          .roundoff = roundoff.constant,
          .score = score.data() + begin,
          .high = high.data() + begin,
      };
      lows[t] = std::max(lows[t], tools_.scores.estimate(estimate, stop - begin));
    }
  };
  if (size() <= kAlone)
    pass(0, 0, size());
  else
    tools_.pool.for_blocks(size(), kPass, pass);
  low = *std::max_element(lows.begin(), lows.end());
}

size_t Level::contenders() const {
  size_t count = 0;
  for (size_t i = 0; i < size(); ++i) count += high[i] >= low ? 1 : 0;
  return count;
}

void Level::part(double target, double da, double dw, std::vector<int32_t>& inside) {
  const auto key = [&](size_t i) { return high[i] + da * q[i] + 2 * dw * static_cast<double>(radius[i]); };
  keys_.clear();
  const size_t step = std::max<size_t>(1, size() / kSample);
  for (size_t i = 0; i < size(); i += step)
    if (rows.row[i] >= 0) keys_.push_back(key(i));
  const auto rank = static_cast<size_t>(target / static_cast<double>(alive()) * static_cast<double>(keys_.size()));
  double threshold = kLowest;
  if (rank < keys_.size()) {
    std::nth_element(keys_.begin(), keys_.begin() + static_cast<ptrdiff_t>(rank), keys_.end(), std::greater<>());
    threshold = keys_[rank];
  }

  const double per_bucket = Outsiders::kBuckets / std::max(radius_high_ - radius_low_, 1e-300);
  std::vector<Outsiders> others(tools_.pool.size());
  std::vector<std::vector<int32_t>> lists((size() + kPart - 1) / kPart);
  const auto sort_out = [&](unsigned t, size_t begin, size_t end) {
    std::vector<int32_t>& list = lists[begin / kPart];
    for (size_t i = begin; i < end; ++i) {
      if (rows.row[i] < 0) continue;
      if (high[i] >= low || key(i) >= threshold) {
        list.push_back(static_cast<int32_t>(i));
        continue;
      }
      const auto r = static_cast<double>(radius[i]);
      const auto bucket = std::min(Outsiders::kBuckets - 1, static_cast<size_t>((r - radius_low_) * per_bucket));
      others[t].add(bucket, high[i], q[i], r);
    }
  };
  if (lists.size() == 1)
    sort_out(0, 0, size());
  else
    tools_.pool.for_blocks(size(), kPart, sort_out);
  outsiders = Outsiders();
  for (const Outsiders& some : others) outsiders.merge(some);
  inside.clear();
  for (const std::vector<int32_t>& list : lists) inside.insert(inside.end(), list.begin(), list.end());
}

void Level::leave(size_t i, int32_t next) {
  rows.row[i] = next;
  if (next >= 0) return;
  base_score[i] = kLowest;
  score[i] = kLowest;
  high[i] = kLowest;
  ++dead;
}

void Level::compact() {
  size_t kept = 0;
  for (size_t i = 0; i < size(); ++i) {
    if (rows.row[i] < 0) continue;
    rows.move(i, kept);
    q[kept] = q[i];
    base_score[kept] = base_score[i];
    score[kept] = score[i];
    high[kept] = high[i];
    radius[kept] = radius[i];
    base_error[kept] = base_error[i];
    ++kept;
  }
  rows.row.resize(kept);
  dead = 0;
}

}  // namespace coregain
