#include "pairwise/products.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/dot.h"
#include "kernels/gemm.h"
#include "kernels/int8.h"
#include "kernels/vectors.h"
#include "linear/products.h"

namespace coregain::pairwise {
namespace {

constexpr size_t kGemmRows = GemmKernel::kRows, kPanel = GemmKernel::kPanel, kDepth = GemmKernel::kDepth;
constexpr double kLoose = 1 + 0x1p-20;
constexpr size_t kBoundRows = 2048;  // whose bounds a thread computes at a time

// The forms of some rows, one after the other.
void gather(const Points& points, const Chosen& rows, size_t first, size_t count, char* out) {
  for (size_t i = 0; i < count; ++i)
    std::memcpy(out + i * points.stride(), points.form(rows[first + i]), points.stride());
}

void float_group(const Points& points, const Chosen& left, const Chosen& right, size_t first_col, size_t cols,
                 const Control& control, const Take& take) {
  const GemmKernel& kernel = gemm_kernel(points.simd());
  const size_t width = points.stride() / sizeof(float);
  Buffer<char> gathered(cols * points.stride());
  gather(points, right, first_col, cols, gathered.data());
  const Matrix vectors = {gathered.data(), false, cols, width};
  const linear::Panels panels(linear::Part(vectors), {points.pool(), control, kernel});
  const size_t stride = panels.panels() * kPanel;
  // all rows lie in order, and whole blocks of them are there
  static_assert(Int8Kernel::kRows % kGemmRows == 0);
  const bool in_order = left.list == nullptr;
  struct Room {
    Buffer<char> rows;
    std::vector<double> sums;
  };
  std::vector<Room> rooms(points.pool().size());
  points.pool().for_blocks(left.count, kProductRows, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    Room& room = rooms[t];
    room.sums.assign(kProductRows * stride, 0);
    const size_t count = end - begin, whole = (count + kGemmRows - 1) / kGemmRows * kGemmRows;
    if (!in_order) {
      if (room.rows.size() == 0) room.rows = Buffer<char>(kProductRows * points.stride());
      gather(points, left, begin, count, room.rows.data());
      std::memset(room.rows.data() + count * points.stride(), 0, (whole - count) * points.stride());
    }
    const auto* const rows = reinterpret_cast<const float*>(in_order ? points.form(begin) : room.rows.data());
    for (size_t from = 0; from < width; from += kDepth) {
      const size_t depth = std::min(kDepth, width - from);
      for (size_t p = 0; p < panels.panels(); ++p)
        for (size_t i = 0; i < whole; i += kGemmRows)
          kernel.add(rows + i * width + from, width, 1, panels.at(p, from), depth, &room.sums[i * stride + p * kPanel],
                     stride, nullptr);
    }
    take(begin, count, first_col, cols, room.sums.data(), stride);
  });
}

// A row in 16 bits: the integers times the scale.
double round16(const VectorsKernel& kernel, const std::vector<double>& y, const std::vector<double>& ones,
               int16_t* out) {
  double most = 0;
  for (const double value : y) most = std::max(most, std::abs(value));
  const double scale = most > kLeast ? most / 32767 : 1;
  kernel.round16(y.data(), ones.data(), 1 / scale, scale, y.size(), out);
  return scale;
}

void int8_group(const Points& points, const Chosen& left, const Chosen& right, size_t first_col, size_t cols,
                const Control& control, const Take& take) {
  const Int8Kernel& kernel = int8_kernel(points.simd());
  const VectorsKernel& vectors = vectors_kernel(points.simd());
  const size_t stride = points.stride();
  const size_t packs = (cols + Int8Kernel::kVectors - 1) / Int8Kernel::kVectors * Int8Kernel::kVectors;
  Buffer<int16_t> plain(packs * stride), packed(packs * stride);
  std::fill_n(plain.data(), plain.size(), int16_t{0});
  std::vector<double> scales(cols), y(points.cols());
  const std::vector<double> ones(points.cols(), 1.0);
  for (size_t v = 0; v < cols; ++v) {
    for (size_t j = 0; j < y.size(); ++j) y[j] = points.y(right[first_col + v], j);
    scales[v] = round16(vectors, y, ones, plain.data() + v * stride);
  }
  kernel.pack(plain.data(), packs, stride, packed.data());
  struct Room {
    Buffer<char> rows;
    std::vector<float> raw;
    std::vector<double> sums;
  };
  std::vector<Room> rooms(points.pool().size());
  points.pool().for_blocks(left.count, kProductRows, [&](unsigned t, size_t begin, size_t end) {
    control.check();
    Room& room = rooms[t];
    if (room.rows.size() == 0) {
      room.rows = Buffer<char>(kProductRows * stride);
      room.raw.resize(packs * kProductRows);
      room.sums.resize(kProductRows * cols);
    }
    const size_t count = end - begin;
    gather(points, left, begin, count, room.rows.data());
    const size_t whole = (count + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows;
    std::memset(room.rows.data() + count * stride, 0, (whole - count) * stride);
    kernel.products(reinterpret_cast<const int8_t*>(room.rows.data()), whole, stride, packed.data(), cols,
                    room.raw.data(), kProductRows);
    for (size_t i = 0; i < count; ++i) {
      const double scale = points.scales()[left[begin + i]];
      for (size_t v = 0; v < cols; ++v)
        room.sums[i * cols + v] = static_cast<double>(room.raw[v * kProductRows + i]) * (scale * scales[v]);
    }
    take(begin, count, first_col, cols, room.sums.data(), cols);
  });
}

}  // namespace

void products(const Points& points, const Chosen& left, const Chosen& right, const Control& control, const Take& take) {
  for (size_t first = 0; first < right.count; first += kProductColumns) {
    const size_t cols = std::min(kProductColumns, right.count - first);
    if (points.precision() == Precision::kInt8)
      int8_group(points, left, right, first, cols, control, take);
    else
      float_group(points, left, right, first, cols, control, take);
  }
}

VectorProducts vector_products(const Points& points, const std::vector<double>& w, const Control& control) {
  const size_t n = points.rows(), d = points.cols(), stride = points.stride();
  VectorProducts out{std::vector<double>(n), std::vector<double>(n)};
  double square = 0;
  for (const double value : w) square += value * value;
  Length side{std::sqrt(square) * kLoose, 0};
  const Terms terms = split(w, points.precision(), stride);
  double gamma = points.gamma();
  if (points.device() != nullptr) {
    CudaFailure failure;
    check_device(points.library().points_products(points.device(), terms.forms.data(), terms.scales.data(),
                                                  static_cast<int32_t>(terms.count), out.values.data(), &failure),
                 failure, control);
    side.residual = terms.residual;
    // The lengths of the terms add up to less than this times |w|: a term leaves at most 2^-8 of each element, or in 8
    // bits sqrt(d) / 254 <= 1.5 of the largest.
    gamma *= points.precision() == Precision::kInt8 ? 8 : 1.02;
  } else if (points.precision() == Precision::kInt8) {
    const Int8Kernel& kernel = int8_kernel(points.simd());
    std::vector<int16_t> form(stride, 0);
    const std::vector<double> ones(d, 1.0);
    const double scale = round16(vectors_kernel(points.simd()), w, ones, form.data());
    side.residual = side.radius * std::sqrt(static_cast<double>(d)) / 65534 * kLoose;
    points.pool().for_blocks(n, kProductRows, [&](unsigned, size_t begin, size_t end) {
      control.check();
      float raw[kProductRows];
      const size_t whole = (end - begin + Int8Kernel::kRows - 1) / Int8Kernel::kRows * Int8Kernel::kRows;
      kernel.product(reinterpret_cast<const int8_t*>(points.form(begin)), whole, stride, form.data(), raw);
      for (size_t i = begin; i < end; ++i)
        out.values[i] = static_cast<double>(raw[i - begin]) * (points.scales()[i] * scale);
    });
  } else {
    const DotKernel& kernel = dot_kernel(points.simd());
    std::vector<float> form(std::max(kernel.padded(d), stride / sizeof(float)), 0);
    std::memcpy(form.data(), terms.forms.data(), d * sizeof(float));
    side.residual = side.radius * 0x1p-24;
    const double roundings = kernel.roundings(d) * 0x1p-24;
    gamma = roundings / (1 - roundings) + 0x1p-50;
    points.pool().for_blocks(n, kProductRows, [&](unsigned, size_t begin, size_t end) {
      control.check();
      for (size_t i = begin; i < end; i += DotKernel::kRows) {
        const float* rows[DotKernel::kRows];
        for (size_t r = 0; r < DotKernel::kRows; ++r)
          rows[r] = reinterpret_cast<const float*>(points.form(std::min(i + r, end - 1)));
        double sums[DotKernel::kRows];
        kernel.dot(rows, form.data(), d, sums);
        for (size_t r = 0; r < std::min(DotKernel::kRows, end - i); ++r) out.values[i + r] = sums[r] * terms.scales[0];
      }
    });
  }
  const double underflow = static_cast<double>(d * terms.count) * kUnderflow * terms.unit;
  points.pool().for_blocks(n, kBoundRows, [&](unsigned, size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const Length row = points.left(i);
      out.errors[i] = (row.residual * side.radius + (row.radius + row.residual) * side.residual +
                       gamma * (row.radius + row.residual) * (side.radius + side.residual)) *
                          kLoose +
                      underflow;
    }
  });
  return out;
}

}  // namespace coregain::pairwise
