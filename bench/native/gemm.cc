// Matrix products as PCA has them, against a BLAS where one can be loaded:
//
//   bench_gemm [threads] [libopenblas.so.0]
//
// prints one line of JSON for each shape: GFLOP/s of coregain's kernel and of cblas_sgemm in turn, median of the
// repeats.
#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "linear/products.h"

using namespace coregain;

namespace {

using Sgemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a, int lda,
                       const float* b, int ldb, float beta, float* c, int ldc);
constexpr int kRowMajor = 101, kPlain = 111, kTransposed = 112;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Buffer<float> random_values(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Buffer<float> out(count);
  for (size_t i = 0; i < count; ++i) out[i] = uniform(random);
  return out;
}

struct Shape {
  const char* what;
  size_t n, d, m;
  enum { Project, Combine, Gram } kind;
};

}  // namespace

int main(int argc, char** argv) {
  const unsigned threads = argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 0;
  const char* const library = argc > 2 ? argv[2] : "libopenblas.so.0";
  void* const blas = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  const auto sgemm = blas == nullptr ? nullptr : reinterpret_cast<Sgemm>(dlsym(blas, "cblas_sgemm"));
  if (sgemm == nullptr) std::fprintf(stderr, "%s: no BLAS to compare with (%s)\n", library, dlerror());
  if (blas != nullptr) {
    if (auto* const set = reinterpret_cast<void (*)(int)>(dlsym(blas, "openblas_set_num_threads")))
      set(static_cast<int>(threads == 0 ? std::thread::hardware_concurrency() : threads));
  }
  ThreadPool pool(threads);
  const Control control;
  const linear::Workers workers = {pool, control, gemm_kernel("")};
  const Shape shapes[] = {
      {"rows times vectors", 1024, 16384, 144, Shape::Project},
      {"rows times vectors", 1024, 16384, 528, Shape::Project},
      {"combined rows", 1024, 16384, 144, Shape::Combine},
      {"combined rows", 2000, 65536, 1024, Shape::Combine},
      {"Gram matrix", 2000, 65536, 2000, Shape::Gram},
  };
  constexpr int kRepeats = 7;
  for (const Shape& s : shapes) {
    const Buffer<float> x = random_values(s.n * s.d, 1);
    const Matrix matrix = {x.data(), false, s.n, s.d};
    const Buffer<float> v = random_values(s.m * (s.kind == Shape::Project ? s.d : s.n), 2);
    std::vector<float> out(std::max(s.n * s.m, s.kind == Shape::Combine ? s.m * s.d : 0));
    std::vector<double> wide(s.kind == Shape::Gram ? s.n * s.n : 0);
    linear::Coefficients left(s.kind == Shape::Combine ? s.m : 1, s.n);
    if (s.kind == Shape::Combine)
      for (size_t i = 0; i < s.m; ++i) std::copy_n(&v[i * s.n], s.n, left.row(i));
    const auto store = [&](size_t row, size_t rows, size_t col, size_t cols, const double* block, size_t stride) {
      const size_t width = s.kind == Shape::Combine ? s.d : s.m;
      for (size_t i = 0; i < rows; ++i)
        for (size_t j = 0; j < cols; ++j) out[(row + i) * width + col + j] = static_cast<float>(block[i * stride + j]);
    };
    const auto own = [&] {
      if (s.kind == Shape::Project) {
        const linear::Panels panels(linear::Part({v.data(), false, s.m, s.d}), workers);
        linear::project(linear::Part(matrix), panels, linear::kAll, workers, store);
      } else if (s.kind == Shape::Combine) {
        linear::combine(left, linear::Part(matrix), false, workers, store);
      } else {
        std::fill(wide.begin(), wide.end(), 0.0);
        for (size_t from = 0; from < s.d; from += 4096) {
          const linear::Part part(matrix, nullptr, from, std::min<size_t>(4096, s.d - from));
          const linear::Panels panels(part, workers);
          linear::project(part, panels, 0, workers,
                          [&](size_t row, size_t rows, size_t col, size_t cols, const double* block, size_t stride) {
                            for (size_t i = 0; i < rows; ++i)
                              for (size_t j = 0; j < cols; ++j)
                                wide[(row + i) * s.n + col + j] += block[i * stride + j];
                          });
        }
      }
    };
    const auto theirs = [&] {
      const int n = static_cast<int>(s.n), d = static_cast<int>(s.d), m = static_cast<int>(s.m);
      if (s.kind == Shape::Project)
        sgemm(kRowMajor, kPlain, kTransposed, n, m, d, 1, x.data(), d, v.data(), d, 0, out.data(), m);
      else if (s.kind == Shape::Combine)
        sgemm(kRowMajor, kPlain, kPlain, m, d, n, 1, v.data(), n, x.data(), d, 0, out.data(), d);
      else
        sgemm(kRowMajor, kPlain, kTransposed, n, n, d, 1, x.data(), d, x.data(), d, 0, out.data(), n);
    };
    // of the whole square, so that the seconds compare: half of it is enough for a Gram matrix
    const double gflop = 2e-9 * static_cast<double>(s.n) * static_cast<double>(s.d) * static_cast<double>(s.m);
    std::vector<double> ours, blas_seconds;
    own();
    if (sgemm != nullptr) theirs();
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      ours.push_back(seconds_of(own));
      if (sgemm != nullptr) blas_seconds.push_back(seconds_of(theirs));
    }
    std::printf(
        "{\"what\": \"%s\", \"rows\": %zu, \"cols\": %zu, \"vectors\": %zu, \"threads\": %u, \"coregain\": %.1f",
        s.what, s.n, s.d, s.m, pool.size(), gflop / median(ours));
    if (sgemm != nullptr) std::printf(", \"blas\": %.1f", gflop / median(blas_seconds));
    std::printf("}\n");
  }
}
