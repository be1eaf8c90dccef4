// The host's side of the pairwise kernels: keeps the rounded rows on the device, cuts a call into launches whose tables
// fit, and brings the results back.
#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "cuda/best.h"
#include "cuda/pairwise.h"
#include "cuda/runtime.h"
#include "cuda/tiles.h"

namespace coregain::cuda {
namespace {

constexpr size_t kTable = size_t{1} << 26;  // most numbers of a table of distances
constexpr int64_t kBestQueries = 1024;      // queries, and columns, that KeepBest goes over at a time
constexpr int64_t kBestColumns = 32768;
constexpr size_t kPartials = size_t{1} << 24;  // most partial sums of coverage
constexpr int64_t kTileRows = 128, kTileColumns = 64;

int64_t whole_tiles(int64_t rows) {
  return (rows + kTileRows - 1) / kTileRows;
}

void poll(const int32_t* cancel) {
  // the caller's word, which other threads write
  if (cancel != nullptr && std::atomic_ref<int32_t>(*const_cast<int32_t*>(cancel)).load(std::memory_order_relaxed) != 0)
    fail(CudaCode::kCancelled, "cancelled");
}

// Refuses what does not fit, with what is needed and what to do.
void expect_room(const char* what, uint64_t bytes) {
  const size_t free = free_bytes();
  if (bytes <= free) return;
  char text[300];
  std::snprintf(
      text, sizeof text,
      "%s needs %.2f GB on the device, and %.2f GB are free. Use fewer rows, a precision of fewer bits, or the "
      "device \"cpu\".",
      what, static_cast<double>(bytes) / 1e9, static_cast<double>(free) / 1e9);
  fail(CudaCode::kMemory, text, bytes);
}

template <CudaPrecision kPrecision, typename Epilogue>
void launch_tiles(const Stream& stream, const Side& a, const Side& b, size_t stride, const Epilogue& epilogue) {
  using Kernel = Tiles<kPrecision, Epilogue>;
  launch(stream, Grid{Kernel::blocks(a.count, b.count), Kernel::kThreads, Kernel::kShared},
         Kernel{a, b, stride, epilogue});
}

class RowsOnDevice {
 public:
  explicit RowsOnDevice(const CudaPointsProblem& problem)
      : device_(problem.device), precision_(problem.precision), rows_(problem.rows) {
    stride_ = static_cast<size_t>(problem.stride);
    const auto n = static_cast<size_t>(rows_);
    expect_room("This matrix", n * (stride_ + 16));
    upload(forms_, static_cast<const char*>(problem.forms), n * stride_);
    upload(squares_, problem.squares, n);
    if (problem.scales != nullptr) upload(scales_, problem.scales, n);
    stream_.wait();
  }
  ~RowsOnDevice() { use_device_quietly(device_); }
  RowsOnDevice(const RowsOnDevice&) = delete;
  RowsOnDevice& operator=(const RowsOnDevice&) = delete;

  void distances(const int32_t* queries, int64_t query_count, const int32_t* rows, int64_t row_count, float* out,
                 const int32_t* cancel) {
    use();
    if (query_count == 0 || row_count == 0) return;
    const Array<int32_t> query_list = list(queries, query_count), row_list = list(rows, row_count);
    const size_t columns = static_cast<size_t>(row_count);
    const size_t room = std::max(columns, std::min(kTable, free_bytes() / 2 / sizeof(float)));
    const int64_t together = std::min<int64_t>(query_count, static_cast<int64_t>(room / columns));
    Array<float> table(static_cast<size_t>(together) * columns, Place::kDevice);
    for (int64_t first = 0; first < query_count; first += together) {
      poll(cancel);
      const int64_t count = std::min(together, query_count - first);
      tiles(side(query_list, first, count), side(row_list, 0, row_count), WriteDistances{table.data(), columns});
      stream_.copy(out + static_cast<size_t>(first) * columns, table.data(), static_cast<size_t>(count) * columns);
      stream_.wait();
    }
  }

  void best(const RowsOnDevice& queries, int64_t first, int32_t count, int32_t keep, int32_t* out_rows,
            float* out_squares, const int32_t* cancel) {
    use();
    if (keep < 1 || static_cast<size_t>(keep) > KeepBest::kMost || keep > rows_ || queries.stride_ != stride_)
      fail(CudaCode::kUnfit, "that many nearest rows are not kept on a device: use the device \"cpu\"");
    const auto across = static_cast<size_t>(std::min(kBestColumns, rows_));
    const auto together = static_cast<int32_t>(std::min<int64_t>(kBestQueries, count));
    const auto kept_of = static_cast<size_t>(keep);
    Array<float> table(static_cast<size_t>(together) * across, Place::kDevice);
    Array<uint64_t> kept(static_cast<size_t>(together) * kept_of, Place::kDevice);
    std::vector<uint64_t> found(kept.size());
    for (int32_t from = 0; from < count; from += together) {
      const int32_t some = std::min(together, count - from);
      for (int64_t column = 0; column < rows_; column += static_cast<int64_t>(across)) {
        poll(cancel);
        const int64_t columns = std::min(static_cast<int64_t>(across), rows_ - column);
        tiles(queries.side({}, first + from, some), side({}, column, columns), WriteDistances{table.data(), across});
        launch(stream_, Grid{static_cast<unsigned>(some), KeepBest::kThreads, KeepBest::kShared},
               KeepBest{table.data(), across, static_cast<int32_t>(columns), static_cast<uint32_t>(column), keep,
                        column == 0, kept.data()});
      }
      stream_.copy(found.data(), kept.data(), static_cast<size_t>(some) * kept_of);
      stream_.wait();
      for (size_t i = 0; i < static_cast<size_t>(some) * kept_of; ++i) {
        const auto bits = static_cast<uint32_t>(found[i] >> 32);
        const size_t at = static_cast<size_t>(from) * kept_of + i;
        std::memcpy(out_squares + at, &bits, 4);
        out_rows[at] = static_cast<int32_t>(found[i] & 0xffffffff);
      }
    }
  }

  void products(const char* terms, const double* scales, int32_t count, double* out) {
    use();
    if (count < 1 || count > kTileColumns) fail(CudaCode::kUnfit, "a product takes 1 to 64 terms");
    Array<char> forms;
    Array<double> term_scales;
    upload(forms, terms, static_cast<size_t>(count) * stride_);
    upload(term_scales, scales, static_cast<size_t>(count));
    const Side vectors = {forms.data(), term_scales.data(), nullptr, nullptr, 0, count};
    const auto n = static_cast<size_t>(rows_), wide = static_cast<size_t>(count);
    Array<double> values(n * wide, Place::kDevice), sums(n, Place::kDevice);
    tiles(side({}, 0, rows_), vectors, WriteProducts{values.data(), wide});
    launch(stream_, Grid{over(n), AddTerms::kThreads}, AddTerms{values.data(), n, wide, wide, sums.data()});
    stream_.copy(out, sums.data(), n);
    stream_.wait();
  }

  void coverage(const int32_t* candidates, int64_t count, const float* reached, double* out, const int32_t* cancel) {
    use();
    if (count == 0) return;
    const Array<int32_t> candidate_list = list(candidates, count);
    const auto n = static_cast<size_t>(rows_);
    Array<float> have;
    upload(have, reached, n);
    const auto tile_rows = static_cast<size_t>(whole_tiles(rows_));
    const int64_t together = std::min<int64_t>(
        count,
        std::max<int64_t>(kTileColumns, static_cast<int64_t>(kPartials / tile_rows) / kTileColumns * kTileColumns));
    Array<double> partial(tile_rows * static_cast<size_t>(together), Place::kDevice);
    Array<double> sums(static_cast<size_t>(count), Place::kDevice);
    stream_.clear(sums.data(), sums.size());
    for (int64_t first = 0; first < count; first += together) {
      poll(cancel);
      const auto some = static_cast<size_t>(std::min(together, count - first));
      tiles(side({}, 0, rows_), side(candidate_list, first, static_cast<int64_t>(some)),
            SumCoverage{have.data(), partial.data(), some});
      launch(stream_, Grid{over(some), AddPartials::kThreads},
             AddPartials{partial.data(), tile_rows, some, some, sums.data() + first});
      stream_.wait();
    }
    stream_.copy(out, sums.data(), static_cast<size_t>(count));
    stream_.wait();
  }

  void centres(const int32_t* rows, int64_t count, float* nearest, const int32_t* cancel) {
    use();
    const auto n = static_cast<size_t>(rows_);
    const Array<int32_t> centre_list = list(rows, count);
    Array<float> least;
    upload(least, nearest, n);
    for (int64_t first = 0; first < count; first += kTileColumns) {
      poll(cancel);
      // one tile across, so that no two blocks write one row's distance
      tiles(side({}, 0, rows_), side(centre_list, first, std::min(kTileColumns, count - first)),
            LeastDistance{least.data()});
    }
    stream_.copy(nearest, least.data(), n);
    stream_.wait();
  }

 private:
  void use() const { use_device(device_); }

  template <typename T>
  void upload(Array<T>& to, const T* from, size_t size) const {
    to = Array<T>(size, Place::kDevice);
    stream_.copy(to.data(), from, size);
  }
  Array<int32_t> list(const int32_t* rows, int64_t count) const {
    Array<int32_t> out;
    if (rows != nullptr) upload(out, rows, static_cast<size_t>(count));
    return out;
  }
  // Entries first .. of a list, or rows where it is empty.
  Side side(const Array<int32_t>& list, int64_t first, int64_t count) const {
    const bool all = list.size() == 0;
    return {forms_.data(),   scales_.data(),
            squares_.data(), all ? nullptr : list.data() + first,
            all ? first : 0, static_cast<int32_t>(count)};
  }
  static unsigned over(size_t numbers) {
    return static_cast<unsigned>(std::clamp<size_t>((numbers + 255) / 256, 1, 4096));
  }

  template <typename Epilogue>
  void tiles(const Side& a, const Side& b, const Epilogue& epilogue) const {
    switch (precision_) {
      case CudaPrecision::kFp32:
        return launch_tiles<CudaPrecision::kFp32>(stream_, a, b, stride_, epilogue);
      case CudaPrecision::kTf32:
        return launch_tiles<CudaPrecision::kTf32>(stream_, a, b, stride_, epilogue);
      case CudaPrecision::kBf16:
        return launch_tiles<CudaPrecision::kBf16>(stream_, a, b, stride_, epilogue);
      case CudaPrecision::kInt8:
        return launch_tiles<CudaPrecision::kInt8>(stream_, a, b, stride_, epilogue);
    }
  }

  int32_t device_;
  CudaPrecision precision_;
  int64_t rows_;
  size_t stride_ = 0;
  // before the stream: its destructor waits for what uses them
  Array<char> forms_;
  Array<double> squares_, scales_;
  Stream stream_;
};

RowsOnDevice& of(void* points) {
  return *static_cast<RowsOnDevice*>(points);
}

}  // namespace

CudaCode points_open(const CudaPointsProblem* problem, void** points, CudaFailure* failure) {
  *points = nullptr;
  return guarded(failure, [&] {
    open_device(problem->device);
    *points = std::make_unique<RowsOnDevice>(*problem).release();
  });
}

void points_close(void* points) {
  delete static_cast<RowsOnDevice*>(points);
}

CudaCode points_distances(void* points, const int32_t* queries, int64_t query_count, const int32_t* rows,
                          int64_t row_count, float* out, const int32_t* cancel, CudaFailure* failure) {
  return guarded(failure, [&] { of(points).distances(queries, query_count, rows, row_count, out, cancel); });
}

CudaCode points_best(void* queries, void* rows, int64_t first, int32_t count, int32_t keep, int32_t* out_rows,
                     float* out_squares, const int32_t* cancel, CudaFailure* failure) {
  return guarded(failure, [&] { of(rows).best(of(queries), first, count, keep, out_rows, out_squares, cancel); });
}

CudaCode points_products(void* points, const void* terms, const double* scales, int32_t count, double* out,
                         CudaFailure* failure) {
  return guarded(failure, [&] { of(points).products(static_cast<const char*>(terms), scales, count, out); });
}

CudaCode points_coverage(void* points, const int32_t* candidates, int64_t count, const float* reached, double* out,
                         const int32_t* cancel, CudaFailure* failure) {
  return guarded(failure, [&] { of(points).coverage(candidates, count, reached, out, cancel); });
}

CudaCode points_centres(void* points, const int32_t* centres, int64_t count, float* nearest, const int32_t* cancel,
                        CudaFailure* failure) {
  return guarded(failure, [&] { of(points).centres(centres, count, nearest, cancel); });
}

}  // namespace coregain::cuda
