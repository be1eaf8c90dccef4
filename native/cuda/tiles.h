// Inner products of all pairs of two lists of rows, in any precision, 128 x 64 at a time; what becomes of a tile is an
// epilogue's business, so that no kernel writes products that it only sums.
//
// Work: 2 d operations a pair. Memory: a block reads 192 rows from L2 for 8192 products. Shared memory: 3 stages of
// 192 rows, 64 bytes in a pitch of 80, so that the 8 rows that a load touches lie in different banks.
#pragma once

#include <type_traits>

#include "cuda/tensor.h"

namespace coregain::cuda {

// Rows of a matrix of forms: `list`, or those from `first` on.
struct Side {
  const char* forms;      // [.., stride]
  const double* scales;   // by row; null = 1
  const double* squares;  // by row, for the epilogues that want them
  const int32_t* list;    // null: first, first + 1, ...
  int64_t first;
  int32_t count;
  COREGAIN_DEVICE size_t row(size_t i) const {
    return list == nullptr ? static_cast<size_t>(first) + i : static_cast<size_t>(list[i]);
  }
  COREGAIN_DEVICE double scale(size_t row) const { return scales == nullptr ? 1.0 : scales[row]; }
};

// A thread's share of a tile: element (m, n, r) is of left row row(m, r) and right row column(n, r).
struct TileShare {
  static constexpr int kM = 2, kN = 4;  // 16 x 8 parts of a warp: 32 x 32 products
  unsigned warp, lane;
  COREGAIN_DEVICE explicit TileShare(unsigned thread) : warp(thread / kWarp), lane(thread % kWarp) {}
  COREGAIN_DEVICE size_t row(int m, int r) const {
    return warp / 2 * 32 + static_cast<size_t>(m) * 16 + lane / 4 + static_cast<size_t>(r) / 2 * 8;
  }
  COREGAIN_DEVICE size_t column(int n, int r) const {
    return warp % 2 * 32 + static_cast<size_t>(n) * 8 + lane % 4 * 2 + static_cast<size_t>(r) % 2;
  }
};

using TileValues = double[TileShare::kM][TileShare::kN][4];

template <CudaPrecision kPrecision, typename Epilogue>
struct Tiles {
  static constexpr unsigned kThreads = 256;
  static constexpr size_t kRows = 128, kColumns = 64, kDepth = 64;  // depth: bytes of a row
  static constexpr size_t kPitch = kDepth + 16;
  static constexpr int kStages = 3;
  static constexpr size_t kStage = (kRows + kColumns) * kPitch;
  static constexpr size_t kShared = kStages * kStage;
  static constexpr bool kInteger = kPrecision == CudaPrecision::kInt8;
  // one waits for memory while the other multiplies; without tensor cores a block needs more registers
  static constexpr unsigned kResident = kPrecision == CudaPrecision::kFp32 ? 1 : 2;
  // chunks of 64 bytes that are summed in float32: 128 numbers, then float64
  static constexpr int kTogether = kPrecision == CudaPrecision::kBf16 ? 4 : 8;
  static constexpr int kM = TileShare::kM, kN = TileShare::kN;
  using Part = std::conditional_t<kInteger, int32_t, float>;

  Side a, b;
  size_t stride;  // bytes, a multiple of kDepth
  Epilogue epilogue;

  static unsigned blocks(int64_t rows, int64_t columns) {
    return static_cast<unsigned>((rows + kRows - 1) / kRows * ((columns + kColumns - 1) / kColumns));
  }

  struct Sums {
    Part part[kM][kN][4] = {};
    TileValues total = {};
  };
  struct Fragments {
    uint32_t a[kM][4], b[kN][2];
  };

  COREGAIN_DEVICE void operator()(Block& block) const {
    const size_t across = (static_cast<size_t>(b.count) + kColumns - 1) / kColumns;
    const size_t top = block.index / across * kRows, left = block.index % across * kColumns;
    char* const stages = block.shared<char>(kShared);
    const auto chunks = static_cast<int>(stride / kDepth);
    PerThread<Sums> sums(block);
    PerThread<Fragments> fragments(block);

    block.each([&](unsigned thread) {
      for (int chunk = 0; chunk < kStages - 1; ++chunk) load(thread, stages, chunk, chunks, top, left);
    });
    for (int chunk = 0; chunk < chunks; ++chunk) {
      // all are done with the stage that this one overwrites: the barrier of the last turn
      block.each([&](unsigned thread) {
        load(thread, stages, chunk + kStages - 1, chunks, top, left);
        wait_async<kStages - 1>();
      });
      block.warps([&](const Warp& warp) {
        const char* const stage = stages + chunk % kStages * kStage;
        if constexpr (kPrecision == CudaPrecision::kFp32) {
          warp.lanes([&](unsigned lane) { multiply_fp32(sums[warp.index * kWarp + lane], stage, warp.index, lane); });
        } else {
          COREGAIN_UNROLL
          for (size_t k = 0; k < kDepth; k += 32) {
            warp.lanes([&](unsigned lane) { take(fragments[warp.index * kWarp + lane], stage, warp.index, lane, k); });
            COREGAIN_UNROLL
            for (int m = 0; m < kM; ++m) {
              COREGAIN_UNROLL
              for (int n = 0; n < kN; ++n) multiply(warp, sums, fragments, m, n);
            }
          }
        }
        if (chunk + 1 == chunks || (!kInteger && (chunk + 1) % kTogether == 0))
          warp.lanes([&](unsigned lane) { flush(sums[warp.index * kWarp + lane]); });
      });
    }
    // the stages' memory is free now
    epilogue(block, a, b, top, left, stages, [&](unsigned thread) -> const TileValues& { return sums[thread].total; });
  }

  // Starts to copy a chunk of the block's rows; past the end an empty group keeps the count. Rows beyond the last are
  // copies of it, which no epilogue reads.
  COREGAIN_DEVICE void load(unsigned thread, char* stages, int chunk, int chunks, size_t top, size_t left) const {
    if (chunk < chunks) {
      char* const stage = stages + chunk % kStages * kStage;
      constexpr size_t kPieces = kDepth / 16;
      for (size_t piece = thread; piece < (kRows + kColumns) * kPieces; piece += kThreads) {
        const size_t line = piece / kPieces, at = piece % kPieces * 16;
        const bool right = line >= kRows;
        const Side& side = right ? b : a;
        const size_t wanted = right ? left + line - kRows : top + line;
        const size_t last = static_cast<size_t>(side.count) - 1;
        const size_t row = side.row(wanted < last ? wanted : last);
        copy16_async(stage + line * kPitch + at, side.forms + row * stride + static_cast<size_t>(chunk) * kDepth + at);
      }
    }
    commit_async();
  }

  // The fragments of a warp for 32 bytes from k on (cuda/tensor.h).
  COREGAIN_DEVICE static void take(Fragments& to, const char* stage, unsigned warp, unsigned lane, size_t k) {
    const size_t row = warp / 2 * 32 + lane / 4, column = warp % 2 * 32 + lane / 4, at = k + lane % 4 * 4;
    const auto word = [&](size_t line, size_t offset) {
      return *reinterpret_cast<const uint32_t*>(stage + line * kPitch + offset);
    };
    COREGAIN_UNROLL
    for (size_t m = 0; m < kM; ++m) {
      COREGAIN_UNROLL
      for (size_t r = 0; r < 4; ++r) to.a[m][r] = word(row + m * 16 + r % 2 * 8, at + r / 2 * 16);
    }
    COREGAIN_UNROLL
    for (size_t n = 0; n < kN; ++n) {
      COREGAIN_UNROLL
      for (size_t r = 0; r < 2; ++r) to.b[n][r] = word(kRows + column + n * 8, at + r * 16);
    }
  }

  COREGAIN_DEVICE static void multiply(const Warp& warp, PerThread<Sums>& sums, PerThread<Fragments>& fragments, int m,
                                       int n) {
    if constexpr (kInteger) {
      warp.multiply_int8([&](unsigned t) -> Warp::Operands {
        return {sums[t].part[m][n], fragments[t].a[m], fragments[t].b[n]};
      });
    } else {
      const auto operands = [&](unsigned t) -> FloatOperands {
        return {sums[t].part[m][n], fragments[t].a[m], fragments[t].b[n]};
      };
      if constexpr (kPrecision == CudaPrecision::kTf32)
        multiply_tf32(warp, operands);
      else
        multiply_bf16(warp, operands);
    }
  }

  // The same share of the tile without tensor cores: each thread multiplies 4 rows with 8, four numbers at a time.
  COREGAIN_DEVICE static void multiply_fp32(Sums& sums, const char* stage, unsigned warp, unsigned lane) {
    if constexpr (!kInteger) {
      const TileShare share(warp * kWarp + lane);
      COREGAIN_UNROLL
      for (size_t k = 0; k < kDepth; k += 16) {
        float left[2 * kM][4], right[2 * kN][4];
        COREGAIN_UNROLL
        for (int i = 0; i < 2 * kM; ++i) words(stage + share.row(i / 2, i % 2 * 2) * kPitch + k, left[i]);
        COREGAIN_UNROLL
        for (int i = 0; i < 2 * kN; ++i) words(stage + (kRows + share.column(i / 2, i % 2)) * kPitch + k, right[i]);
        COREGAIN_UNROLL
        for (int m = 0; m < kM; ++m) {
          COREGAIN_UNROLL
          for (int n = 0; n < kN; ++n) {
            COREGAIN_UNROLL
            for (int r = 0; r < 4; ++r) {
              COREGAIN_UNROLL
              for (int j = 0; j < 4; ++j) sums.part[m][n][r] += left[2 * m + r / 2][j] * right[2 * n + r % 2][j];
            }
          }
        }
      }
    }
  }
  COREGAIN_DEVICE static void words(const char* from, float* to) {
    const Bytes16 bytes = load16(from);
    COREGAIN_UNROLL
    for (int j = 0; j < 4; ++j) to[j] = float_of(bytes.words[j]);
  }

  COREGAIN_DEVICE static void flush(Sums& sums) {
    COREGAIN_UNROLL
    for (int m = 0; m < kM; ++m) {
      COREGAIN_UNROLL
      for (int n = 0; n < kN; ++n) {
        COREGAIN_UNROLL
        for (int r = 0; r < 4; ++r) {
          sums.total[m][n][r] += static_cast<double>(sums.part[m][n][r]);
          sums.part[m][n][r] = 0;
        }
      }
    }
  }
};

// ---- epilogues

// f(i, j, m, n, r) for the products of a thread that are of rows of both lists.
template <typename F>
COREGAIN_DEVICE void for_share(const Side& a, const Side& b, size_t top, size_t left, unsigned thread, const F& f) {
  const TileShare share(thread);
  COREGAIN_UNROLL
  for (int m = 0; m < TileShare::kM; ++m) {
    COREGAIN_UNROLL
    for (int n = 0; n < TileShare::kN; ++n) {
      COREGAIN_UNROLL
      for (int r = 0; r < 4; ++r) {
        const size_t i = top + share.row(m, r), j = left + share.column(n, r);
        if (i < static_cast<size_t>(a.count) && j < static_cast<size_t>(b.count)) f(i, j, m, n, r);
      }
    }
  }
}

COREGAIN_DEVICE float squared_distance(const Side& a, size_t p, const Side& b, size_t q, double product) {
  const double square = a.squares[p] + b.squares[q] - 2 * product * (a.scale(p) * b.scale(q));
  return static_cast<float>(square > 0 ? square : 0.0);
}

// out[i * pitch + j] = |y_i - y_j|^2
struct WriteDistances {
  float* out;
  size_t pitch;
  template <typename Values>
  COREGAIN_DEVICE void operator()(Block& block, const Side& a, const Side& b, size_t top, size_t left, char*,
                                  const Values& values) const {
    block.each([&](unsigned thread) {
      const TileValues& mine = values(thread);
      for_share(a, b, top, left, thread, [&](size_t i, size_t j, int m, int n, int r) {
        out[i * pitch + j] = squared_distance(a, a.row(i), b, b.row(j), mine[m][n][r]);
      });
    });
  }
};

// out[i * pitch + j] = y_i.y_j
struct WriteProducts {
  double* out;
  size_t pitch;
  template <typename Values>
  COREGAIN_DEVICE void operator()(Block& block, const Side& a, const Side& b, size_t top, size_t left, char*,
                                  const Values& values) const {
    block.each([&](unsigned thread) {
      const TileValues& mine = values(thread);
      for_share(a, b, top, left, thread, [&](size_t i, size_t j, int m, int n, int r) {
        out[i * pitch + j] = mine[m][n][r] * (a.scale(a.row(i)) * b.scale(b.row(j)));
      });
    });
  }
};

// partial[tile row, j] = sum over the tile's rows i of max(0, 1/2 + y_i.y_j / 2 - reached[row i]), in one order.
struct SumCoverage {
  static constexpr size_t kSlots = 32;  // sums of a column: 4 rows of warps x 8 rows of lanes
  const float* reached;
  double* partial;  // [tile rows, pitch]
  size_t pitch;
  template <typename Values>
  COREGAIN_DEVICE void operator()(Block& block, const Side& a, const Side& b, size_t top, size_t left, char* memory,
                                  const Values& values) const {
    auto* const slots = reinterpret_cast<double*>(memory);  // [64, kSlots]
    block.each([&](unsigned thread) {
      const TileValues& mine = values(thread);
      const TileShare share(thread);
      COREGAIN_UNROLL
      for (int c = 0; c < 2 * TileShare::kN; ++c)
        slots[share.column(c / 2, c % 2) * kSlots + share.warp / 2 * 8 + share.lane / 4] = 0;
      for_share(a, b, top, left, thread, [&](size_t i, size_t j, int m, int n, int r) {
        const size_t p = a.row(i), q = b.row(j);
        const double s = 0.5 + 0.5 * (mine[m][n][r] * (a.scale(p) * b.scale(q))) - static_cast<double>(reached[p]);
        if (s > 0) slots[share.column(n, r) * kSlots + share.warp / 2 * 8 + share.lane / 4] += s;
      });
    });
    block.each([&](unsigned thread) {
      if (thread >= 64 || left + thread >= static_cast<size_t>(b.count)) return;
      double sum = 0;
      for (size_t slot = 0; slot < kSlots; ++slot) sum += slots[thread * kSlots + slot];
      partial[top / 128 * pitch + left + thread] = sum;
    });
  }
};

// nearest[row i] = min(nearest[row i], |y_i - y_j|^2 over the tile's j). One tile across a launch.
struct LeastDistance {
  static constexpr size_t kSlots = 8;  // 2 columns of warps x 4 of lanes
  float* nearest;
  template <typename Values>
  COREGAIN_DEVICE void operator()(Block& block, const Side& a, const Side& b, size_t top, size_t left, char* memory,
                                  const Values& values) const {
    auto* const slots = reinterpret_cast<float*>(memory);  // [128, kSlots]
    block.each([&](unsigned thread) {
      const TileValues& mine = values(thread);
      const TileShare share(thread);
      const auto slot = [&](int m, int r) -> float& {
        return slots[share.row(m, r) * kSlots + share.warp % 2 * 4 + share.lane % 4];
      };
      COREGAIN_UNROLL
      for (int m = 0; m < TileShare::kM; ++m) slot(m, 0) = slot(m, 2) = 3.4e38F;
      for_share(a, b, top, left, thread, [&](size_t i, size_t j, int m, int n, int r) {
        const float square = squared_distance(a, a.row(i), b, b.row(j), mine[m][n][r]);
        if (square < slot(m, r)) slot(m, r) = square;
      });
    });
    block.each([&](unsigned thread) {
      if (thread >= 128 || top + thread >= static_cast<size_t>(a.count)) return;
      float& least = nearest[a.row(top + thread)];
      for (size_t slot = 0; slot < kSlots; ++slot) {
        const float square = slots[thread * kSlots + slot];
        least = square < least ? square : least;
      }
    });
  }
};

// out[c] += partial[0, c] + partial[1, c] + ..., in this order
struct AddPartials {
  static constexpr unsigned kThreads = 256;
  const double* partial;
  size_t tiles, pitch, count;
  double* out;
  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      for (size_t c = block.index * kThreads + thread; c < count; c += size_t{block.count} * kThreads) {
        double sum = 0;
        for (size_t tile = 0; tile < tiles; ++tile) sum += partial[tile * pitch + c];
        out[c] += sum;
      }
    });
  }
};

// out[i] = sum_t values[i * pitch + t], t < count
struct AddTerms {
  static constexpr unsigned kThreads = 256;
  const double* values;
  size_t rows, pitch, count;
  double* out;
  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      for (size_t i = block.index * kThreads + thread; i < rows; i += size_t{block.count} * kThreads) {
        double sum = 0;
        for (size_t t = 0; t < count; ++t) sum += values[i * pitch + t];
        out[i] = sum;
      }
    });
  }
};

}  // namespace coregain::cuda
