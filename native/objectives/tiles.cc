#include "objectives/tiles.h"

#include <algorithm>
#include <utility>

namespace coregain::objectives {
namespace {

constexpr size_t kPanel = PanelKernel::kPoints;
// |x|^2 + |y|^2 - 2 x.y in float32 is off by about 2^-22 (|x|^2 + |y|^2): below 1e-5 up to here.
constexpr float kLargestSquare = 16;

}  // namespace

Tiles::Tiles(Pairs pairs)
    : pairs_(std::move(pairs)), same_(pairs_.a().data == pairs_.b().data && pairs_.a().rows == pairs_.b().rows) {
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
  const size_t panels = (x.rows + kPanel - 1) / kPanel;
  Copy out{.panels = Buffer<float>(panels * kPanel * x.cols), .squares = {}};
  if (!cosine) out.squares.assign(panels * kPanel, 0);
  context().pool.for_blocks(panels, 16, [&](unsigned, size_t first, size_t last) {
    for (size_t i = first * kPanel; i < last * kPanel; ++i) {
      float* to = out.panels.data() + i / kPanel * kPanel * x.cols + i % kPanel;
      if (i >= x.rows) {
        for (size_t j = 0; j < x.cols; ++j) to[j * kPanel] = 0;
        continue;
      }
      const auto at = [&](size_t j) { return x.is_double ? x.f64(i)[j] : static_cast<double>(x.f32(i)[j]); };
      double squared = 0;
      for (size_t j = 0; j < x.cols; ++j) squared += at(j) * at(j);
      const double factor = !cosine ? scale : squared > 0 ? 1 / std::sqrt(squared) : 0;
      double own = 0;
      for (size_t j = 0; j < x.cols; ++j) {
        const auto value = static_cast<float>((at(j) - mean[j]) * factor);
        own += static_cast<double>(value) * static_cast<double>(value);
        to[j * kPanel] = value;
      }
      if (!cosine) out.squares[i] = static_cast<float>(own);
    }
  });
  return out;
}

void Tiles::tile(const int32_t* rows, size_t count, size_t begin, size_t end, float* out) const {
  if (exact_) {
    for (size_t r = 0; r < count; ++r)
      for (size_t i = begin; i < end; ++i)
        out[r * kPoints + i - begin] = i < points() ? static_cast<float>(pairs_(i, static_cast<size_t>(rows[r]))) : 0.F;
    return;
  }
  const Copy& a = same_ ? b_ : a_;
  const size_t d = pairs_.a().cols;
  thread_local std::vector<float> gathered;
  gathered.resize(count * d);
  for (size_t r = 0; r < count; ++r) {
    const auto row = static_cast<size_t>(rows[r]);
    const float* from = b_.panels.data() + row / kPanel * kPanel * d + row % kPanel;
    for (size_t j = 0; j < d; ++j) gathered[r * d + j] = from[j * kPanel];
  }
  for (size_t i = begin; i < end; i += kPanel)
    context().kernel.products(a.panels.data() + i * d, gathered.data(), count, d, out + i - begin, kPoints);
  for (size_t r = 0; r < count; ++r) {
    float* s = out + r * kPoints;
    if (pairs_.measure() == Measure::kCosine) {
      context().kernel.similarity(s, end - begin);
    } else {
      const float own = b_.squares[static_cast<size_t>(rows[r])];
      for (size_t i = 0; i < end - begin; ++i) s[i] = std::exp(-std::max(0.F, a.squares[begin + i] + own - 2 * s[i]));
    }
  }
}

}  // namespace coregain::objectives
