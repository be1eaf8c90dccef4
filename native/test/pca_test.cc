// Products, eigenvectors and principal components against their definitions in float64.
#include "reduce/pca.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "fitted.h"
#include "linear/eigen.h"
#include "linear/products.h"
#include "spectrum.h"

namespace coregain {
namespace {

TEST("both products are float64 sums of float32 sums, the same bits at every level and for any number of threads") {
  for (const auto& [n, d, m] :
       {std::array<size_t, 3>{1, 1, 1}, {7, 5, 3}, {50, 400, 49}, {131, 193, 100}, {450, 210, 700}}) {
    const std::vector<float> x = normal(n * d, 1), v = normal(m * d, 2), l = normal(m * n, 3);
    const std::vector<double> shift(d, 0.25);
    const linear::Part part({x.data(), false, n, d}, shift.data());
    linear::Coefficients left(m, n);
    for (size_t i = 0; i < m; ++i) std::copy_n(&l[i * n], n, left.row(i));
    std::vector<double> first_projected, first_combined;
    for (const std::string& level : simd_levels()) {
      for (const unsigned threads : {1U, 3U}) {
        ThreadPool pool(threads);
        const Control control;
        const linear::Workers workers = {pool, control, gemm_kernel(level)};
        std::vector<double> projected(n * m), combined(m * d);
        const linear::Panels panels(linear::Part({v.data(), false, m, d}), workers);
        linear::project(part, panels, linear::kAll, workers,
                        [&](size_t row, size_t rows, size_t col, size_t cols, const double* block, size_t stride) {
                          for (size_t i = 0; i < rows; ++i)
                            for (size_t j = 0; j < cols; ++j)
                              projected[(row + i) * m + col + j] = block[i * stride + j];
                        });
        linear::combine(left, part, false, workers,
                        [&](size_t row, size_t rows, size_t col, size_t cols, const double* block, size_t stride) {
                          for (size_t i = 0; i < rows; ++i)
                            for (size_t j = 0; j < cols; ++j) combined[(row + i) * d + col + j] = block[i * stride + j];
                        });
        for (size_t i = 0; i < n; ++i) {
          for (size_t q = 0; q < m; ++q) {
            double sum = 0;
            for (size_t j = 0; j < d; ++j) sum += (x[i * d + j] - 0.25) * v[q * d + j];
            EXPECT(std::fabs(projected[i * m + q] - sum) < 1e-4);
          }
        }
        for (size_t q = 0; q < m; ++q) {
          for (size_t j = 0; j < d; ++j) {
            double sum = 0;
            for (size_t i = 0; i < n; ++i) sum += l[q * n + i] * (x[i * d + j] - 0.25);
            EXPECT(std::fabs(combined[q * d + j] - sum) < 1e-4);
          }
        }
        if (first_projected.empty()) {
          first_projected = projected;
          first_combined = combined;
        }
        EXPECT(projected == first_projected);
        EXPECT(combined == first_combined);
      }
    }
  }
}

TEST("eigenvectors satisfy their definition, are orthonormal, and are the same bits at every level") {
  std::mt19937_64 random(5);
  std::normal_distribution<double> distribution;
  for (const size_t n : {1U, 2U, 3U, 31U, 33U, 150U}) {
    for (const int kind : {0, 1, 2}) {  // full rank, rank 2, diagonal with equal values
      std::vector<double> a(n * n, 0);
      if (kind == 2) {
        for (size_t i = 0; i < n; ++i) a[i * n + i] = static_cast<double>(i % 3);
      } else {
        const size_t rank = kind == 0 ? n : 2;
        std::vector<double> f(n * rank);
        for (double& value : f) value = distribution(random);
        for (size_t i = 0; i < n; ++i)
          for (size_t j = 0; j <= i; ++j) {
            double sum = 0;
            for (size_t q = 0; q < rank; ++q) sum += (q % 2 == 0 ? 1 : -1) * f[i * rank + q] * f[j * rank + q];
            a[i * n + j] = a[j * n + i] = sum;
          }
      }
      std::vector<double> first;
      for (const std::string& level : simd_levels()) {
        ThreadPool pool(level == "scalar" ? 1 : 2);
        const Control control;
        Buffer<double> copy(n * n);
        std::copy(a.begin(), a.end(), copy.data());
        const linear::Eigen e = linear::eigen(copy, n, n, pool, control, doubles_kernel(level));
        const double size = std::max(std::fabs(e.values.front()), std::fabs(e.values.back())) + 1e-30;
        for (size_t q = 0; q < n; ++q) {
          if (q > 0) EXPECT(e.values[q - 1] >= e.values[q]);
          const double* const v = &e.vectors[q * n];
          for (size_t i = 0; i < n; ++i) {
            double sum = 0, product = 0;
            for (size_t j = 0; j < n; ++j) {
              sum += a[i * n + j] * v[j];
              product += e.vectors[i * n + j] * v[j];
            }
            EXPECT(std::fabs(sum - e.values[q] * v[i]) < 1e-13 * size * static_cast<double>(n + 10));
            EXPECT(std::fabs(product - (i == q ? 1 : 0)) < 1e-13 * static_cast<double>(n + 10));
          }
        }
        std::vector<double> all(e.vectors.data(), e.vectors.data() + n * n);
        if (first.empty()) first = all;
        EXPECT(all == first);
      }
    }
  }
}

// Eigenvalues of the covariance in float64, and the variance that k orthonormal rows capture.
struct Truth {
  std::vector<double> covariance, values;
  size_t d;
  explicit Truth(const std::vector<float>& x, size_t n, size_t cols) : covariance(cols * cols), d(cols) {
    std::vector<double> mean(d, 0);
    for (size_t i = 0; i < n * d; ++i) mean[i % d] += x[i] / static_cast<double>(n);
    for (size_t i = 0; i < n; ++i)
      for (size_t a = 0; a < d; ++a)
        for (size_t b = 0; b < d; ++b)
          covariance[a * d + b] += (x[i * d + a] - mean[a]) * (x[i * d + b] - mean[b]) / static_cast<double>(n - 1);
    Buffer<double> copy(d * d);
    std::copy(covariance.begin(), covariance.end(), copy.data());
    ThreadPool pool(1);
    values = linear::eigen(copy, d, 0, pool, Control(), doubles_kernel("")).values;
  }
  double captured(std::span<const float> vectors, size_t k) const {
    double sum = 0;
    for (size_t q = 0; q < k; ++q)
      for (size_t a = 0; a < d; ++a)
        for (size_t b = 0; b < d; ++b)
          sum +=
              static_cast<double>(vectors[q * d + a]) * covariance[a * d + b] * static_cast<double>(vectors[q * d + b]);
    return sum;
  }
};

TEST("every method finds the variance that there is, with scores that are the rows on the components") {
  struct Shape {
    size_t n, d, k, block;
  };
  for (const Shape& s : {Shape{300, 100, 10, 300}, {300, 100, 10, 70}, {90, 160, 12, 90}, {90, 160, 12, 25}}) {
    const std::vector<float> x = spectrum(s.n, s.d, 11);
    const Truth truth(x, s.n, s.d);
    const double best = std::accumulate(truth.values.begin(), truth.values.begin() + static_cast<ptrdiff_t>(s.k), 0.0);
    const Matrix matrix = {x.data(), false, s.n, s.d};
    for (const char* method : {"covariance", "gram", "krylov"}) {
      reduce::PcaTask task;
      task.method = method;
      task.dims = s.k;
      task.block_columns = 8;
      task.resident_rows = s.block == s.n ? s.n : 40;
      task.threads = 2;
      const Fitted got = fit(matrix, task, s.block);
      const size_t k = got.found.variance.size();
      EXPECT(k == s.k);
      // the rows of the result are orthonormal
      for (size_t a = 0; a < k; ++a)
        for (size_t b = 0; b <= a; ++b) {
          double product = 0;
          for (size_t j = 0; j < s.d; ++j)
            product += static_cast<double>(got.vectors[a * s.d + j]) * got.vectors[b * s.d + j];
          EXPECT(std::fabs(product - (a == b ? 1 : 0)) < 1e-4);
        }
      EXPECT(truth.captured(got.vectors, k) > best * (1 - 1e-3));
      EXPECT(std::fabs(got.found.total - std::accumulate(truth.values.begin(), truth.values.end(), 0.0)) <
             1e-5 * got.found.total);
      for (size_t q = 0; q < k; ++q) {
        if (std::string(method) != "krylov" || q < k / 2)
          EXPECT(std::fabs(got.found.variance[q] - truth.values[q]) < 2e-3 * truth.values[q] + 1e-5 * truth.values[0]);
        for (size_t i = 0; i < s.n; ++i) {
          double score = 0;
          for (size_t j = 0; j < s.d; ++j) score += (x[i * s.d + j] - got.found.mean[j]) * got.vectors[q * s.d + j];
          EXPECT(std::fabs(score - got.scores[i * k + q]) < 2e-4);
        }
      }
      // any number of threads and any level: the same bits
      for (const std::string& level : simd_levels()) {
        task.threads = level == "scalar" ? 3 : 1;
        task.simd = level;
        const Fitted again = fit(matrix, task, s.block);
        EXPECT(again.scores == got.scores);
        EXPECT(std::memcmp(again.vectors.data(), got.vectors.data(), k * s.d * sizeof(float)) == 0);
      }
    }
  }
}

TEST("rows that a pass may write over give what rows give that are left as they are") {
  const size_t n = 200, d = 120, k = 12;
  const std::vector<float> x = spectrum(n, d, 21);
  const std::vector<double> wide(x.begin(), x.end());
  for (const bool is_double : {false, true}) {
    const auto run = [&](bool overwrite) {
      std::vector<float> floats = x;
      std::vector<double> doubles = wide;
      reduce::PcaTask task;
      task.method = "krylov";
      task.dims = k;
      task.block_columns = 8;
      task.overwrite = overwrite;
      const void* const data = is_double ? static_cast<const void*>(doubles.data()) : floats.data();
      Fitted out = fit({data, is_double, n, d}, task, 64);
      EXPECT(overwrite != (floats == x && doubles == wide));
      return out;
    };
    const Fitted left = run(false), got = run(true);
    EXPECT(got.found.passes == left.found.passes);
    EXPECT(got.found.mean == left.found.mean);
    EXPECT(got.found.variance == left.found.variance);
    EXPECT(got.scores == left.scores);
    EXPECT(got.vectors == left.vectors);
  }
}

TEST("gram by columns is gram by rows, with the same bits for any slices, threads and levels") {
  const size_t d = 4300, k = 10;
  for (const size_t n : {3, 40, 391}) {
    // the last rows are far from the first ones, whose mean is taken off
    std::vector<float> x = spectrum(n, d, 51);
    for (size_t i = 200; i < n; ++i)
      for (size_t j = 0; j < d; ++j) x[i * d + j] += 0.1F * static_cast<float>(j % 7);
    const std::vector<double> wide(x.begin(), x.end());
    for (const bool about_zero : {false, true}) {
      reduce::PcaTask task;
      task.method = "gram";
      task.dims = k;
      task.resident_rows = n;
      task.about_zero = about_zero;
      const Matrix matrix = {x.data(), false, n, d};
      const Fitted rows = fit(matrix, task, n);
      task.by_columns = true;
      const Fitted got = fit(matrix, task, d);
      const size_t found = got.found.variance.size();
      EXPECT(found == rows.found.variance.size() && (about_zero || found == std::min(k, n - 1)));
      EXPECT(std::fabs(got.found.total - rows.found.total) < 1e-6 * rows.found.total);
      for (size_t j = 0; j < d; ++j) EXPECT(std::fabs(got.found.mean[j] - rows.found.mean[j]) < 1e-12);
      for (size_t q = 0; q < found; ++q) {
        EXPECT(std::fabs(got.found.variance[q] - rows.found.variance[q]) < 1e-5 * rows.found.variance[0]);
        for (size_t i = 0; i < n; ++i) {
          double score = 0;
          for (size_t j = 0; j < d; ++j) score += (x[i * d + j] - got.found.mean[j]) * got.vectors[q * d + j];
          EXPECT(std::fabs(score - got.scores[i * found + q]) < 1e-4 * std::sqrt(got.found.variance[0]));
        }
      }
      for (const std::string& level : simd_levels()) {
        for (const size_t slice : {4032U, 576U}) {
          for (const bool is_double : {false, true}) {
            task.threads = level == "scalar" ? 3 : is_double ? 1 : 2;
            task.simd = level;
            const Fitted again =
                fit({is_double ? static_cast<const void*>(wide.data()) : x.data(), is_double, n, d}, task, slice);
            EXPECT(again.scores == got.scores);
            EXPECT(again.found.mean == got.found.mean);
            EXPECT(again.vectors == got.vectors);
          }
        }
      }
    }
  }
}

TEST("krylov finds directions that the first rows, of which it starts, do not have") {
  const size_t n = 320, d = 200, first = 64, own = 80, k = 12;
  const std::vector<float> base = normal(n * d, 31);
  std::vector<float> x(n * d, 0);
  for (size_t i = 0; i < n; ++i) {
    const size_t from = i < first ? 0 : own, to = i < first ? own : d;
    for (size_t j = from; j < to; ++j) x[i * d + j] = base[i * d + j] / static_cast<float>(j - from + 1);
  }
  const Truth truth(x, n, d);
  const double best = std::accumulate(truth.values.begin(), truth.values.begin() + static_cast<ptrdiff_t>(k), 0.0);
  reduce::PcaTask task;
  task.method = "krylov";
  task.dims = k;
  task.block_columns = 4;
  const Fitted got = fit({x.data(), false, n, d}, task, first);
  EXPECT(got.found.variance.size() == k);
  EXPECT(truth.captured(got.vectors, k) > best * (1 - 3e-3));
}

TEST("krylov has room to find a few dimensions of many that are hardly smaller") {
  const size_t n = 700, d = 500;
  std::vector<float> x = normal(n * d, 41);
  for (size_t i = 0; i < n * d; ++i) x[i] /= std::sqrt(static_cast<float>(i % d + 1));
  const Truth truth(x, n, d);
  for (const size_t k : {1, 4, 16}) {
    reduce::PcaTask task;
    task.method = "krylov";
    task.dims = k;
    task.block_columns = 48;
    const Fitted got = fit({x.data(), false, n, d}, task, n);
    const double best = std::accumulate(truth.values.begin(), truth.values.begin() + static_cast<ptrdiff_t>(k), 0.0);
    EXPECT(truth.captured(got.vectors, k) > best * (1 - 1e-3));
  }
}

TEST("rows in few directions: no component is made of rounding") {
  const size_t n = 60, d = 80;
  const std::vector<float> base = normal(3 * d, 4), weights = normal(n * 3, 5);
  std::vector<float> x(n * d);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < d; ++j)
      x[i * d + j] =
          weights[i * 3] * base[j] + weights[i * 3 + 1] * base[d + j] + weights[i * 3 + 2] * base[2 * d + j] + 5;
  for (const char* method : {"covariance", "gram", "krylov"}) {
    reduce::PcaTask task;
    task.method = method;
    task.dims = 10;
    task.block_columns = 5;
    task.resident_rows = n;
    const Fitted got = fit({x.data(), false, n, d}, task, n);
    EXPECT(got.found.variance.size() == 3);
    EXPECT(got.found.rank == 3);
  }
}

TEST("equal rows and rows that are not finite are refused with the row") {
  std::vector<float> x(20 * 30, 1.5F);
  for (const char* method : {"covariance", "gram", "krylov"}) {
    reduce::PcaTask task;
    task.method = method;
    task.dims = 4;
    task.block_columns = 4;
    task.resident_rows = 20;
    std::string code;
    try {
      fit({x.data(), false, 20, 30}, task, 20);
    } catch (const Error& error) {
      code = error.code;
    }
    EXPECT(code == "ERR_PCA_NO_VARIANCE");
    x[13 * 30 + 7] = NAN;
    task.overwrite = std::string(method) == "krylov";
    const auto refused = [&](const char* with) {
      int64_t row = -1;
      try {
        fit({x.data(), false, 20, 30}, task, 20);
      } catch (const Error& error) {
        code = error.code;
        row = error.row;
      }
      EXPECT(code == with && row == 13);
    };
    refused("ERR_NOT_FINITE");
    if (std::string(method) == "gram") {
      task.by_columns = true;
      refused("ERR_NOT_FINITE");
      x[13 * 30 + 7] = 1e20F;
      refused("ERR_PCA_OVERFLOW");
      x[13 * 30 + 7] = 1.5F;
      code = "";
      try {
        fit({x.data(), false, 20, 30}, task, 20);
      } catch (const Error& error) {
        code = error.code;
      }
      EXPECT(code == "ERR_PCA_NO_VARIANCE");
    }
    x[13 * 30 + 7] = 1.5F;
  }
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
