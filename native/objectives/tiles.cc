#include "objectives/tiles.h"

#include <algorithm>
#include <utility>

namespace coregain::objectives {
namespace {

// |x|^2 + |y|^2 - 2 x.y in float32 is off by about 2^-22 (|x|^2 + |y|^2): below 1e-5 up to here.
constexpr float kLargestSquare = 16;

}  // namespace

Tiles::Tiles(Pairs pairs)
    : pairs_(std::move(pairs)),
      stride_(pairs_.context().kernel.padded(pairs_.a().cols)),
      same_(pairs_.a().data == pairs_.b().data && pairs_.a().rows == pairs_.b().rows) {
  const bool cosine = pairs_.measure() == Measure::kCosine;
  const std::vector<double> mean = cosine ? std::vector<double>(pairs_.b().cols, 0) : column_means(pairs_.b());
  const double scale = cosine ? 1 : std::sqrt(pairs_.gamma());
  b_ = copy(pairs_.b(), mean, scale);
  if (!same_) a_ = copy(pairs_.a(), mean, scale);
  for (const Copy* side : {&a_, &b_})
    for (const float square : side->squares) exact_ = exact_ || !(square <= kLargestSquare);
  if (!exact_) return;
  a_ = {};
  b_ = {};
}

Tiles::Copy Tiles::copy(const Matrix& x, const std::vector<double>& mean, double scale) const {
  const bool cosine = pairs_.measure() == Measure::kCosine;
  Copy out{.rows = Buffer<float>(x.rows * stride_), .squares = {}};
  if (!cosine) out.squares.resize(x.rows);
  pairs_.context().pool.for_blocks(x.rows, 256, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float* to = out.rows.data() + i * stride_;
      const auto at = [&](size_t j) { return x.is_double ? x.f64(i)[j] : static_cast<double>(x.f32(i)[j]); };
      double squared = 0;
      for (size_t j = 0; j < x.cols; ++j) squared += at(j) * at(j);
      const double factor = !cosine ? scale : squared > 0 ? 1 / std::sqrt(squared) : 0;
      double own = 0;
      for (size_t j = 0; j < x.cols; ++j) {
        to[j] = static_cast<float>((at(j) - mean[j]) * factor);
        own += static_cast<double>(to[j]) * static_cast<double>(to[j]);
      }
      std::fill(to + x.cols, to + stride_, 0.F);
      if (!cosine) out.squares[i] = static_cast<float>(own);
    }
  });
  return out;
}

void Tiles::tile(const int32_t* rows, size_t count, size_t begin, size_t end, float* out) const {
  if (exact_) {
    for (size_t r = 0; r < count; ++r)
      for (size_t i = begin; i < end; ++i)
        out[r * kPoints + i - begin] = static_cast<float>(pairs_(i, static_cast<size_t>(rows[r])));
    return;
  }
  constexpr size_t kGroup = DotKernel::kRows;
  const Copy& a = same_ ? b_ : a_;
  const DotKernel& kernel = pairs_.context().kernel;
  const size_t d = pairs_.a().cols;
  const bool cosine = pairs_.measure() == Measure::kCosine;
  for (size_t i = begin; i < end; i += kGroup) {
    const float* points[kGroup];
    for (size_t g = 0; g < kGroup; ++g) points[g] = a.rows.data() + std::min(i + g, end - 1) * stride_;
    const size_t wanted = std::min(kGroup, end - i);
    for (size_t r = 0; r < count; ++r) {
      double products[kGroup];
      const auto row = static_cast<size_t>(rows[r]);
      kernel.dot(points, b_.rows.data() + row * stride_, d, products);
      float* to = out + r * kPoints + i - begin;
      for (size_t g = 0; g < wanted; ++g) {
        if (cosine) {
          to[g] = static_cast<float>(std::clamp(0.5 + 0.5 * products[g], 0.0, 1.0));
        } else {
          const double squared =
              static_cast<double>(a.squares[i + g]) + static_cast<double>(b_.squares[row]) - 2 * products[g];
          to[g] = static_cast<float>(std::exp(-std::max(0.0, squared)));
        }
      }
    }
  }
}

}  // namespace coregain::objectives
