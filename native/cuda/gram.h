// Inner products of all pairs of rows of a window, by the 8-bit tensor cores, from the planes of cuda/quantise.h.
//
//   Q_i.Q_p = 65536 high.high + 256 (high.low + low.high) + low.low
//
// Three sums in int32, exact while d <= 65536: |high.low + low.high| <= 2 d 127 * 128 < 2^31. Rounded once, to float32.
#pragma once

#include "cuda/quantise.h"

namespace coregain::cuda {

// out[i, p] = s_i s_p (Q_i.Q_p), off by at most 2^-23 |s_i Q_i| |s_p Q_p| (one rounding to float32, 2^-24, and three in
// float64); underflow below 2^-126 is part of Steps' constant.
//
// A block computes 128 x 64 products and writes them and their mirror image; blocks below the diagonal return at once.
// Work: 4 n^2 d multiply-adds of 8 bits in 2 halves = about 2 n^2 d, n^2 4 bytes written, and 192 rows read from L2 for
// 8192 products. Shared memory: 3 stages of (128 + 64) rows, 2 planes, 64 bytes in a pitch of 80, so that the 8 rows
// that a fragment load touches lie in different banks.
struct Gram {
  static constexpr unsigned kThreads = 256;
  static constexpr size_t kRows = 128, kColumns = 64, kDepth = 64;
  static constexpr size_t kPitch = kDepth + 16;
  static constexpr int kStages = 3;
  static constexpr size_t kStage = 2 * (kRows + kColumns) * kPitch;
  static constexpr size_t kShared = kStages * kStage;
  static constexpr int kM = 2, kN = 4;  // 16 x 8 tiles of a warp: 32 x 32 products

  const int8_t *high, *low;  // [size rounded up to kRows, stride]
  const RowForm* form;       // [size]
  int32_t size;
  size_t stride;
  float* out;  // [size, pitch]
  size_t pitch;

  // Blocks of a launch: of the upper triangle and some of the lower one.
  static unsigned blocks(int32_t size) {
    const auto n = static_cast<size_t>(size);
    return static_cast<unsigned>(((n + kRows - 1) / kRows) * ((n + kColumns - 1) / kColumns));
  }

  struct Sums {
    int32_t high[kM][kN][4] = {}, mixed[kM][kN][4] = {}, low[kM][kN][4] = {};
  };
  struct Fragments {
    uint32_t a[2][kM][4], b[2][kN][2];  // by plane, high first
  };

  COREGAIN_DEVICE void operator()(Block& block) const {
    const size_t across = (static_cast<size_t>(size) + kColumns - 1) / kColumns;
    const size_t top = block.index / across * kRows, left = block.index % across * kColumns;
    if (left + kColumns <= top) return;
    int8_t* const stages = block.shared<int8_t>(kShared);
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
        const int8_t* const stage = stages + chunk % kStages * kStage;
        COREGAIN_UNROLL
        for (size_t k = 0; k < kDepth; k += 32) {
          warp.lanes([&](unsigned lane) { take(fragments[warp.index * kWarp + lane], stage, warp.index, lane, k); });
          COREGAIN_UNROLL
          for (int m = 0; m < kM; ++m) {
            COREGAIN_UNROLL
            for (int n = 0; n < kN; ++n) {
              multiply(warp, sums, fragments, m, n);
            }
          }
        }
      });
    }
    block.each([&](unsigned thread) { write(sums[thread], thread, top, left); });
  }

  // Starts to copy a chunk of the block's rows; past the end an empty group keeps the count.
  COREGAIN_DEVICE void load(unsigned thread, int8_t* stages, int chunk, int chunks, size_t top, size_t left) const {
    if (chunk < chunks) {
      int8_t* const stage = stages + chunk % kStages * kStage;
      constexpr size_t kPieces = kDepth / 16;
      for (size_t piece = thread; piece < 2 * (kRows + kColumns) * kPieces; piece += kThreads) {
        const size_t line = piece / kPieces, at = piece % kPieces * 16;  // lines: A high, A low, B high, B low
        const bool b = line >= 2 * kRows;
        const size_t within = b ? line - 2 * kRows : line, rows = b ? kColumns : kRows;
        const size_t row = (b ? left : top) + within % rows;
        const int8_t* const plane = within < rows ? high : low;
        copy16_async(stage + line * kPitch + at, plane + row * stride + static_cast<size_t>(chunk) * kDepth + at);
      }
    }
    commit_async();
  }

  // The fragments of a warp for 32 columns from k on: Warp::multiply_int8 has the layout.
  COREGAIN_DEVICE static void take(Fragments& to, const int8_t* stage, unsigned warp, unsigned lane, size_t k) {
    const size_t row = warp / 2 * 32 + lane / 4, column = warp % 2 * 32 + lane / 4, at = k + lane % 4 * 4;
    const auto word = [&](size_t line, size_t offset) {
      return *reinterpret_cast<const uint32_t*>(stage + line * kPitch + offset);
    };
    COREGAIN_UNROLL
    for (size_t plane = 0; plane < 2; ++plane) {
      COREGAIN_UNROLL
      for (size_t m = 0; m < kM; ++m) {
        COREGAIN_UNROLL
        for (size_t r = 0; r < 4; ++r)
          to.a[plane][m][r] = word(plane * kRows + row + m * 16 + r % 2 * 8, at + r / 2 * 16);
      }
      COREGAIN_UNROLL
      for (size_t n = 0; n < kN; ++n) {
        COREGAIN_UNROLL
        for (size_t r = 0; r < 2; ++r)
          to.b[plane][n][r] = word(2 * kRows + plane * kColumns + column + n * 8, at + r * 16);
      }
    }
  }

  COREGAIN_DEVICE static void multiply(const Warp& warp, PerThread<Sums>& sums, PerThread<Fragments>& fragments, int m,
                                       int n) {
    warp.multiply_int8([&](unsigned t) -> Warp::Operands {
      return {sums[t].high[m][n], fragments[t].a[0][m], fragments[t].b[0][n]};
    });
    warp.multiply_int8([&](unsigned t) -> Warp::Operands {
      return {sums[t].mixed[m][n], fragments[t].a[0][m], fragments[t].b[1][n]};
    });
    warp.multiply_int8([&](unsigned t) -> Warp::Operands {
      return {sums[t].mixed[m][n], fragments[t].a[1][m], fragments[t].b[0][n]};
    });
    warp.multiply_int8([&](unsigned t) -> Warp::Operands {
      return {sums[t].low[m][n], fragments[t].a[1][m], fragments[t].b[1][n]};
    });
  }

  // Both ways round, in whole 32-byte sectors: 4 lanes hold 8 columns of a row, 8 lanes 8 rows of a column.
  COREGAIN_DEVICE void write(const Sums& sums, unsigned thread, size_t top, size_t left) const {
    const unsigned warp = thread / kWarp, lane = thread % kWarp;
    COREGAIN_UNROLL
    for (size_t m = 0; m < kM; ++m) {
      COREGAIN_UNROLL
      for (size_t n = 0; n < kN; ++n) {
        COREGAIN_UNROLL
        for (size_t r = 0; r < 4; ++r) {
          const size_t i = top + warp / 2 * 32 + m * 16 + lane / 4 + r / 2 * 8;
          const size_t p = left + warp % 2 * 32 + n * 8 + lane % 4 * 2 + r % 2;
          if (i >= static_cast<size_t>(size) || p >= static_cast<size_t>(size)) continue;
          const double product = 65536.0 * sums.high[m][n][r] + 256.0 * sums.mixed[m][n][r] + sums.low[m][n][r];
          const auto value = static_cast<float>(product * (form[i].scale * form[p].scale));
          out[i * pitch + p] = value;
          out[p * pitch + i] = value;
        }
      }
    }
  }
};

}  // namespace coregain::cuda
