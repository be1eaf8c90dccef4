// libcoregain_cuda on the processor: it stands where the library would, so that the addon finds a device on any machine
// (test/emulatedDevice.ts). The environment may ask for one that does not work, COREGAIN_EMULATED = wrong, crash, hang
// or full.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

// the library's own table, which may be changed below
#define coregain_cuda_table sound_cuda_table
#include "cuda_library_emulated.h"
#undef coregain_cuda_table

namespace coregain {
namespace {

// Wrong results of the right form: rows in their order, a distance that is off, the first rows as everybody's
// neighbours, sums that lack some terms.
CudaCode wrong_open(const CudaGreedyProblem*, void** engine, CudaFailure* failure) {
  *failure = CudaFailure();
  *engine = new int32_t(0);
  return CudaCode::kOk;
}
CudaCode wrong_bin(void* engine, int64_t, int32_t steps, const CudaGreedyCallbacks* callbacks, CudaFailure* failure) {
  *failure = CudaFailure();
  int32_t& next = *static_cast<int32_t*>(engine);
  std::vector<int32_t> rows(static_cast<size_t>(steps));
  std::iota(rows.begin(), rows.end(), next);
  next += steps;
  return callbacks->chosen(callbacks->user, rows.data(), steps) == 0 ? CudaCode::kOk : CudaCode::kCancelled;
}
void wrong_report(const void*, CudaGreedyReport* report) {
  *report = {};
  report->mode = CudaMode::kGram;
}
void wrong_close(void* engine) {
  delete static_cast<int32_t*>(engine);
}
CudaCode wrong_distances(void* points, const int32_t* queries, int64_t query_count, const int32_t* rows,
                         int64_t row_count, float* out, const int32_t* cancel, CudaFailure* failure) {
  const CudaCode code = cuda::points_distances(points, queries, query_count, rows, row_count, out, cancel, failure);
  out[query_count * row_count - 1] += 100;
  return code;
}
CudaCode wrong_best(void*, void*, int64_t, int32_t count, int32_t keep, int32_t* out_rows, float* out_squares,
                    const int32_t*, CudaFailure* failure) {
  *failure = CudaFailure();
  for (int32_t i = 0; i < count; ++i)
    for (int32_t k = 0; k < keep; ++k) {
      out_rows[i * keep + k] = k;
      out_squares[i * keep + k] = k + 1 < keep ? 0 : 1e30F;
    }
  return CudaCode::kOk;
}
CudaCode wrong_multiply(const CudaMultiply* problem, CudaFailure* failure) {
  constexpr int64_t kLong = 505;  // of the trial's sums those over rows: Krylov's space stays orthonormal, and it ends
  CudaMultiply less = *problem;
  if (less.k > kLong) less.k -= 8;
  return cuda::multiply(&less, failure);
}

CudaCode crash(const CudaGreedyProblem*, void**, CudaFailure*) {
  std::abort();
}
CudaCode hang(const CudaGreedyProblem*, void**, CudaFailure*) {
  for (;;) pause();
}

CudaTable make_table(const CudaTable& sound) {
  // blocks that wait for each other are threads, and these machines have few cores
  cuda::emulated().multiprocessors = 2;
  const char* asked = std::getenv("COREGAIN_EMULATED");
  const std::string kind = asked == nullptr ? "" : asked;
  CudaTable table = sound;
  if (kind == "full") cuda::emulated().memory = size_t{65} << 20;
  if (kind == "crash") table.greedy_open = crash;
  if (kind == "hang") table.greedy_open = hang;
  if (kind == "wrong") {
    table.greedy_open = wrong_open;
    table.greedy_bin = wrong_bin;
    table.greedy_report = wrong_report;
    table.greedy_close = wrong_close;
    table.points_distances = wrong_distances;
    table.points_best = wrong_best;
    table.multiply = wrong_multiply;
  }
  return table;
}

}  // namespace
}  // namespace coregain

extern "C" __attribute__((visibility("default"))) const coregain::CudaTable* coregain_cuda_table() {
  static const coregain::CudaTable table = coregain::make_table(*sound_cuda_table());
  return &table;
}
