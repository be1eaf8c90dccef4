// PCA on a CUDA device: its products alone, on matrices that are there, and whole fits.
//
//   cmake -S . -B build-gpu -DCOREGAIN_CUDA=ON -DCOREGAIN_BENCH=ON && cmake --build build-gpu -j
//   build-gpu/bench_cuda_pca N d [--dims 512] [--repeats 5] [--methods covariance,gram,krylov] [--device 0]
//                                [--cpu no|yes]
//
// One JSON line each, medians of the repeats. `copy`: rows to the device through the pinned stages, shifted and rounded
// on the way, and sums back. `product`: 2 m n k operations (of a symmetric one half are computed, and counted). `fit`:
// PcaFit from the first row to the components. The float32 rate of the device's CUDA cores is what products are to be
// measured by: 67 TFLOP/s of an H200 SXM on paper.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/cuda_library.h"
#include "core/error.h"
#include "linear/device.h"
#include "points.h"
#include "reduce/pca.h"

namespace {

using coregain::CudaWrite;
using coregain::Matrix;
using coregain::linear::DeviceMatrix;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Seconds of `work`, once to warm up, then `repeats` times.
double timed(size_t repeats, const std::function<void()>& work) {
  work();
  std::vector<double> seconds;
  for (size_t repeat = 0; repeat < repeats; ++repeat) {
    const double start = now();
    work();
    seconds.push_back(now() - start);
  }
  return median(seconds);
}

struct Options {
  size_t dims = 512, repeats = 5;
  std::string methods = "covariance,gram,krylov", processor = "no";
  int device = 0;
};

// What a fit of a shape would need beyond reason on a processor.
bool sensible(const std::string& method, const Matrix& x) {
  return (method != "covariance" || x.cols <= 8192) && (method != "gram" || x.rows <= 16384);
}

void products(const Matrix& x, const Options& options, const coregain::linear::Workers& workers) {
  using Type = DeviceMatrix::Type;
  coregain::linear::Device& device = *workers.device;
  const size_t n = x.rows, d = x.cols, m = std::min({options.dims, n, d});
  const auto giga = [](size_t a, size_t b, size_t c) {
    return 2e-9 * static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
  };
  const auto print = [&](const char* what, const char* unit, double amount, double seconds) {
    std::printf("{\"what\":\"%s\",\"rows\":%zu,\"cols\":%zu,\"vectors\":%zu,\"seconds\":%.5f,\"%s\":%.1f}\n", what, n,
                d, m, seconds, unit, amount / seconds);
    std::fflush(stdout);
  };
  const std::vector<double> shift(d, 0.5);
  const coregain::linear::Part part(x, shift.data());
  DeviceMatrix rows(device, n, d, Type::kFloat), vectors(device, m, d, Type::kFloat);
  const double gigabytes = 4e-9 * static_cast<double>(n) * static_cast<double>(d);
  // a product starts when the rows are there, and its first row is here when it has ended
  DeviceMatrix one(device, 1, 1, Type::kDouble);
  const auto arrive = [&](DeviceMatrix& sums) { sums.read(0, 1, workers, [](size_t, const double*) {}); };
  print("copy of rows", "gigabytesPerSecond", gigabytes, timed(options.repeats, [&] {
          rows.put(0, part, workers);
          one.product(rows.side(), rows.side(), {1, 1, d}, CudaWrite::kStore);
          arrive(one);
        }));
  vectors.put(0, coregain::linear::Part({x.data, x.is_double, m, d}), workers);
  {
    DeviceMatrix y(device, n, m, Type::kDouble);
    print("product X V^T", "gflops", giga(n, m, d), timed(options.repeats, [&] {
            y.product(rows.side(), vectors.side(), {n, m, d}, CudaWrite::kStore);
            arrive(y);
          }));
    print("copy of sums back", "gigabytesPerSecond", 8e-9 * static_cast<double>(n) * static_cast<double>(m),
          timed(options.repeats, [&] { y.read(0, n, workers, [](size_t, const double*) {}); }));
  }
  {
    DeviceMatrix left(device, m, n, Type::kFloat), w(device, m, d, Type::kDouble);
    left.put(
        0, m, [&](size_t, float* out) { std::fill_n(out, n, 0.5F); }, workers);
    w.clear();
    print("product W += Y^T X", "gflops", giga(m, d, n), timed(options.repeats, [&] {
            w.product(left.side(), rows.side(0, true), {m, d, n}, CudaWrite::kAdd);
            arrive(w);
          }));
  }
  if (sensible("covariance", x)) {
    DeviceMatrix scatter(device, d, d, Type::kDouble);
    scatter.clear();
    print("product X^T X", "gflops", giga(d, d, n) / 2, timed(options.repeats, [&] {
            scatter.product(rows.side(0, true), rows.side(0, true), {d, d, n}, CudaWrite::kAdd, 0);
            arrive(scatter);
          }));
  }
  if (sensible("gram", x)) {
    DeviceMatrix gram(device, n, n, Type::kDouble);
    gram.clear();
    print("product X X^T", "gflops", giga(n, n, d) / 2, timed(options.repeats, [&] {
            gram.product(rows.side(), rows.side(), {n, n, d}, CudaWrite::kAdd, 0);
            arrive(gram);
          }));
  }
}

void fit(const Matrix& x, const std::string& method, const Options& options, const coregain::linear::DeviceChoice& on) {
  coregain::reduce::PcaTask task;
  task.method = method;
  task.rows = x.rows;
  task.cols = x.cols;
  task.dims = std::min({options.dims, x.rows - 1, x.cols});
  task.block_columns = (task.dims / 4 + 47) / 48 * 48;
  task.by_columns = method == "gram";
  task.device = on;
  const coregain::Control control;
  size_t passes = 0;
  double captured = 0;
  const double seconds = timed(options.repeats, [&] {
    const auto pca = coregain::reduce::PcaFit::make(task);
    const size_t block = std::max<size_t>(1536, (size_t{1} << 26) / x.cols);
    const size_t width = std::max<size_t>(1, (size_t{1} << 24) / x.rows / 192) * 192;
    while (pca->first_row() < x.rows) {
      for (size_t col = 0; task.by_columns && col < x.cols; col += width)
        pca->feed_columns({x, col, std::min(width, x.cols - col), col}, control, [](size_t) {});
      for (size_t first = 0; !task.by_columns && first < x.rows; first += block)
        pca->feed({x.f32(first), false, std::min(block, x.rows - first), x.cols}, first, control, [](size_t) {});
      pca->end_pass(control);
    }
    const coregain::reduce::Components& found = pca->components();
    passes = found.passes;
    captured = 0;
    for (const double variance : found.variance) captured += variance / found.total;
  });
  std::printf(
      "{\"what\":\"fit\",\"method\":\"%s\",\"device\":\"%s\",\"rows\":%zu,\"cols\":%zu,\"dims\":%zu,\"seconds\":%.4f,"
      "\"passes\":%zu,\"captured\":%.9f}\n",
      method.c_str(), on.library == nullptr ? "cpu" : "cuda", x.rows, x.cols, task.dims, seconds, passes, captured);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--dims")
      options.dims = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--repeats")
      options.repeats = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--methods")
      options.methods = argv[i + 1];
    else if (option == "--cpu")
      options.processor = argv[i + 1];
    else if (option == "--device")
      options.device = std::atoi(argv[i + 1]);
    else
      argc = 0;
  }
  const size_t n = argc > 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  const size_t d = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (n < 2 || d == 0 || options.repeats == 0) {
    std::fprintf(stderr,
                 "usage: bench_cuda_pca N d [--dims 512] [--repeats 5] [--methods covariance,gram,krylov]\n"
                 "                          [--device 0] [--cpu no|yes]\n");
    return 2;
  }
  const coregain::CudaSupport& cuda = coregain::cuda_support();
  if (cuda.table == nullptr || static_cast<size_t>(options.device) >= cuda.devices.size()) {
    std::fprintf(stderr, "CUDA cannot be used: %s\n", cuda.reason.empty() ? "no such device" : cuda.reason.c_str());
    return 1;
  }
  const coregain::StandardArithmetic standard;
  const std::vector<float> values = bench::points("real", n, d);
  const Matrix x = {values.data(), false, n, d};
  const coregain::linear::DeviceChoice on = {cuda.table, options.device};
  try {
    coregain::ThreadPool pool(0);
    const coregain::Control control;
    coregain::linear::Device device(on, std::max(n, d));
    products(x, options, {pool, control, coregain::gemm_kernel(""), &device});
  } catch (const coregain::Error& error) {
    std::printf("{\"what\":\"products\",\"error\":\"%s\"}\n", error.what());
  }
  std::istringstream methods(options.methods);
  for (std::string method; std::getline(methods, method, ',');) {
    if (!sensible(method, x)) continue;
    try {
      fit(x, method, options, on);
      if (options.processor == "yes") fit(x, method, options, {});
    } catch (const coregain::Error& error) {
      std::printf("{\"what\":\"fit\",\"method\":\"%s\",\"error\":\"%s\"}\n", method.c_str(), error.what());
    }
  }
  return 0;
}
