#include <algorithm>
#include <vector>

#include "linear/columns.h"
#include "linear/tridiagonal.h"

namespace coregain::linear {
namespace {

constexpr size_t kBlock = 4 * Gemm64Kernel::kPanel;   // reflections that are applied together
constexpr size_t kTile = 64;                          // vectors at a time: they stay in a cache
constexpr size_t kPieces = 2 * Gemm64Kernel::kPanel;  // of V, likewise

// H_first .. H_{first + count - 1} = I - U V: U [rest, count] is `across`, V [count, rest] `along`, rest = what comes
// after element `first` (the compact WY form; as |u|^2 = 2, v_q = u_q - sum_{i < q} (u_i u_q) v_i).
struct Reflections {
  Columns across, along;

  Reflections(const Buffer<double>& a, size_t n, size_t first, size_t count, const Solvers& with)
      : across(n - first - 1, count), along(count, n - first - 1) {
    const size_t rest = n - first - 1;
    Buffer<double> u(count * rest);
    with.pool.for_blocks(count, 4, [&](unsigned, size_t begin, size_t end) {
      for (size_t q = begin; q < end; ++q) {
        double* const to = u.data() + q * rest;
        std::fill_n(to, q, 0.0);
        std::copy_n(a.data() + (first + q) * n + first + q + 1, rest - q, to + q);
        across.put_column(q, to);
      }
    });
    std::vector<double> inner(count * count, 0);
    with.pool.for_blocks(count, Gemm64Kernel::kRows, [&](unsigned, size_t begin, size_t end) {
      add_product(with.products, u.data() + begin * rest, rest, end - begin, across, 0, across.panels(),
                  &inner[begin * count], count);
    });
    with.pool.for_blocks(rest, kPieces, [&](unsigned, size_t begin, size_t end) {
      double v[(kBlock + 3) * kPieces] = {};
      for (size_t q = 0; q < count; ++q) {
        double* const own = v + q * kPieces;
        std::copy_n(u.data() + q * rest + begin, end - begin, own);
        for (size_t i = 0; i < q; i += 4) {
          const double* const x[4] = {v + i * kPieces, v + (i + 1) * kPieces, v + (i + 2) * kPieces,
                                      v + (i + 3) * kPieces};
          double s[4] = {};
          std::copy_n(&inner[q * count + i], std::min<size_t>(4, q - i), s);
          with.rows.subtract(own, x, s, end - begin);
        }
        along.put_row(q, begin, own, end - begin);
      }
    });
  }
};

}  // namespace

void turn_back(const Buffer<double>& a, size_t n, double* vectors, size_t count, const Solvers& with) {
  const size_t reflections = n == 0 ? 0 : n - 1;
  for (size_t first = (reflections + kBlock - 1) / kBlock * kBlock; first > 0;) {
    first -= kBlock;
    const size_t together = std::min(kBlock, reflections - first);
    const Reflections block(a, n, first, together, with);
    with.pool.for_blocks(count, kTile, [&](unsigned, size_t begin, size_t end) {
      with.control.check();
      double* const x = vectors + begin * n + first + 1;
      std::vector<double> along((end - begin) * together, 0);
      add_product(with.products, x, n, end - begin, block.across, 0, block.across.panels(), along.data(), together);
      for (double& value : along) value = -value;
      add_product(with.products, along.data(), together, end - begin, block.along, 0, block.along.panels(), x, n);
    });
  }
}

}  // namespace coregain::linear
