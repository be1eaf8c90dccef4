#include "pairwise/points.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/cuda_library.h"
#include "core/error.h"
#include "strategies/rows.h"

namespace coregain::pairwise {
namespace {

constexpr size_t kBlock = 64;         // rows
constexpr size_t kStride = 64;        // bytes that a row's form is a multiple of
constexpr double kMostSquare = 1e37;  // float32 sums of products must not overflow
constexpr double kUlp = 0x1p-24;      // float32's unit of rounding
constexpr double kTogether = 128;     // products that the device sums before float64 takes over
constexpr size_t kMostInt8 = 131072;  // columns
static_assert(kMostInt8 * 127 * 127 < size_t{1} << 31);
constexpr double kLoose = 1 + 0x1p-20;  // for the rounding of the bounds themselves

size_t element_bytes(Precision precision) {
  return precision == Precision::kInt8 ? 1 : precision == Precision::kBf16 ? 2 : 4;
}

// To `bits` fewer bits of a float32's fraction: nearest, ties to even. Finite values below float32's top only.
// Subnormal ones become 0: what a tensor core makes of them is part of no bound.
uint32_t round_bits(double value, unsigned bits) {
  const auto word = std::bit_cast<uint32_t>(static_cast<float>(value));
  const uint32_t half = (uint32_t{1} << (bits - 1)) - 1 + (word >> bits & 1);
  const uint32_t rounded = (word + half) >> bits << bits;
  return (rounded & 0x7f800000) == 0 ? 0 : rounded;
}

// Writes y [d] rounded to the precision and gives the squared length of what is lost. `scale` is int8's.
double round_row(const double* y, size_t d, Precision precision, double scale, char* out) {
  double lost = 0;
  for (size_t j = 0; j < d; ++j) {
    double kept = 0;
    if (precision == Precision::kInt8) {
      const auto q = static_cast<int8_t>(std::nearbyint(y[j] / scale));
      std::memcpy(out + j, &q, 1);
      kept = q * scale;
    } else {
      const uint32_t word = precision == Precision::kFp32   ? std::bit_cast<uint32_t>(static_cast<float>(y[j]))
                            : precision == Precision::kTf32 ? round_bits(y[j], 13)
                                                            : round_bits(y[j], 16);
      kept = static_cast<double>(std::bit_cast<float>(word));
      const auto high = static_cast<uint16_t>(word >> 16);
      if (precision == Precision::kBf16)
        std::memcpy(out + 2 * j, &high, 2);
      else
        std::memcpy(out + 4 * j, &word, 4);
    }
    lost += (y[j] - kept) * (y[j] - kept);
  }
  return lost;
}

// A row's largest element becomes 127; a zero row, and one of numbers so small that division would lose their digits,
// keeps a scale that divides.
double int8_scale(const double* y, size_t d) {
  double most = 0;
  for (size_t j = 0; j < d; ++j) most = std::max(most, std::abs(y[j]));
  return most > kLeast ? most / 127 : 1;
}

// What sums of products are off by, as a share of |a| |b|; docs/kernels.md.
double gamma_of(Precision precision, bool on_device) {
  const auto sequence = [](double terms, double unit) { return terms * unit / (1 - terms * unit) + 0x1p-50; };
  if (precision == Precision::kInt8) return on_device ? 0x1p-50 : kUlp + 0x1p-50;
  if (precision == Precision::kFp32)
    return sequence((on_device ? kTogether : static_cast<double>(GemmKernel::kDepth)) + 1, kUlp);
  // a product, a sum that goes on, and a result, each of them cut off once
  return sequence(3 * kTogether + 1, 2 * kUlp);
}

void throw_far(size_t row) {
  throw Error("ERR_RANGE",
              "Row " + std::to_string(row) +
                  " is farther than 3e18 from the origin, more than float32 products can hold. Scale the embeddings.",
              static_cast<int64_t>(row));
}

}  // namespace

Points::Points(const PointsTask& task, Control& control)
    : task_(task), x_(task.x), pool_(std::make_unique<ThreadPool>(task.threads)) {
  const bool on_device = task.library != nullptr;
  if (!on_device && task.precision != Precision::kFp32 && task.precision != Precision::kInt8)
    throw Error(
        "ERR_PRECISION",
        "The processor has no tf32 and no bf16 kernels: use the precision \"fp32\" or \"int8\", or a CUDA device.");
  if (on_device && task.precision == Precision::kInt8 && x_.cols > kMostInt8)
    throw Error("ERR_PRECISION", "Sums of more than 131072 products of 8 bits do not fit in 32: use \"fp32\".");
  gamma_ = gamma_of(task.precision, on_device);
  // refuses what is not finite
  std::vector<double> mean = strategies::mean_of(x_, *pool_, control);
  if (task.normalize) {
    normalize(control);
    std::fill(mean.begin(), mean.end(), 0.0);
  }
  if (task.origin != nullptr)
    origin_.assign(task.origin, task.origin + x_.cols);
  else
    origin_ = std::move(mean);
  round(control);
  if (on_device) open_device();
}

Points::~Points() = default;

void Points::normalize(Control& control) {
  const size_t d = x_.cols, bytes = x_.is_double ? 8 : 4;
  unit_ = Buffer<char>(x_.rows * d * bytes);
  const Matrix from = x_;
  pool_->for_blocks(x_.rows, kBlock, [&](unsigned, size_t begin, size_t end) {
    control.check();
    for (size_t i = begin; i < end; ++i) {
      const auto at = [&](size_t j) { return from.is_double ? from.f64(i)[j] : static_cast<double>(from.f32(i)[j]); };
      // by the largest element first, so that no square over- or underflows
      double most = 0, sum = 0;
      for (size_t j = 0; j < d; ++j) most = std::max(most, std::abs(at(j)));
      for (size_t j = 0; j < d && most > 0; ++j) sum += at(j) / most * (at(j) / most);
      const double length = std::sqrt(sum);
      for (size_t j = 0; j < d; ++j) {
        const double value = most > 0 ? at(j) / most / length : 0;
        const auto narrow = static_cast<float>(value);
        std::memcpy(unit_.data() + (i * d + j) * bytes,
                    from.is_double ? static_cast<const void*>(&value) : static_cast<const void*>(&narrow), bytes);
      }
    }
  });
  x_.data = unit_.data();
}

void Points::round(Control& control) {
  const size_t n = x_.rows, d = x_.cols;
  stride_ = (d * element_bytes(task_.precision) + kStride - 1) / kStride * kStride;
  const size_t padded = (n + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows;
  forms_ = Buffer<char>(padded * stride_);
  std::fill(forms_.data() + n * stride_, forms_.data() + padded * stride_, char{0});
  squares_.resize(n);
  radius_.resize(n);
  residual_.resize(n);
  if (task_.precision == Precision::kInt8) scales_.resize(n);
  std::vector<size_t> far(pool_->size(), n);
  pool_->for_blocks(n, kBlock, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    std::vector<double> row(d);
    for (size_t i = begin; i < end; ++i) {
      char* const out = forms_.data() + i * stride_;
      std::memset(out, 0, stride_);
      double square = 0;
      for (size_t j = 0; j < d; ++j) {
        row[j] = y(i, j);
        square += row[j] * row[j];
      }
      if (!(square <= kMostSquare)) {
        far[t] = std::min(far[t], i);
        continue;
      }
      double scale = 1;
      if (task_.precision == Precision::kInt8) scales_[i] = scale = int8_scale(row.data(), d);
      squares_[i] = square;
      radius_[i] = std::sqrt(square) * kLoose;
      residual_[i] = std::sqrt(round_row(row.data(), d, task_.precision, scale, out)) * kLoose + radius_[i] * 0x1p-50;
    }
  });
  const size_t row = *std::min_element(far.begin(), far.end());
  if (row < n) throw_far(row);
}

Length Points::right(size_t row) const {
  if (task_.precision != Precision::kInt8 || device_ != nullptr) return left(row);
  // the largest of d elements becomes 32767; each is off by half a step
  return {radius_[row], radius_[row] * std::sqrt(static_cast<double>(cols())) / 65534 * kLoose};
}

double Points::error(const Length& a, const Length& b) const {
  const double underflow = static_cast<double>(cols()) * kUnderflow;
  return (a.residual * b.radius + (a.radius + a.residual) * b.residual +
          gamma_ * (a.radius + a.residual) * (b.radius + b.residual)) *
             kLoose +
         underflow;
}

void Points::open_device() {
  const CudaPointsProblem problem = {
      .device = task_.device,
      .precision = task_.precision,
      .rows = static_cast<int64_t>(rows()),
      .stride = static_cast<int64_t>(stride_),
      .forms = forms_.data(),
      .squares = squares_.data(),
      .scales = scales_.empty() ? nullptr : scales_.data(),
  };
  void* device = nullptr;
  CudaFailure failure;
  const CudaCode code = task_.library->points_open(&problem, &device, &failure);
  device_ = {device, task_.library->points_close};
  check_device(code, failure, Control());
  forms_ = Buffer<char>();  // the device has them
}

Terms split(const std::vector<double>& w, Precision precision, size_t stride) {
  // 24 bits and more: three times 8 (bfloat16, int8), twice 11 (tf32)
  Terms out;
  out.count = precision == Precision::kFp32 ? 2 : 3;
  out.forms.assign(out.count * stride, 0);
  double most = 0;
  for (const double value : w) most = std::max(most, std::abs(value));
  // by a power of two near 1, so that float32 products with rows stay in range
  out.unit = most > 0 ? std::exp2(std::ilogb(most)) : 1;
  std::vector<double> rest(w.size());
  for (size_t j = 0; j < w.size(); ++j) rest[j] = w[j] / out.unit;
  for (size_t t = 0; t < out.count; ++t) {
    char* const form = out.forms.data() + t * stride;
    const double scale = precision == Precision::kInt8 ? int8_scale(rest.data(), rest.size()) : 1;
    out.scales.push_back(scale * out.unit);
    out.residual = std::sqrt(round_row(rest.data(), rest.size(), precision, scale, form)) * kLoose * out.unit;
    for (size_t j = 0; j < rest.size(); ++j) {
      double kept = 0;
      if (precision == Precision::kInt8) {
        kept = static_cast<double>(static_cast<int8_t>(form[j])) * scale;
      } else {
        uint32_t word = 0;
        if (precision == Precision::kBf16)
          std::memcpy(reinterpret_cast<char*>(&word) + 2, form + 2 * j, 2);
        else
          std::memcpy(&word, form + 4 * j, 4);
        kept = static_cast<double>(std::bit_cast<float>(word));
      }
      rest[j] -= kept;
    }
  }
  return out;
}

void check_device(CudaCode code, const CudaFailure& failure, const Control& control) {
  if (code == CudaCode::kOk) return;
  if (code == CudaCode::kCancelled) control.check();
  throw cuda_error(code, failure);
}

}  // namespace coregain::pairwise
