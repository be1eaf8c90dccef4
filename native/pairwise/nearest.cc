// Exact nearest rows: the device proposes by rounded distances, float64 decides, and a bound proves that nothing nearer
// was left out. Where it does not, reduce::nearest answers for that query.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "pairwise/errors.h"
#include "pairwise/kernels.h"

namespace coregain::pairwise {
namespace {

constexpr size_t kTogether = 4096;      // queries of a call
constexpr size_t kMostProposed = 1024;  // that the device can keep of a query

using Found = std::pair<double, int32_t>;

// Half as many again, so that rounding rarely hides one.
size_t proposed_for(size_t k, bool same) {
  return k + (same ? 1 : 0) + std::max<size_t>(16, k / 2);
}

// k of the rows that the processor finds for some queries; `same`: without the query itself.
void on_processor(const Points& queries, const Points& rows, const std::vector<size_t>& list, bool same, size_t k,
                  reduce::Neighbours& out, const Control& control) {
  if (list.empty()) return;
  const size_t d = rows.cols(), bytes = d * (queries.x().is_double ? 8 : 4);
  Buffer<char> gathered(list.size() * bytes);
  for (size_t i = 0; i < list.size(); ++i)
    std::memcpy(gathered.data() + i * bytes, static_cast<const char*>(queries.x().data) + list[i] * bytes, bytes);
  const Matrix some = {gathered.data(), queries.x().is_double, list.size(), d};
  const size_t wanted = k + (same ? 1 : 0);
  const reduce::Neighbours found =
      reduce::nearest(some, rows.x(), false, wanted, rows.pool(), control, rows.simd(), [](size_t) {});
  for (size_t i = 0; i < list.size(); ++i) {
    size_t kept = 0;
    for (size_t r = 0; r < wanted && kept < k; ++r) {
      const int32_t row = found.row[i * wanted + r];
      if (same && static_cast<size_t>(row) == list[i]) continue;
      out.row[list[i] * k + kept] = row;
      out.distance[list[i] * k + kept++] = found.distance[i * wanted + r];
    }
  }
}

}  // namespace

bool device_finds(size_t k) {
  return proposed_for(k, true) <= kMostProposed;
}

reduce::Neighbours nearest(const Points& queries, const Points& rows, size_t k, const Control& control,
                           const std::function<void(size_t)>& done) {
  const bool same = &queries == &rows;
  const size_t n = rows.rows();
  const size_t proposed = std::min(n, proposed_for(k, same));
  if (rows.device() == nullptr || proposed > kMostProposed)
    return reduce::nearest(queries.x(), rows.x(), same, k, rows.pool(), control, rows.simd(), done);
  reduce::Neighbours out;
  out.k = k;
  out.row.resize(queries.rows() * k);
  out.distance.resize(queries.rows() * k);
  const Length other = worst(rows, all_of(rows));
  const double relative = 1 - (static_cast<double>(rows.cols()) + 16) * 0x1p-52;
  std::vector<int32_t> proposals(std::min(kTogether, queries.rows()) * proposed);
  std::vector<float> estimates(proposals.size());
  std::vector<uint8_t> undecided(queries.rows(), 0);
  for (size_t first = 0; first < queries.rows(); first += kTogether) {
    control.check();
    const size_t count = std::min(kTogether, queries.rows() - first);
    CudaFailure failure;
    check_device(rows.library().points_best(queries.device(), rows.device(), static_cast<int64_t>(first),
                                            static_cast<int32_t>(count), static_cast<int32_t>(proposed),
                                            proposals.data(), estimates.data(), control.words(), &failure),
                 failure, control);
    rows.pool().for_blocks(count, 16, [&](unsigned, size_t begin, size_t end) {
      std::vector<Found> found;
      for (size_t i = begin; i < end; ++i) {
        const size_t query = first + i;
        found.clear();
        for (size_t r = 0; r < proposed; ++r) {
          const int32_t row = proposals[i * proposed + r];
          if (same && static_cast<size_t>(row) == query) continue;
          found.emplace_back(reduce::distance(queries.x(), query, rows.x(), static_cast<size_t>(row)), row);
        }
        std::sort(found.begin(), found.end());
        for (size_t r = 0; r < k; ++r) {
          out.distance[query * k + r] = found[r].first;
          out.row[query * k + r] = found[r].second;
        }
        if (proposed == n) continue;
        // every other row was estimated no nearer than the last one here
        const double last = static_cast<double>(estimates[(i + 1) * proposed - 1]);
        const double least = std::sqrt(std::max(0.0, last - distance_error(queries, query, other)));
        const double moved = 0x1p-51 * (queries.left(query).radius + other.radius);  // by the origin's subtraction
        undecided[query] = (least - moved) * relative > found[k - 1].first ? 0 : 1;
      }
    });
    done(first + count);
  }
  std::vector<size_t> list;
  for (size_t i = 0; i < undecided.size(); ++i)
    if (undecided[i] != 0) list.push_back(i);
  on_processor(queries, rows, list, same, k, out, control);
  return out;
}

}  // namespace coregain::pairwise
