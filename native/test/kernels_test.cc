// Float32 inner products stay within the bound that the engine's proof uses, on every instruction set.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "kernels/distances.h"
#include "kernels/dot.h"
#include "kernels/int8.h"
#include "kernels/layout.h"
#include "kernels/pairs.h"
#include "kernels/scores.h"
#include "kernels/vectors.h"

namespace coregain {
namespace {

TEST("inner products are within n u / (1 - n u) of the exact sum, for all lengths and alignments") {
  std::mt19937_64 random(1);
  std::normal_distribution<float> normal;
  for (const std::string& level : simd_levels()) {
    const DotKernel& kernel = dot_kernel(level);
    for (const size_t d : {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 768, 4095, 4096, 4097, 20001}) {
      // rows end where their memory ends, so that the address sanitizer sees a read beyond
      std::vector<std::vector<float>> rows(DotKernel::kRows, std::vector<float>(d + 1));
      std::vector<float> w(kernel.padded(d), 0);
      const float* pointers[DotKernel::kRows];
      for (size_t r = 0; r < DotKernel::kRows; ++r) {
        for (float& value : rows[r]) value = normal(random) + (r == 3 ? 100.0F : 0.0F);
        pointers[r] = rows[r].data() + 1;  // not aligned
      }
      for (size_t j = 0; j < d; ++j) w[j] = normal(random);
      double out[DotKernel::kRows];
      kernel.dot(pointers, w.data(), d, out);
      const double nu = kernel.roundings(d) * 0x1p-24;
      for (size_t r = 0; r < DotKernel::kRows; ++r) {
        long double exact = 0, magnitude = 0;
        for (size_t j = 0; j < d; ++j) {
          const long double term = static_cast<long double>(pointers[r][j]) * w[j];
          exact += term;
          magnitude += std::abs(term);
        }
        EXPECT(std::abs(static_cast<long double>(out[r]) - exact) <= nu / (1 - nu) * magnitude);
      }
    }
  }
}

TEST("inner products with integers are exact") {
  for (const std::string& level : simd_levels()) {
    const DotKernel& kernel = dot_kernel(level);
    for (size_t d = 1; d < 200; ++d) {
      std::vector<float> row(d), w(kernel.padded(d), 0);
      double expected = 0;
      for (size_t j = 0; j < d; ++j) {
        row[j] = static_cast<float>(j % 11) - 4;
        w[j] = static_cast<float>(j % 7) - 2;
        expected += static_cast<double>(row[j]) * w[j];
      }
      const float* pointers[DotKernel::kRows] = {row.data(), row.data(), row.data(), row.data()};
      double out[DotKernel::kRows];
      kernel.dot(pointers, w.data(), d, out);
      for (const double value : out) EXPECT(value == expected);
    }
  }
}

TEST("int8 products are the exact sum rounded to float32, extreme values and many columns included") {
  std::mt19937_64 random(2);
  for (const std::string& level : simd_levels()) {
    const Int8Kernel& kernel = int8_kernel(level);
    EXPECT(kernel.name == level);
    for (const size_t stride : {64, 128, 768, 4096, 4160, 66048}) {
      for (const bool extreme : {false, true}) {
        const size_t count = 48, vectors = 32, wanted = stride == 768 ? 19 : 32;
        std::vector<int8_t> rows(count * stride);
        std::vector<int16_t> v(vectors * stride), packed(vectors * stride);
        for (int8_t& value : rows) value = static_cast<int8_t>(extreme ? -127 : static_cast<int>(random() % 255) - 127);
        for (int16_t& value : v)
          value = static_cast<int16_t>(extreme ? 32767 : static_cast<int>(random() % 65535) - 32767);
        kernel.pack(v.data(), vectors, stride, packed.data());
        std::vector<float> out(wanted * (count + 3), -1), single(count);
        kernel.products(rows.data(), count, stride, packed.data(), wanted, out.data(), count + 3);
        kernel.product(rows.data(), count, stride, v.data(), single.data());
        for (size_t c = 0; c < wanted; ++c) {
          for (size_t i = 0; i < count; ++i) {
            int64_t exact = 0;
            for (size_t j = 0; j < stride; ++j) exact += int64_t{rows[i * stride + j]} * v[c * stride + j];
            EXPECT(out[c * (count + 3) + i] == static_cast<float>(exact));
            if (c == 0) EXPECT(single[i] == static_cast<float>(exact));
          }
        }
        EXPECT(out[count] == -1);  // nothing beyond the rows
      }
    }
  }
}

TEST("scores move by 2 q - factor * product, and each block knows its largest; bounds of a pass hold") {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  constexpr size_t n = 96;
  for (const std::string& level : simd_levels()) {
    const ScoresKernel& kernel = scores_kernel(level);
    std::vector<double> scores(n), before, twice_q(n), maxima(n / ScoresKernel::kBlock);
    std::vector<float> products(n);
    for (size_t i = 0; i < n; ++i) {
      scores[i] = i == 40 ? -INFINITY : normal(random);
      twice_q[i] = normal(random);
      products[i] = static_cast<float>(normal(random));
    }
    before = scores;
    kernel.update(scores.data(), twice_q.data(), products.data(), 3, n, maxima.data());
    for (size_t b = 0; b < maxima.size(); ++b) {
      double largest = -INFINITY;
      for (size_t i = b * ScoresKernel::kBlock; i < (b + 1) * ScoresKernel::kBlock; ++i) {
        const double expected = before[i] + twice_q[i] - 3 * static_cast<double>(products[i]);
        EXPECT(i == 40 ? scores[i] == -INFINITY : std::abs(scores[i] - expected) < 1e-14);
        largest = std::max(largest, scores[i]);
      }
      EXPECT(largest == maxima[b]);
    }

    std::vector<float> some(n, 0.5F);
    std::vector<double> score(n), high(n);
    const size_t odd = 91;  // no multiple of a register
    const Estimate estimate = {.base_score = before.data(),
                               .q = twice_q.data(),
                               .scale = some.data(),
                               .products = products.data(),
                               .base_error = some.data(),
                               .residual = some.data(),
                               .magnitude = some.data(),
                               .radius = some.data(),
                               .da = 2,
                               .factor = -3,
                               .distance = 0.25,
                               .loose = 0.125,
                               .roundoff_q = 1e-3,
                               .roundoff_radius = 1e-2,
                               .roundoff = 1e-4,
                               .score = score.data(),
                               .high = high.data()};
    const double low = kernel.estimate(estimate, odd);
    double best = -INFINITY;
    for (size_t i = 0; i < odd; ++i) {
      if (i == 40) continue;
      const double expected = before[i] + 2 * twice_q[i] - 1.5 * static_cast<double>(products[i]);
      const double error = 0.5 + 0.125 + 0.0625 + 1e-3 * std::abs(twice_q[i]) + 5e-3 + 1e-4;
      EXPECT(std::abs(score[i] - expected) < 1e-14);
      EXPECT(high[i] >= expected + error && high[i] < expected + error * 1.001);
      best = std::max(best, expected - error);
    }
    EXPECT(high[40] == -INFINITY);
    EXPECT(low <= best && low > best - 0.01);
  }
}

TEST("vector arithmetic agrees with plain loops, for all lengths") {
  std::mt19937_64 random(4);
  std::normal_distribution<double> normal;
  for (const std::string& level : simd_levels()) {
    const VectorsKernel& kernel = vectors_kernel(level);
    for (const size_t d : {1, 2, 3, 8, 15, 16, 17, 33, 100}) {
      std::vector<double> a(d), b(d), s(d), out(d);
      std::vector<float> from(d), narrow(d);
      double distance = 0, scaled = 0, product = 0, top = 0, square = 0;
      for (size_t j = 0; j < d; ++j) {
        a[j] = normal(random);
        b[j] = normal(random);
        s[j] = j % 2 == 0 ? 0.5 : 2;
        from[j] = static_cast<float>(normal(random));
        distance += (a[j] - b[j]) * (a[j] - b[j]);
        scaled += s[j] * s[j] * (a[j] - b[j]) * (a[j] - b[j]);
        product += a[j] * b[j];
        top = std::max(top, std::abs(a[j] * s[j]));
        square += a[j] * s[j] * a[j] * s[j];
      }
      const auto near = [](double got, double want) { return std::abs(got - want) <= 1e-12 * (1 + std::abs(want)); };
      EXPECT(near(kernel.distance(a.data(), b.data(), d), distance));
      EXPECT(near(kernel.scaled_distance(a.data(), b.data(), s.data(), d), scaled));
      EXPECT(near(kernel.product(a.data(), b.data(), d), product));
      double got_square = 0;
      EXPECT(kernel.largest(a.data(), s.data(), d, &got_square) == top);
      EXPECT(near(got_square, square));
      kernel.centre(from.data(), b.data(), 0.5, d, out.data());
      kernel.narrow(a.data(), 4, d, narrow.data());
      const double scale = top / 100;
      std::vector<int16_t> wide(d);
      std::vector<int8_t> byte(d);
      double kept = 0, want_kept = 0, want_rest = 0;
      const double rest16 = kernel.round16(a.data(), s.data(), 1 / scale, scale, d, wide.data());
      const double rest8 = kernel.round8(a.data(), s.data(), 1 / scale, scale, d, byte.data(), &kept);
      for (size_t j = 0; j < d; ++j) {
        EXPECT(near(out[j], static_cast<double>(from[j]) * 0.5 - b[j]));
        EXPECT(narrow[j] == static_cast<float>(a[j] * 4));
        EXPECT(wide[j] == static_cast<int16_t>(std::rint(a[j] * s[j] * (1 / scale))) && byte[j] == wide[j]);
        want_kept += wide[j] * wide[j];
        const double error = a[j] * s[j] - wide[j] * scale;
        want_rest += error * error;
      }
      EXPECT(near(rest16, want_rest) && near(rest8, want_rest) && near(kept, want_kept));
    }
  }
}

TEST("what pairwise kernels make of products: the plain formulas, the same bits at every level and length") {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal;
  for (const std::string& level : simd_levels()) {
    const PairsKernel& kernel = pairs_kernel(level);
    for (size_t n = 0; n < 40; ++n) {
      std::vector<double> products(n), squares(n), sums(n, 0.25), expected(n, 0.25);
      for (size_t j = 0; j < n; ++j) {
        products[j] = normal(random);
        squares[j] = std::abs(normal(random));
      }
      std::vector<float> out(n + 1, -1);
      kernel.distances(products.data(), 0.7, squares.data(), n, out.data());
      kernel.rise(products.data(), 0.3, n, sums.data());
      double least = std::numeric_limits<double>::infinity();
      for (size_t j = 0; j < n; ++j) {
        const double square = squares[j] - 2 * products[j];
        least = std::min(least, square);
        expected[j] += std::max(0.0, 0.5 + 0.5 * products[j] - 0.3);
        EXPECT(out[j] == static_cast<float>(std::max(0.0, 0.7 + squares[j] - 2 * products[j])));
      }
      EXPECT(out[n] == -1);
      EXPECT(sums == expected);
      EXPECT(kernel.least(products.data(), squares.data(), n) == least);
    }
  }
}

TEST("squared distances and products of distances.h: near the plain sums, and the same bits at every level") {
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  constexpr size_t kRows = DistancesKernel::kRows;
  for (const size_t stride : {16, 32, 48, 768, 4112}) {
    std::vector<float> x((kRows + 1) * stride);
    for (float& value : x) value = 3 + normal(random);
    const float* rows[kRows];
    for (size_t r = 0; r < kRows; ++r) rows[r] = &x[(r + 1) * stride];
    float first[kRows], first_product = 0;
    distances_kernel("scalar").squares(x.data(), rows, stride, first);
    first_product = distances_kernel("scalar").product(x.data(), rows[0], stride);
    for (size_t r = 0; r < kRows; ++r) {
      double exact = 0;
      for (size_t j = 0; j < stride; ++j) {
        const double difference = static_cast<double>(x[j]) - static_cast<double>(rows[r][j]);
        exact += difference * difference;
      }
      EXPECT(std::abs(static_cast<double>(first[r]) - exact) <= 1e-5 * exact);
      const float* back[kRows] = {x.data(), rows[1], rows[2], x.data()};
      float turned[kRows];
      distances_kernel("scalar").squares(rows[r], back, stride, turned);
      EXPECT(turned[0] == first[r] && turned[3] == first[r]);
    }
    double product = 0;
    for (size_t j = 0; j < stride; ++j) product += static_cast<double>(x[j]) * static_cast<double>(rows[0][j]);
    EXPECT(std::abs(static_cast<double>(first_product) - product) <= 1e-5 * product);
    for (const std::string& level : simd_levels()) {
      float again[kRows];
      distances_kernel(level).squares(x.data(), rows, stride, again);
      EXPECT(std::equal(first, first + kRows, again));
      EXPECT(distances_kernel(level).product(x.data(), rows[0], stride) == first_product);
    }
  }
}

// What the step does, in float64 and one after the other.
std::vector<double> plain_use(std::vector<double> point, const std::vector<std::vector<float>>& rows,
                              const LayoutKernel::Step& step) {
  const auto square_to = [&](const std::vector<double>& from, size_t r) {
    double square = 0;
    for (size_t j = 0; j < from.size(); ++j) {
      const double difference = from[j] - static_cast<double>(rows[r][j]);
      square += difference * difference;
    }
    return square;
  };
  const auto move = [&](const std::vector<double>& from, size_t r, double factor) {
    for (size_t j = 0; j < from.size(); ++j) {
      const double gradient = factor * (from[j] - static_cast<double>(rows[r][j]));
      point[j] += static_cast<double>(step.rate) * std::min(4.0, std::max(-4.0, gradient));
    }
  };
  for (size_t pull = 0; pull < step.pulls; ++pull) {
    const double s = square_to(point, 0), p = std::pow(s, step.b);
    if (s > 0) move(std::vector<double>(point), 0, -2 * step.a * step.b * p / (s * (step.a * p + 1)));
  }
  const std::vector<double> from = point;
  for (size_t r = 1; r <= LayoutKernel::kAway; ++r) {
    const double s = square_to(from, r);
    if (s > 0) move(from, r, 2 * step.b / ((0.001 + s) * (step.a * std::pow(s, step.b) + 1)));
  }
  return point;
}

TEST("a use of an edge: the gradients of UMAP, clipped, equal rows too; the same bits at every level") {
  std::mt19937_64 random(6);
  std::normal_distribution<float> normal;
  constexpr size_t kAway = LayoutKernel::kAway, kTogether = LayoutKernel::kTogether;
  for (const size_t d : {1, 2, 3, 5, 7, 16, 64, 528}) {
    // at 0.01 apart rows repel so much that steps are clipped
    for (const float apart : {3.0F, 0.3F, 0.01F, 0.0F}) {
      for (const size_t pulls : {1, 2}) {
        const LayoutKernel::Step step = {1.577, 0.8951, 0.5F, pulls};
        std::vector<std::vector<float>> rows(1 + kAway, std::vector<float>(d));
        std::vector<float> point(d);
        for (auto& row : rows)
          for (float& value : row) value = 1 + apart * normal(random);
        for (float& value : point) value = 1 + apart * normal(random);
        const std::vector<double> wanted = plain_use({point.begin(), point.end()}, rows, step);
        std::vector<float> first;
        for (const std::string& level : simd_levels()) {
          const LayoutKernel& kernel = layout_kernel(level);
          std::vector<float> moved = point;
          if (d <= LayoutKernel::kFew) {
            std::vector<float> together(d * kTogether);
            for (size_t c = 0; c < d; ++c) std::fill_n(&together[c * kTogether], kTogether, point[c]);
            const float *target[kTogether], *away[kAway * kTogether];
            for (size_t t = 0; t < kTogether; ++t) {
              target[t] = rows[0].data();
              for (size_t s = 0; s < kAway; ++s) away[s * kTogether + t] = rows[1 + s].data();
            }
            kernel.use_few(together.data(), target, away, d, step);
            for (size_t c = 0; c < d; ++c) {
              moved[c] = together[c * kTogether];
              for (size_t t = 1; t < kTogether; ++t) EXPECT(together[c * kTogether + t] == moved[c]);
            }
          } else {
            const float* away[kAway];
            for (size_t s = 0; s < kAway; ++s) away[s] = rows[1 + s].data();
            kernel.use(moved.data(), rows[0].data(), away, d, step);
          }
          if (first.empty()) first = moved;
          EXPECT(moved == first);
          bool near = true;
          for (size_t c = 0; c < d; ++c)
            near = near && std::abs(static_cast<double>(moved[c]) - wanted[c]) < 1e-3 * (1 + std::abs(wanted[c]));
          EXPECT(near);
        }
      }
    }
  }
}

TEST("powers of the layout to ten digits") {
  for (const std::string& level : simd_levels()) {
    for (double x = 1e-37; x < 1e38; x *= 1.7) {
      double from[LayoutKernel::kTogether], out[LayoutKernel::kTogether];
      for (size_t t = 0; t < LayoutKernel::kTogether; ++t) from[t] = x * (1 + 0.05 * static_cast<double>(t));
      layout_kernel(level).power(from, 0.8951, out);
      for (size_t t = 0; t < LayoutKernel::kTogether; ++t)
        EXPECT(std::abs(out[t] / std::pow(from[t], 0.8951) - 1) < 1e-10);
    }
  }
}

TEST("a level that the machine lacks is refused") {
  EXPECT_THROWS(layout_kernel("sse9"));
  EXPECT_THROWS(distances_kernel("sse9"));
  EXPECT_THROWS(dot_kernel("sse9"));
  EXPECT_THROWS(int8_kernel("sse9"));
  EXPECT(int8_kernel("").name == simd_levels().front());
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
