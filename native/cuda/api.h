// The border between the addon and libcoregain_cuda: one C symbol that gives a table of functions. The library is built
// by nvcc on its own and opened at run time (core/cuda_library.h), so that the addon needs neither CUDA nor a driver.
//
// Only plain numbers, pointers and the structs below cross it, and no exception. A call that fails says why in a
// CudaFailure. To add functions: append to the table, raise kCudaVersion.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coregain {

constexpr uint32_t kCudaVersion = 4;

enum class CudaCode : int32_t {
  kOk = 0,
  kUnavailable,  // no driver, a driver that is too old, no device
  kMemory,       // device or pinned host memory cannot be had; `bytes` says how much was asked for
  kCancelled,    // a callback said so
  kUnfit,        // the problem is not one for this device: the message says what to do instead
  kFailed,       // a CUDA call failed: the message names it
};

struct CudaFailure {
  CudaCode code = CudaCode::kOk;
  uint64_t bytes = 0;
  char message[512] = {};  // one sentence, or empty
};

struct CudaDevice {
  char name[256];
  uint64_t memory;  // bytes
  uint64_t l2_bytes;
  int32_t major, minor;  // compute capability
  int32_t multiprocessors;
  int32_t driver, runtime;  // 1000 major + 10 minor, of CUDA
};

// ---- the greedy engine

enum class CudaMode : int32_t { kAuto, kGram, kLookAhead };

// The points as greedy/points.h has them. All arrays stay as they are until the engine is closed.
struct CudaGreedyProblem {
  int32_t device;
  CudaMode mode;
  const void* x;  // [rows, cols], float32 or float64
  int32_t is_double, cosine, float64_is_exact;
  int64_t rows, cols;
  int32_t chains;
  const int32_t* first;       // [chains]
  const int32_t* next_equal;  // [rows]
  const double* q;            // [rows]
  const double* length;       // [rows], or null
  const double* origin;       // [cols]
  const uint64_t* total;      // [cols, 2]: sum of y over all rows, 128-bit integers times 2^unit, low half first
  double f, terms, q_error;
  int32_t unit, scale;
  int32_t longest_bin;
  int32_t window;   // rows that the look-ahead keeps up to date, 0 = as many as suit the L2 cache
  int32_t cluster;  // most blocks of a cluster for the look-ahead's steps, 0 = none: a grid
  uint64_t memory;  // bytes that may be taken on the device, 0 = all that is free
};

// Called from the thread that runs the engine.
struct CudaGreedyCallbacks {
  void* user;
  // The next rows, in the order in which they were chosen. Not 0 = end it all.
  int32_t (*chosen)(void* user, const int32_t* rows, int32_t count);
  // The row of the best score of these, by exact arithmetic, in the state after all rows that `chosen` has heard of.
  // Negative = end it all.
  int32_t (*decide)(void* user, const int32_t* rows, int32_t count);
};

struct CudaGreedyReport {
  CudaMode mode;
  int32_t x_resident;  // 0: rows are read from pinned host memory
  int32_t window;      // rows that it holds at most
  int32_t cluster;     // blocks of the cluster that ran the look-ahead's steps, 0 = none did
  int32_t grids;       // launches of steps that ran as a grid
  uint64_t device_bytes, pinned_bytes;
  uint64_t launches, refreshes, rebases;
  uint64_t dot_products;
  uint64_t float64_steps;  // of these, `decide` was asked for exact_steps
  uint64_t exact_steps;
};

// ---- pairwise kernels (pairwise/points.h)

enum class CudaPrecision : int32_t { kFp32, kTf32, kBf16, kInt8 };

// Rounded rows. All arrays are copied to the device when they are opened.
struct CudaPointsProblem {
  int32_t device;
  CudaPrecision precision;
  int64_t rows, stride;   // stride: bytes from row to row, a multiple of 64
  const void* forms;      // [rows, stride], zeros behind the last element
  const double* squares;  // [rows]: |y|^2
  const double* scales;   // [rows] where the rows are int8, else null
};

// ---- matrices and their products (linear/device.h)

// Two buffers in pinned memory through which matrices are filled and read, so that one is copied while the other is
// filled.
struct CudaStages {
  void* memory[2];
  uint64_t bytes;  // of each
};

// Rows `first` .. of a float32 matrix as one side of a product: its element (i, k) is that of row first + i and column
// k, or where `across` that of row first + k and column i.
struct CudaFactor {
  const void* matrix;
  int64_t first;
  int32_t across;
};

enum class CudaWrite : int32_t { kStore, kAdd };

// C(i, j) = or += sum_k A(i, k) B(j, k), i < m, j < n: float32 sums of 128 products, then float64. C is rows row .. and
// columns col .. of `to`, float32 (kStore only) or float64. Of row i, what is beyond column i + diagonal may be
// anything.
struct CudaMultiply {
  CudaFactor a, b;
  void* to;
  int64_t row, col;
  int64_t m, n, k;
  int64_t diagonal;
  CudaWrite write;
};

struct CudaTable {
  // Must stay first, whatever else changes.
  uint32_t version;  // kCudaVersion
  uint32_t size;     // sizeof(CudaTable)

  // Writes at most `capacity` devices and how many there are to *count.
  CudaCode (*devices)(CudaDevice* out, int32_t capacity, int32_t* count, CudaFailure* failure);

  // Plans the memory, takes it and moves the points there. kUnfit where the problem is not one for a device.
  CudaCode (*greedy_open)(const CudaGreedyProblem* problem, void** engine, CudaFailure* failure);
  // The next bin: `steps` rows of the `members` that are in none. kCancelled where a callback ended it.
  CudaCode (*greedy_bin)(void* engine, int64_t members, int32_t steps, const CudaGreedyCallbacks* callbacks,
                         CudaFailure* failure);
  void (*greedy_report)(const void* engine, CudaGreedyReport* report);
  void (*greedy_close)(void* engine);

  // A `list` of null is all rows. `cancel` is polled: not 0 ends a call with kCancelled.
  CudaCode (*points_open)(const CudaPointsProblem* problem, void** points, CudaFailure* failure);
  void (*points_close)(void* points);
  // out[q * row_count + r] = |y_q - y_r|^2
  CudaCode (*points_distances)(void* points, const int32_t* queries, int64_t query_count, const int32_t* rows,
                               int64_t row_count, float* out, const int32_t* cancel, CudaFailure* failure);
  // The `keep` <= 1024 least of those distances of queries first .., ascending, of equal ones the lower row first.
  CudaCode (*points_best)(void* queries, void* rows, int64_t first, int32_t count, int32_t keep, int32_t* out_rows,
                          float* out_squares, const int32_t* cancel, CudaFailure* failure);
  // out[i] = sum_t scales[t] y_i.terms[t], terms [count <= 64, stride] in the points' precision
  CudaCode (*points_products)(void* points, const void* terms, const double* scales, int32_t count, double* out,
                              CudaFailure* failure);
  // out[c] = sum_v max(0, 1/2 + y_v.y_c / 2 - reached[v])
  CudaCode (*points_coverage)(void* points, const int32_t* candidates, int64_t count, const float* reached, double* out,
                              const int32_t* cancel, CudaFailure* failure);
  // nearest[i] = min(nearest[i], |y_i - y_c|^2 over the centres)
  CudaCode (*points_centres)(void* points, const int32_t* centres, int64_t count, float* nearest, const int32_t* cancel,
                             CudaFailure* failure);

  // A place for matrices; they are closed before it. `bytes` of each stage: more than a row of any matrix.
  CudaCode (*linear_open)(int32_t device, uint64_t bytes, void** linear, CudaStages* stages, CudaFailure* failure);
  void (*linear_close)(void* linear);
  // What may still be taken.
  CudaCode (*linear_free)(void* linear, uint64_t* bytes, CudaFailure* failure);
  // [rows, stride] of float32, stride = cols rounded up to a multiple of 4; or [rows, cols] of float64. Not cleared.
  CudaCode (*matrix_open)(void* linear, int64_t rows, int64_t cols, int32_t is_double, void** matrix,
                          CudaFailure* failure);
  void (*matrix_close)(void* matrix);
  CudaCode (*matrix_clear)(void* matrix, CudaFailure* failure);
  // Starts to copy whole rows, from or to a stage; what was computed before is there. `stage_wait` ends it.
  CudaCode (*matrix_put)(void* matrix, int64_t first, int64_t rows, int32_t stage, CudaFailure* failure);
  CudaCode (*matrix_get)(void* matrix, int64_t first, int64_t rows, int32_t stage, CudaFailure* failure);
  CudaCode (*stage_wait)(void* linear, int32_t stage, CudaFailure* failure);
  // After all copies that were started.
  CudaCode (*multiply)(const CudaMultiply* problem, CudaFailure* failure);

  // Bytes a second, read and written ones, of the device's copies within its memory: the best of several rounds.
  CudaCode (*copy_rate)(int32_t device, double* bytes_per_second, CudaFailure* failure);
};

}  // namespace coregain

// The only symbol that libcoregain_cuda exports.
extern "C" const coregain::CudaTable* coregain_cuda_table();
