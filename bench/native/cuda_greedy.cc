// Full greedy partition into bins on a CUDA device, and on the processor of the same machine.
//
//   cmake -S . -B build-gpu -DCOREGAIN_CUDA=ON -DCOREGAIN_BENCH=ON && cmake --build build-gpu -j
//   build-gpu/bench_cuda_greedy N d [--kind real|iso|sph] [--bins 10] [--repeats 3] [--engines gram,lazy]
//                                   [--device 0] [--cpu no|yes] [--memory BYTES] [--clusters 16]
//
// One JSON line per run: `prepareSeconds` is what the host does first (exact sums, equal rows), `engineSeconds` all
// that follows, copies to the device included; `why` says what ran the steps. `--clusters 16,8,0` runs the look-ahead
// with each of these as the most blocks of a cluster, 0 being a grid. Rivals: bench_cuda_rivals (one matrix-vector
// product a step, CUDA graph) and bench/native/cuda_rival.py (PyTorch).
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/cuda_library.h"
#include "greedy/engines.h"
#include "greedy/points.h"
#include "greedy/problem.h"
#include "points.h"

namespace {

using coregain::Engine;
using coregain::Partition;
using coregain::Problem;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::vector<std::string> list(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) out.push_back(word);
  return out;
}

// FNV-1a of the order: equal orders, equal hashes.
uint64_t hash(const std::vector<int32_t>& order) {
  uint64_t value = 0xcbf29ce484222325;
  for (const int32_t row : order) value = (value ^ static_cast<uint32_t>(row)) * 0x100000001b3;
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  std::string kind = "real", engines = "gram,lazy", processor = "no", clusters = "16";
  size_t bins = 10, repeats = 3, memory = 0;
  int device = 0;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--kind")
      kind = argv[i + 1];
    else if (option == "--engines")
      engines = argv[i + 1];
    else if (option == "--cpu")
      processor = argv[i + 1];
    else if (option == "--clusters")
      clusters = argv[i + 1];
    else if (option == "--bins")
      bins = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--repeats")
      repeats = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--memory")
      memory = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--device")
      device = std::atoi(argv[i + 1]);
    else
      argc = 0;
  }
  const size_t n = argc > 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  const size_t d = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (n == 0 || d == 0) {
    std::fprintf(stderr,
                 "usage: bench_cuda_greedy N d [--kind real|iso|sph] [--bins 10] [--repeats 3] [--engines gram,lazy]\n"
                 "                             [--device 0] [--cpu no|yes] [--memory BYTES] [--clusters 16]\n");
    return 2;
  }
  const coregain::CudaSupport& cuda = coregain::cuda_support();
  if (cuda.table == nullptr || static_cast<size_t>(device) >= cuda.devices.size()) {
    std::fprintf(stderr, "CUDA cannot be used: %s\n", cuda.reason.empty() ? "no such device" : cuda.reason.c_str());
    return 1;
  }
  const std::vector<float> x = bench::points(kind, n, d);
  struct Run {
    std::string engine;
    int cluster;  // of the look-ahead: most blocks of one
  };
  std::vector<Run> runs;
  for (const std::string& engine : list(engines))
    for (const std::string& cluster : engine == "gram" ? std::vector<std::string>{"0"} : list(clusters))
      runs.push_back({engine, std::atoi(cluster.c_str())});
  if (processor == "yes") runs.push_back({"cpu", 0});
  for (size_t repeat = 0; repeat < repeats; ++repeat) {
    for (const auto& [engine, cluster] : runs) {
      Problem problem;
      problem.x = {x.data(), false, n, d};
      problem.bins = bins;
      problem.memory = memory;
      problem.device = device;
      problem.engine = engine == "gram" ? Engine::kGram : Engine::kLazy;
      const coregain::StandardArithmetic standard;
      coregain::Control control;
      coregain::ThreadPool pool(0);
      const double start = now();
      const coregain::Points points(problem, pool, control);
      const double prepared = now();
      Partition p;
      try {
        p = engine == "cpu" ? coregain::lazy(problem, points, pool, control, {})
                            : coregain::on_device(problem, points, *cuda.table, pool, control, 0, cluster);
      } catch (const coregain::Error& error) {
        std::printf("{\"engine\":\"%s\",\"error\":\"%s\"}\n", engine.c_str(), error.what());
        continue;
      }
      const double seconds = now() - prepared;
      std::printf(
          "{\"engine\":\"%s\",\"device\":\"%s\",\"kind\":\"%s\",\"rows\":%zu,\"cols\":%zu,\"bins\":%zu,\"repeat\":%zu,"
          "\"prepareSeconds\":%.4f,\"engineSeconds\":%.4f,\"stepsPerSecond\":%.0f,\"float64Steps\":%llu,"
          "\"exactSteps\":%llu,\"orderHash\":\"%016llx\",\"why\":\"%s\"}\n",
          engine.c_str(), engine == "cpu" ? "cpu" : cuda.devices[static_cast<size_t>(device)].name, kind.c_str(), n, d,
          bins, repeat, prepared - start, seconds, static_cast<double>(p.order.size()) / seconds,
          static_cast<unsigned long long>(p.float64_decisions), static_cast<unsigned long long>(p.exact_decisions),
          static_cast<unsigned long long>(hash(p.order)), p.why.c_str());
      std::fflush(stdout);
    }
  }
  return 0;
}
