// Eigenvectors of symmetric matrices against Jacobi's method and their definition.
#include "linear/eigen.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "check.h"
#include "core/cpu.h"
#include "core/error.h"
#include "linear/secular.h"

namespace coregain {
namespace {

using Square = std::vector<double>;  // [n, n]

// Descending eigenvalues by rotations that make one element after the other 0: slow, and accurate.
std::vector<double> jacobi(Square a, size_t n) {
  for (int sweep = 0; sweep < 60; ++sweep) {
    bool turned = false;
    for (size_t p = 0; p + 1 < n; ++p) {
      for (size_t q = p + 1; q < n; ++q) {
        const double off = a[p * n + q];
        if (std::fabs(off) <= 1e-17 * std::sqrt(std::fabs(a[p * n + p])) * std::sqrt(std::fabs(a[q * n + q])) ||
            std::fabs(off) < 1e-306)
          continue;
        turned = true;
        const double theta = (a[q * n + q] - a[p * n + p]) / (2 * off);
        const double t = (theta < 0 ? -1 : 1) / (std::fabs(theta) + std::hypot(theta, 1));
        const double c = 1 / std::hypot(t, 1), s = t * c;
        for (size_t j = 0; j < n; ++j) {
          const double x = a[p * n + j], y = a[q * n + j];
          a[p * n + j] = c * x - s * y;
          a[q * n + j] = s * x + c * y;
        }
        for (size_t i = 0; i < n; ++i) {
          const double x = a[i * n + p], y = a[i * n + q];
          a[i * n + p] = c * x - s * y;
          a[i * n + q] = s * x + c * y;
        }
      }
    }
    if (!turned) break;
  }
  std::vector<double> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = a[i * n + i];
  std::sort(values.begin(), values.end(), std::greater<>());
  return values;
}

Square tridiagonal(const std::vector<double>& diagonal, const std::vector<double>& beside) {
  const size_t n = diagonal.size();
  Square a(n * n, 0);
  for (size_t i = 0; i < n; ++i) {
    a[i * n + i] = diagonal[i];
    if (i + 1 < n) a[i * n + i + 1] = a[(i + 1) * n + i] = beside[i];
  }
  return a;
}

Square symmetric(size_t n, unsigned seed, const std::function<double(size_t, size_t, double)>& element) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Square a(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = element(i, j, normal(random));
  return a;
}

// Orthonormal rows times these values: reflections of a diagonal.
Square spectrum(const std::vector<double>& values, unsigned seed) {
  const size_t n = values.size();
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Square a(n * n, 0);
  for (size_t i = 0; i < n; ++i) a[i * n + i] = values[i];
  for (int turn = 0; turn < 3; ++turn) {
    std::vector<double> u(n), p(n, 0);
    double squares = 0, half = 0;
    for (double& x : u) x = normal(random);
    for (const double x : u) squares += x * x;
    for (double& x : u) x *= std::sqrt(2 / squares);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) p[i] += a[i * n + j] * u[j];
    for (size_t i = 0; i < n; ++i) half += p[i] * u[i] / 2;
    for (size_t i = 0; i < n; ++i) p[i] -= half * u[i];
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j <= i; ++j) a[i * n + j] = a[j * n + i] = a[i * n + j] - (u[i] * p[j] + p[i] * u[j]);
  }
  return a;
}

linear::Eigen solve(const Square& a, size_t n, size_t count, unsigned threads, const std::string& level) {
  ThreadPool pool(threads);
  const Control control;
  Buffer<double> copy(n * n);
  std::copy(a.begin(), a.end(), copy.data());
  return linear::eigen(copy, n, count, pool, control, doubles_kernel(level));
}

// Levels whose kernels differ.
std::vector<std::string> levels() {
  std::vector<std::string> out;
  for (const std::string& level : simd_levels())
    if (out.empty() || &doubles_kernel(level) != &doubles_kernel(out.back())) out.push_back(level);
  return out;
}

bool equal(const Buffer<double>& a, const Buffer<double>& b, size_t count) {
  return std::memcmp(a.data(), b.data(), count * sizeof(double)) == 0;
}

// The definition, the values of Jacobi's method, and the same bits whoever computes.
void holds(const std::string& name, const Square& a, size_t n) {
  const int before = check::failures();
  const linear::Eigen e = solve(a, n, n, 1, "");
  const double size = std::max(std::fabs(e.values.front()), std::fabs(e.values.back()));
  const double unit = size == 0 ? 1 : size;
  double residual = 0, product = 0, value = 0;
  for (size_t q = 0; q < n; ++q) {
    EXPECT(q == 0 || e.values[q - 1] >= e.values[q]);
    const double* const v = &e.vectors[q * n];
    for (size_t i = 0; i < n; ++i) {
      long double left = 0, inner = 0;
      for (size_t j = 0; j < n; ++j) {
        left += static_cast<long double>(a[i * n + j] / unit) * v[j];
        inner += static_cast<long double>(e.vectors[i * n + j]) * v[j];
      }
      residual = std::max(residual, static_cast<double>(std::fabs(left - e.values[q] / unit * v[i])));
      product = std::max(product, static_cast<double>(std::fabs(inner - (i == q ? 1 : 0))));
    }
  }
  const linear::Eigen only = solve(a, n, 0, 1, "");
  EXPECT(only.values.size() == n);
  for (size_t q = 0; q < n; ++q) value = std::max(value, std::fabs(only.values[q] - e.values[q]) / unit);
  if (n <= 70) {
    Square scaled = a;
    for (double& x : scaled) x /= unit;
    const std::vector<double> truth = jacobi(scaled, n);
    for (size_t q = 0; q < n; ++q) value = std::max(value, std::fabs(truth[q] - e.values[q] / unit));
  }
  EXPECT(residual < 3e-14);
  EXPECT(product < 3e-14);
  EXPECT(value < 3e-14);

  const size_t few = (n + 2) / 3;
  for (const std::string& level : levels()) {
    for (const unsigned threads : {1U, 2U, 7U}) {
      if (n > 100 && level != simd_levels().front() && threads != 2) continue;
      const linear::Eigen other = solve(a, n, threads == 7 ? few : n, threads, level);
      EXPECT(other.values == e.values);
      EXPECT(equal(other.vectors, e.vectors, other.vectors.size()));
      EXPECT(solve(a, n, 0, threads, level).values == only.values);
    }
  }
  if (check::failures() != before)
    std::fprintf(stderr, "  %s, n = %zu: residual %.1e, products %.1e, values %.1e\n", name.c_str(), n, residual,
                 product, value);
}

TEST(
    "eigenvectors of all sizes, below and beyond what is solved whole, what one thread does and a block of "
    "reflections") {
  for (const size_t n : {1U, 2U, 3U, 4U, 7U, 8U, 9U, 31U, 32U, 33U, 34U, 64U, 65U, 97U, 98U, 130U, 256U, 257U, 300U})
    holds("normal", symmetric(n, 3, [](size_t, size_t, double x) { return x; }), n);
  holds("normal", symmetric(530, 3, [](size_t, size_t, double x) { return x; }), 530);
}

TEST("matrices without couplings: zeros, diagonals with equal values, blocks") {
  for (const size_t n : {1U, 2U, 3U, 65U, 280U}) {
    holds("zero", Square(n * n, 0), n);
    holds("identity", symmetric(n, 1, [](size_t i, size_t j, double) { return i == j ? 1 : 0; }), n);
    holds("diagonal", symmetric(n, 1, [](size_t i, size_t j, double) { return i == j ? (i * 7) % 5 - 2.0 : 0; }), n);
    holds("blocks", symmetric(n, 1, [](size_t i, size_t j, double x) { return i / 40 == j / 40 ? x : 0; }), n);
  }
}

TEST("clusters: identity plus rank 1, all ones, few directions, equal values turned") {
  for (const size_t n : {2U, 3U, 66U, 270U}) {
    const auto f = [](size_t i) { return std::sin(static_cast<double>(i * i + 1)); };
    holds("rank 1", symmetric(n, 1, [&](size_t i, size_t j, double) { return (i == j) + f(i) * f(j); }), n);
    holds("ones", Square(n * n, 1), n);
    holds("few", symmetric(n, 1, [&](size_t i, size_t j, double) { return f(i) * f(j) - f(3 * i) * f(3 * j); }), n);
    std::vector<double> values(n);
    for (size_t i = 0; i < n; ++i) values[i] = static_cast<double>(i % 3);
    holds("three values", spectrum(values, 2), n);
    for (size_t i = 0; i < n; ++i) values[i] = 1 + 1e-14 * static_cast<double>(i);
    holds("close", spectrum(values, 2), n);
    for (size_t i = 0; i < n; ++i) values[i] = i == 0 ? 1 : 0x1p-53;
    holds("one large", spectrum(values, 2), n);
  }
}

TEST("graded matrices, and values near both ends of what a double holds") {
  for (const size_t n : {3U, 40U, 264U}) {
    const auto power = [n](size_t i, double range) { return std::pow(10.0, -range * static_cast<double>(i) / n); };
    for (const double range : {16.0, 300.0}) {
      holds("falling",
            symmetric(n, 4,
                      [&](size_t i, size_t j, double x) {
                        return (i == j ? 2 : x / static_cast<double>(n)) * power(i, range) * power(j, range / 2);
                      }),
            n);
      const auto rising = symmetric(n, 4, [&](size_t i, size_t j, double x) {
        return (i == j ? 2 : x / static_cast<double>(n)) * power(n - i, range / 2) * power(n - j, range / 2);
      });
      holds("rising", rising, n);
      std::vector<double> values(n);
      for (size_t i = 0; i < n; ++i) values[i] = power(i, range);
      holds("spectrum", spectrum(values, 2), n);
    }
    for (const double unit : {1e300, 1e-300})
      holds("unit", symmetric(n, 5, [&](size_t, size_t, double x) { return unit * x; }), n);
    holds("both", symmetric(n, 5, [&](size_t i, size_t j, double x) { return (i + j < 2 ? 1e300 : 1e-300) * x; }), n);
    std::vector<double> diagonal(n), beside(n);
    for (size_t i = 0; i < n; ++i) diagonal[i] = power(i, 300), beside[i] = power(i, 280) / 2;
    holds("graded tridiagonal", tridiagonal(diagonal, beside), n);
  }
}

TEST("tridiagonal matrices whose values come in pairs: Wilkinson's W21+, glued; second differences") {
  for (const double glue : {1e-14, 1e-8, 1e-2}) {
    for (const size_t copies : {1U, 3U, 14U}) {
      std::vector<double> diagonal, beside;
      for (size_t c = 0; c < copies; ++c) {
        for (int i = -10; i <= 10; ++i) {
          diagonal.push_back(std::abs(i));
          beside.push_back(i == 10 ? glue : 1);
        }
      }
      holds("W21+", tridiagonal(diagonal, beside), diagonal.size());
    }
  }
  for (const size_t n : {64U, 65U, 300U}) {
    const Square a = tridiagonal(std::vector<double>(n, 2), std::vector<double>(n, -1));
    holds("differences", a, n);
    const linear::Eigen e = solve(a, n, n, 2, "");
    for (size_t q = 0; q < n; ++q) {
      const double angle = std::acos(-1.0) * static_cast<double>(n - q) / static_cast<double>(n + 1);
      EXPECT(std::fabs(e.values[q] - (2 - 2 * std::cos(angle))) < 1e-14);
    }
  }
}

TEST("roots of the secular equation lie between their poles, to the last digits of what they are off") {
  std::mt19937_64 random(9);
  std::uniform_real_distribution<double> uniform;
  for (const size_t n : {1U, 2U, 3U, 5U, 40U, 200U}) {
    for (const int kind : {0, 1, 2, 3}) {  // poles apart, in clusters, weights of all sizes, both
      linear::Secular p;
      p.rho = kind == 0 ? 2 : 0.1 + uniform(random);
      double squares = 0;
      for (size_t i = 0; i < n; ++i) {
        const double step = kind % 2 == 1 && i % 4 != 0 ? 1e-13 : 0.1 + uniform(random);
        p.d.push_back(i == 0 ? -1 : p.d.back() + step);
        p.z.push_back((uniform(random) < 0.5 ? -1 : 1) *
                      (kind >= 2 ? std::pow(10.0, -14 * uniform(random)) : 0.1 + uniform(random)));
        squares += p.z.back() * p.z.back();
      }
      for (double& z : p.z) z /= std::sqrt(squares);
      for (size_t i = 0; i < n; ++i) {
        const linear::Root root = linear::secular_root(p, i, doubles_kernel(""));
        EXPECT(root.origin == i || root.origin == i + 1);
        const long double origin = p.d[root.origin];
        // bisection in more digits
        long double low = p.d[i] - origin, high = i + 1 < n ? p.d[i + 1] - origin : p.rho * 1.01L;
        EXPECT(root.tau > low && root.tau < high);
        for (int step = 0; step < 300; ++step) {
          const long double middle = (low + high) / 2;
          long double f = 1 / static_cast<long double>(p.rho);
          for (size_t j = 0; j < n; ++j) f += static_cast<long double>(p.z[j]) * p.z[j] / ((p.d[j] - origin) - middle);
          (f < 0 ? low : high) = middle;
        }
        EXPECT(std::fabs(root.tau - static_cast<double>(low)) <= 1e-12 * std::fabs(root.tau));
        for (const std::string& level : levels()) {
          const linear::Root other = linear::secular_root(p, i, doubles_kernel(level));
          EXPECT(other.origin == root.origin && other.tau == root.tau);
        }
      }
    }
  }
}

TEST("what is not finite is refused, and a cancelled job ends") {
  const auto code = [](const Square& a, size_t n, size_t count, bool cancelled) {
    ThreadPool pool(2);
    Control control;
    if (cancelled) control.cancel();
    Buffer<double> copy(n * n);
    std::copy(a.begin(), a.end(), copy.data());
    try {
      linear::eigen(copy, n, count, pool, control, doubles_kernel(""));
    } catch (const Error& error) {
      return error.code;
    }
    return std::string();
  };
  for (const size_t n : {1U, 3U, 300U}) {
    for (const double bad : {std::nan(""), -std::nan(""), HUGE_VAL, -HUGE_VAL}) {
      for (const size_t at : {size_t{0}, n / 2}) {
        Square a(n * n, 1);
        a[at * n + n - 1] = a[(n - 1) * n + at] = bad;
        EXPECT(code(a, n, 0, false) == "ERR_EIGEN");
        EXPECT(code(a, n, n, false) == "ERR_EIGEN");
      }
    }
    EXPECT(code(Square(n * n, 1), n, n, true) == "ERR_CANCELLED");
    EXPECT(code(Square(n * n, 1), n, 0, true) == "ERR_CANCELLED");
  }
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
