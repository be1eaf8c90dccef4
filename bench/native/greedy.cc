// Full greedy partition into bins: the engine against what people run instead, all on the same data in one process,
// taking turns.
//
//   bench_greedy N d [--kind real|iso|mix|sph] [--bins 10] [--repeats 3] [--threads 1,2] [--rivals numpy,paper]
//
// One JSON line per run. "paper" is the paper's own code path (Dataset Quantization: N x N float32 cosine similarity,
// then one update of all similarities sums a step, over copies that leave out what is chosen); "numpy" is the
// matrix-vector greedy that one writes in numpy (scores += row products of the chosen point). Both in plain C++ with
// this compiler's vectorization, one thread; both compute the cosine gain, in float32.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "greedy/problem.h"

namespace {

using coregain::Gain;
using coregain::Partition;
using coregain::Problem;

struct Random {
  uint64_t state;
  uint64_t bits() {  // splitmix64
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  double uniform() { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  float normal() {
    return static_cast<float>(std::sqrt(-2 * std::log(uniform() + 1e-300)) * std::cos(6.283185307179586 * uniform()));
  }
};

// real: power-law spectrum and a common mean, normalised, like transformer embeddings; iso: Gaussian; mix: 50
// Gaussians, normalised; sph: uniform on the unit sphere.
std::vector<float> make(const std::string& kind, size_t n, size_t d) {
  Random random{20};
  std::vector<float> centres(50 * d), mean(d), slope(d);
  double trace = 0, square = 0;
  for (float& c : centres) c = random.normal();
  for (size_t j = 0; j < d; ++j) {
    slope[j] = std::sqrt(1.0F / static_cast<float>(j + 1));
    trace += 1.0 / static_cast<double>(j + 1);
    mean[j] = random.normal();
    square += static_cast<double>(mean[j]) * mean[j];
  }
  for (float& m : mean) m *= static_cast<float>(std::sqrt(trace / square));
  std::vector<float> x(n * d);
  for (size_t i = 0; i < n; ++i) {
    float* row = x.data() + i * d;
    const float spread = std::exp(0.15F * random.normal());
    const size_t centre = random.bits() % 50;
    double length = 0;
    for (size_t j = 0; j < d; ++j) {
      row[j] = random.normal();
      if (kind == "real") row[j] = mean[j] + spread * slope[j] * row[j];
      if (kind == "mix") row[j] = centres[centre * d + j] + 0.7F * row[j];
      length += static_cast<double>(row[j]) * row[j];
    }
    if (kind != "iso")
      for (size_t j = 0; j < d; ++j) row[j] /= static_cast<float>(std::sqrt(length));
  }
  return x;
}

// Eight sums, so that the compiler may vectorize without reordering.
float dot(const float* a, const float* b, size_t d) {
  float sum[32] = {};
  size_t j = 0;
  for (; j + 32 <= d; j += 32)
    for (size_t k = 0; k < 32; ++k) sum[k] += a[j + k] * b[j + k];
  for (; j < d; ++j) sum[0] += a[j] * b[j];
  float total = 0;
  for (const float s : sum) total += s;
  return total;
}

std::vector<float> unit_rows(const std::vector<float>& x, size_t n, size_t d) {
  std::vector<float> u = x;
  for (size_t i = 0; i < n; ++i) {
    const float length = std::sqrt(dot(&u[i * d], &u[i * d], d));
    for (size_t j = 0; j < d; ++j) u[i * d + j] /= length;
  }
  return u;
}

std::vector<int32_t> numpy_like(const std::vector<float>& x, size_t n, size_t d, size_t bins) {
  const std::vector<float> u = unit_rows(x, n, d);
  std::vector<int32_t> order;
  std::vector<uint8_t> taken(n, 0);
  for (size_t bin = 0; bin < bins; ++bin) {
    std::vector<float> total(d, 0), score(n);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; !taken[i] && j < d; ++j) total[j] += u[i * d + j];
    for (size_t i = 0; i < n; ++i) score[i] = dot(&u[i * d], total.data(), d);
    const size_t size = n / bins + (bin < n % bins ? 1 : 0);
    for (size_t k = 0; k < size; ++k) {
      size_t best = n;
      for (size_t i = 0; i < n; ++i)
        if (!taken[i] && (best == n || score[i] > score[best])) best = i;
      taken[best] = 1;
      order.push_back(static_cast<int32_t>(best));
      // numpy computes X @ X[best] for all rows, chosen or not
      for (size_t i = 0; i < n; ++i) score[i] -= 2 * dot(&u[i * d], &u[best * d], d);
    }
  }
  return order;
}

std::vector<int32_t> paper(const std::vector<float>& x, size_t n, size_t d, size_t bins) {
  const std::vector<float> u = unit_rows(x, n, d);
  std::vector<int32_t> order;
  std::vector<int32_t> pool(n);
  for (size_t i = 0; i < n; ++i) pool[i] = static_cast<int32_t>(i);
  for (size_t bin = 0; bin < bins; ++bin) {
    // the similarity matrix of what is left, built anew for each bin
    const size_t m = pool.size();
    std::vector<float> similarity(m * m);
    for (size_t i = 0; i < m; ++i)
      for (size_t p = 0; p <= i; ++p)
        similarity[i * m + p] = similarity[p * m + i] =
            0.5F + 0.5F * dot(&u[static_cast<size_t>(pool[i]) * d], &u[static_cast<size_t>(pool[p]) * d], d);
    std::vector<float> all(m, 0), chosen(m, 0);
    for (size_t i = 0; i < m; ++i)
      for (size_t p = 0; p < m; ++p) all[i] += similarity[i * m + p];
    std::vector<uint8_t> taken(m, 0);
    const size_t size = n / bins + (bin < n % bins ? 1 : 0);
    for (size_t k = 0; k < size; ++k) {
      size_t best = m;
      for (size_t i = 0; i < m; ++i)
        if (!taken[i] && (best == m || all[i] - 2 * chosen[i] > all[best] - 2 * chosen[best])) best = i;
      taken[best] = 1;
      order.push_back(pool[best]);
      for (size_t i = 0; i < m; ++i) chosen[i] += similarity[best * m + i];
    }
    std::vector<int32_t> left;
    for (size_t i = 0; i < m; ++i)
      if (!taken[i]) left.push_back(pool[i]);
    pool = left;
  }
  return order;
}

double wall() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Peak since the start of the process, KiB on Linux.
long peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

std::vector<std::string> list(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) out.push_back(word);
  return out;
}

std::vector<std::string> product(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<std::string> out;
  for (const std::string& first : a)
    for (const std::string& second : b) out.push_back(first + " " + second);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::string kind = "real", threads = "1,2", rivals = "numpy", gains = "sqeuclidean,cosine", simd, engines = "auto";
  size_t bins = 10, repeats = 3;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--kind")
      kind = argv[i + 1];
    else if (option == "--threads")
      threads = argv[i + 1];
    else if (option == "--rivals")
      rivals = argv[i + 1];
    else if (option == "--gains")
      gains = argv[i + 1];
    else if (option == "--engines")
      engines = argv[i + 1];
    else if (option == "--simd")
      simd = argv[i + 1];
    else if (option == "--bins")
      bins = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--repeats")
      repeats = std::strtoul(argv[i + 1], nullptr, 10);
    else
      argc = 0;
  }
  const size_t n = argc > 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  const size_t d = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (n == 0 || d == 0) {
    std::fprintf(stderr,
                 "usage: bench_greedy N d [--kind real|iso|mix|sph] [--bins 10] [--repeats 3] [--threads 1,2]\n"
                 "                        [--gains sqeuclidean,cosine] [--simd LEVEL] [--rivals numpy,paper]\n");
    return 2;
  }
  const std::vector<float> x = make(kind, n, d);
  const auto report = [&](const std::string& engine, const std::string& gain, size_t repeat, double seconds,
                          double cpu_seconds, const std::string& more) {
    std::printf(
        "{\"engine\":\"%s\",\"gain\":\"%s\",\"kind\":\"%s\",\"rows\":%zu,\"cols\":%zu,\"bins\":%zu,\"repeat\":%zu,"
        "\"wallSeconds\":%.4f,\"cpuSeconds\":%.4f,\"peakRssMiB\":%.1f,\"inputMiB\":%.1f%s}\n",
        engine.c_str(), gain.c_str(), kind.c_str(), n, d, bins, repeat, seconds, cpu_seconds,
        static_cast<double>(peak_rss()) / 1024, static_cast<double>(n * d * 4) / 1048576, more.c_str());
    std::fflush(stdout);
  };

  for (size_t repeat = 0; repeat < repeats; ++repeat) {
    std::vector<int32_t> cosine_order;
    for (const std::string& gain : list(gains)) {
      for (const std::string& run : product(list(engines), list(threads))) {
        const std::string engine = run.substr(0, run.find(' ')), count = run.substr(run.find(' ') + 1);
        Problem problem;
        problem.engine = engine == "sweep"  ? coregain::Engine::kSweep
                         : engine == "lazy" ? coregain::Engine::kLazy
                         : engine == "gram" ? coregain::Engine::kGram
                                            : coregain::Engine::kAuto;
        problem.x = {x.data(), false, n, d};
        problem.bins = bins;
        problem.gain = gain == "cosine" ? Gain::kCosine : Gain::kSquaredEuclidean;
        problem.threads = static_cast<unsigned>(std::strtoul(count.c_str(), nullptr, 10));
        problem.simd = simd;
        coregain::Control control;
        const double start = wall(), cpu_start = cpu();
        const Partition p = coregain::greedy_bins(problem, control);
        const double seconds = wall() - start;
        const double cpu_seconds = cpu() - cpu_start;
        char more[400];
        std::snprintf(
            more, sizeof more,
            ",\"threads\":%u,\"simd\":\"%s\",\"dotProducts\":%llu,\"dotsPerSecond\":%.4g,\"gigabytesPerSecond\":%.2f,"
            "\"float64Decisions\":%llu,\"exactDecisions\":%llu",
            p.threads, p.simd.c_str(), static_cast<unsigned long long>(p.dot_products),
            static_cast<double>(p.dot_products) / seconds,
            static_cast<double>(p.dot_products) * static_cast<double>(d) * 4e-9 / seconds,
            static_cast<unsigned long long>(p.float64_decisions), static_cast<unsigned long long>(p.exact_decisions));
        report(engine, gain, repeat, seconds, cpu_seconds, more);
        if (gain == "cosine") cosine_order = p.order;
      }
    }
    for (const std::string& rival : list(rivals)) {
      const double start = wall(), cpu_start = cpu();
      const std::vector<int32_t> order = rival == "paper" ? paper(x, n, d, bins) : numpy_like(x, n, d, bins);
      const double seconds = wall() - start, cpu_seconds = cpu() - cpu_start;
      std::string more = ",\"threads\":1";
      if (!cosine_order.empty()) {
        // how far float32 rounding keeps the rival on the exact order
        const auto differ = std::mismatch(order.begin(), order.end(), cosine_order.begin()).first - order.begin();
        more += ",\"exactUpToStep\":" + std::to_string(differ);
      }
      report(rival, "cosine", repeat, seconds, cpu_seconds, more);
    }
  }
  return 0;
}
