// Eigenvalues and leading eigenvectors of symmetric matrices of the sizes that PCA has:
//
//   bench_eigen [threads]
//
// prints one line of JSON for each: seconds, median, least and most of the repeats.
#include "linear/eigen.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "kernels/doubles.h"

using namespace coregain;

namespace {

// X X^T of normal rows, column j of which has the variance 1 / j; a quarter as many columns as rows, and a diagonal.
Buffer<double> gram_matrix(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal;
  const size_t d = n / 4;
  std::vector<double> x(n * d);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < d; ++j) x[i * d + j] = normal(random) / std::sqrt(static_cast<double>(j + 1));
  Buffer<double> out(n * n);
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k <= i; ++k) {
      double sum = i == k ? 1e-3 * static_cast<double>(i) / static_cast<double>(n) : 0;
      for (size_t j = 0; j < d; ++j) sum += x[i * d + j] * x[k * d + j];
      out[i * n + k] = out[k * n + i] = sum;
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0);
  constexpr int kRepeats = 7;
  struct Size {
    size_t n, count;
  };
  for (const Size& size : {Size{576, 0}, Size{1008, 0}, Size{1152, 512}, Size{2000, 1024}}) {
    const Buffer<double> matrix = gram_matrix(size.n);
    std::vector<double> seconds;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      Buffer<double> a(size.n * size.n);
      std::copy_n(matrix.data(), matrix.size(), a.data());
      const auto start = std::chrono::steady_clock::now();
      static_cast<void>(linear::eigen(a, size.n, size.count, pool, Control(), doubles_kernel("")));
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::sort(seconds.begin(), seconds.end());
    std::printf("{\"side\": %zu, \"vectors\": %zu, \"threads\": %u, \"median\": %.4f, \"min\": %.4f, \"max\": %.4f}\n",
                size.n, size.count, pool.size(), seconds[kRepeats / 2], seconds.front(), seconds.back());
  }
  return 0;
}
