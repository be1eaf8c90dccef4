// What a CUDA device can do, and what people would run on it instead of coregain: the greedy gain with one
// matrix-vector product a step, two kernels a step replayed as a CUDA graph, float32.
//
//   build-gpu/bench_cuda_rivals N d [--bins 10] [--steps 2000]
//
// One JSON line each: copy bandwidth, the inner products of all pairs (share of the measured rate of bare int8 tensor
// instructions), the 8-bit pass (share of the copy bandwidth), rounds of an exchange by a grid and by a cluster, and
// the rival's steps a second with the time of a whole partition that follows from them (a step reads all of X whatever
// has been chosen).
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cuda/gram.h"
#include "cuda/level.h"
#include "cuda/plan.h"
#include "cuda/runtime.h"
#include "points.h"

namespace {

using namespace coregain::cuda;

// Seconds of the device for `body`, the best of five.
template <typename F>
double timed(const Stream& stream, const F& body) {
  cudaEvent_t begin{}, end{};
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  double best = 1e30;
  for (int repeat = 0; repeat < 5; ++repeat) {
    check(cudaEventRecord(begin, stream.get()), "cudaEventRecord");
    body();
    check(cudaEventRecord(end, stream.get()), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    best = milliseconds * 1e-3 < best ? milliseconds * 1e-3 : best;
  }
  check(cudaEventDestroy(begin), "cudaEventDestroy");
  check(cudaEventDestroy(end), "cudaEventDestroy");
  return best;
}

// 32 independent tensor instructions a warp, again and again: the rate that no kernel of these instructions exceeds.
struct BareTensor {
  static constexpr unsigned kThreads = 256;
  int32_t* out;
  int rounds;
  COREGAIN_DEVICE void operator()(Block& block) const {
    PerThread<int32_t[16][4]> sums(block);
    block.warps([&](const Warp& warp) {
      uint32_t a[4] = {threadIdx.x, 1, 2, 3}, b[2] = {4, 5};
      for (int round = 0; round < rounds; ++round) {
        COREGAIN_UNROLL
        for (int i = 0; i < 16; ++i)
          warp.multiply_int8([&](unsigned t) -> Warp::Operands { return {sums[t][i], a, b}; });
      }
    });
    block.each([&](unsigned thread) {
      int32_t sum = 0;
      COREGAIN_UNROLL
      for (int i = 0; i < 16; ++i) sum += sums[thread][i][0];
      if (sum == 12345) out[0] = sum;
    });
  }
};

template <typename Exchange>
struct Rounds {
  static constexpr bool kCluster = Exchange::kCluster;
  static constexpr unsigned kThreads = 256;
  Exchange exchange;
  uint32_t rounds;
  COREGAIN_DEVICE void operator()(Block& block) const {
    auto* const room = block.shared<Best>(Exchange::room(block.count));
    for (uint32_t round = 1; round <= rounds; ++round) block.exchange(exchange, round, nothing(), room);
  }
};

// The rival: score -= 4 x.x_p for every row, a warp a row; then the argmax by one block.
__global__ void update(const float* x, int n, int d, const int* chosen, const float* twice_norm, float* score) {
  const int row = static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / 32),
            lane = static_cast<int>(threadIdx.x % 32);
  if (row >= n) return;
  const float* const a = x + static_cast<size_t>(row) * d;
  const float* const b = x + static_cast<size_t>(*chosen) * d;
  float sum = 0;
  for (int j = lane * 4; j + 3 < d; j += 128) {
    const float4 u = *reinterpret_cast<const float4*>(a + j), v = *reinterpret_cast<const float4*>(b + j);
    sum += u.x * v.x + u.y * v.y + u.z * v.z + u.w * v.w;
  }
  for (int distance = 16; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffff, sum, distance);
  if (lane == 0) score[row] += twice_norm[row] - 4 * sum;
}
__global__ void argmax(float* score, int n, int* chosen) {
  __shared__ unsigned long long best;
  if (threadIdx.x == 0) best = 0;
  __syncthreads();
  unsigned long long mine = 0;
  for (int i = static_cast<int>(threadIdx.x); i < n; i += static_cast<int>(blockDim.x)) {
    const unsigned bits = __float_as_uint(score[i]);
    const unsigned ordered = bits >> 31 ? ~bits : bits | 0x80000000U;
    const unsigned long long key = static_cast<unsigned long long>(ordered) << 32 | ~static_cast<unsigned>(i);
    mine = key > mine ? key : mine;
  }
  atomicMax(&best, mine);
  __syncthreads();
  if (threadIdx.x == 0) {
    *chosen = static_cast<int>(~static_cast<unsigned>(best));
    score[*chosen] = -3e38F;
  }
}

void measure(size_t n, size_t d, size_t bins, int steps) {
  check(cudaSetDevice(0), "cudaSetDevice");
  cudaDeviceProp device{};
  check(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties");
  const auto processors = static_cast<unsigned>(device.multiProcessorCount);
  std::printf("{\"device\":\"%s\",\"multiprocessors\":%u,\"l2MiB\":%d}\n", device.name, processors,
              device.l2CacheSize >> 20);
  const Stream stream;

  const size_t bytes = size_t{4} << 30;
  double copy_rate = 0;
  {
    const Array<char> from(bytes, Place::kDevice), to(bytes, Place::kDevice);
    const double seconds = timed(stream, [&] { stream.copy(to.data(), from.data(), bytes); });
    copy_rate = 2 * static_cast<double>(bytes) / seconds;
    std::printf("{\"what\":\"copy\",\"gigabytesPerSecond\":%.1f}\n", copy_rate * 1e-9);
  }
  double tensor_rate = 0;
  {
    const Array<int32_t> out(1, Place::kDevice);
    constexpr int kRounds = 4096;
    const double seconds = timed(stream, [&] {
      launch(stream, {processors * 2, 256}, BareTensor{out.data(), kRounds});
    });
    tensor_rate = 2.0 * 16 * 8 * 32 * 16 * kRounds * 8 * processors * 2 / seconds;
    std::printf("{\"what\":\"bare tensor instructions\",\"teraOpsPerSecond\":%.1f}\n", tensor_rate * 1e-12);
  }
  const auto size = static_cast<int32_t>(n);
  const size_t stride = plane_stride(d), padded = round_up(n, kPlanesRow), pitch = gram_pitch(n);
  const Array<int8_t> high(padded * stride, Place::kDevice), low(padded * stride, Place::kDevice);
  const Array<RowForm> form(n, Place::kDevice);
  stream.clear(high.data(), high.size());
  stream.clear(low.data(), low.size());
  stream.clear(form.data(), form.size());
  size_t free_bytes = 0, all_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &all_bytes), "cudaMemGetInfo");
  if (n * pitch * 4 + n * d * 4 < free_bytes * 9 / 10) {
    const Array<float> gram(n * pitch, Place::kDevice);
    const double seconds = timed(stream, [&] {
      launch(stream, {Gram::blocks(size), Gram::kThreads, Gram::kShared},
             Gram{high.data(), low.data(), form.data(), size, stride, gram.data(), pitch});
    });
    const double rate = 4.0 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(stride) / seconds;
    std::printf("{\"what\":\"gram\",\"seconds\":%.5f,\"teraOpsPerSecond\":%.1f,\"shareOfBareTensor\":%.3f}\n", seconds,
                rate * 1e-12, rate / tensor_rate);
  }
  {
    const Array<double> per_row(3 * n, Place::kDevice);
    const Array<int32_t> row_of(n, Place::kDevice), next(n, Place::kDevice);
    const Array<Drift> drift(1, Place::kDevice);
    stream.clear(per_row.data(), per_row.size());
    stream.clear(row_of.data(), n);
    stream.clear(drift.data(), 1);
    Level level{};
    level.points.chains = size;
    level.points.d = d;
    level.points.q = per_row.data();
    level.row_of = row_of.data();
    level.plane = high.data();
    level.stride = stride;
    level.form = form.data();
    level.base_score = per_row.data();
    level.base_error = per_row.data() + n;
    level.high = per_row.data() + 2 * n;
    level.drift = drift.data();
    const double seconds = timed(stream, [&] {
      launch(stream, {processors * 16, 256}, EstimateAll{level, low.data(), low.data()});
    });
    const double rate = static_cast<double>(n) * static_cast<double>(stride + 60) / seconds;
    std::printf("{\"what\":\"8-bit pass\",\"seconds\":%.6f,\"gigabytesPerSecond\":%.1f,\"shareOfCopy\":%.3f}\n",
                seconds, rate * 1e-9, rate / copy_rate);
  }
  constexpr uint32_t kRounds = 10000;
  const auto report_exchange = [&](const char* by, unsigned blocks, double seconds) {
    std::printf("{\"what\":\"exchange\",\"by\":\"%s\",\"blocks\":%u,\"microseconds\":%.3f}\n", by, blocks,
                seconds / kRounds * 1e6);
  };
  for (const unsigned blocks : {16U, processors}) {
    using Exchange = GridExchange<Best>;
    const Array<Best> records(2 * blocks, Place::kDevice);
    const Array<uint32_t> rounds(2 * blocks, Place::kDevice);
    report_exchange("grid", blocks, timed(stream, [&] {
                      stream.clear(rounds.data(), rounds.size());
                      launch(stream, {blocks, 256, Block::shared_bytes<Best>(Exchange::room(blocks)), true},
                             Rounds<Exchange>{{records.data(), rounds.data()}, kRounds});
                    }));
  }
  const bool clusters = open_device(0).clusters;
  for (const unsigned blocks : {8U, 16U}) {
    using Exchange = ClusterExchange<Best>;
    const Grid grid = {blocks, 256, Block::shared_bytes<Best>(Exchange::room(blocks))};
    if (!clusters || !cluster_fits<Rounds<Exchange>>(grid)) continue;
    bool taken = true;
    const double seconds = timed(stream, [&] {
      taken = taken && launch_cluster(stream, grid, Rounds<Exchange>{{}, kRounds});
    });
    if (taken) report_exchange("cluster", blocks, seconds);
  }
  {
    const std::vector<float> x = bench::points("real", n, d);
    const Array<float> on_device(n * d, Place::kDevice), score(n, Place::kDevice), norms(n, Place::kDevice);
    const Array<int> chosen(1, Place::kDevice);
    stream.copy(on_device.data(), x.data(), n * d);
    stream.clear(score.data(), n);
    stream.clear(norms.data(), n);
    stream.clear(chosen.data(), 1);
    stream.wait();
    cudaGraph_t graph{};
    cudaGraphExec_t executable{};
    constexpr int kUnrolled = 50;
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeGlobal), "cudaStreamBeginCapture");
    for (int step = 0; step < kUnrolled; ++step) {
      update<<<static_cast<unsigned>((n * 32 + 255) / 256), 256, 0, stream.get()>>>(
          on_device.data(), size, static_cast<int>(d), chosen.data(), norms.data(), score.data());
      argmax<<<1, 1024, 0, stream.get()>>>(score.data(), size, chosen.data());
    }
    check(cudaStreamEndCapture(stream.get(), &graph), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    const int replays = steps / kUnrolled > 0 ? steps / kUnrolled : 1;
    const double seconds = timed(stream, [&] {
      for (int i = 0; i < replays; ++i) check(cudaGraphLaunch(executable, stream.get()), "cudaGraphLaunch");
    });
    const double each = seconds / (replays * kUnrolled);
    std::printf(
        "{\"what\":\"matrix-vector product a step, CUDA graph\",\"rows\":%zu,\"cols\":%zu,\"stepsPerSecond\":%.0f,"
        "\"shareOfCopy\":%.3f,\"wholePartitionSeconds\":%.2f,\"bins\":%zu}\n",
        n, d, 1 / each, static_cast<double>(n * d * 4) / each / copy_rate, each * static_cast<double>(n), bins);
    check(cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
    check(cudaGraphDestroy(graph), "cudaGraphDestroy");
  }
}

}  // namespace

int main(int argc, char** argv) {
  size_t bins = 10;
  int steps = 2000;
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--bins")
      bins = std::strtoul(argv[i + 1], nullptr, 10);
    else if (option == "--steps")
      steps = std::atoi(argv[i + 1]);
    else
      argc = 0;
  }
  const size_t n = argc > 2 ? std::strtoul(argv[1], nullptr, 10) : 0;
  const size_t d = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 0;
  if (n == 0 || d % 4 != 0 || d == 0) {
    std::fprintf(stderr, "usage: bench_cuda_rivals N d [--bins 10] [--steps 2000], d a multiple of 4\n");
    return 2;
  }
  try {
    measure(n, d, bins, steps);
  } catch (const Failed& failed) {
    std::fprintf(stderr, "%s\n", failed.failure.message);
    return 1;
  }
  return 0;
}
