// Products of float32 matrices, each stored either way: C = or += A B^T, with sums in float64.
//
// Tiles of 128 x 64, 8 x 4 a thread, on CUDA cores: 2 k operations an element, none rounded further than float32.
// Shared memory: 16 elements of the 192 lines of a tile, one line an element apart whichever way they are stored,
// twice: the next 16 are on their way in registers while these are multiplied. A few wide tiles are cut along k, so
// that every multiprocessor has some; their parts are added in one order.
#pragma once

#include "cuda/tensor.h"

namespace coregain::cuda {

// One side of a product: element (i, k) is data[i * stride + k], or data[k * stride + i] where it is across. The stride
// is a multiple of 4 and `data` 16 bytes aligned.
struct Factor {
  const float* data;
  size_t stride;
};

// Where sums go.
struct Sums {
  float* floats;  // or
  double* doubles;
  size_t stride;
  bool add;
  COREGAIN_DEVICE void write(size_t i, size_t j, double value) const {
    const size_t at = i * stride + j;
    if (floats != nullptr)
      floats[at] = static_cast<float>(value);
    else
      doubles[at] = add ? doubles[at] + value : value;
  }
};

template <bool kAcrossA, bool kAcrossB>
struct Multiply {
  static constexpr unsigned kThreads = 256;
  static constexpr size_t kRows = 128, kColumns = 64, kDepth = 16;
  static constexpr size_t kPitchA = kRows + 4, kPitchB = kColumns + 4;  // 4 more: other banks
  static constexpr size_t kStage = kDepth * (kPitchA + kPitchB);
  static constexpr size_t kShared = 2 * kStage * sizeof(float);
  static constexpr size_t kTogether = 8;  // times kDepth products are summed in float32
  static constexpr size_t kPiecesA = kRows * kDepth / 4 / kThreads, kPiecesB = kColumns * kDepth / 4 / kThreads;
  static constexpr int kM = 8, kN = 4;

  Factor a, b;
  size_t m, n, k;
  int64_t diagonal;
  size_t part;      // elements of a part of k, a multiple of kDepth
  Sums sums;        // of the only part
  double* partial;  // [parts, m, n], where there are several

  static size_t tiles(size_t rows, size_t columns) {
    return (rows + kRows - 1) / kRows * ((columns + kColumns - 1) / kColumns);
  }

  struct Mine {
    float part[kM][kN] = {};
    double total[kM][kN] = {};
  };
  struct Pieces {
    float a[kPiecesA][4], b[kPiecesB][4];
  };

  COREGAIN_DEVICE void operator()(Block& block) const {
    const size_t across = (n + kColumns - 1) / kColumns, all = (m + kRows - 1) / kRows * across;
    const size_t tile = block.index % all, of = block.index / all;
    const size_t top = tile / across * kRows, left = tile % across * kColumns;
    if (static_cast<int64_t>(left) > static_cast<int64_t>(top + kRows - 1) + diagonal) return;
    const size_t from = of * part, end = from + part < k ? from + part : k;
    auto* const stages = block.shared<float>(2 * kStage);
    PerThread<Mine> mine(block);
    block.each([&](unsigned thread) {
      Pieces pieces;
      fetch(pieces, thread, top, left, from, end);
      keep(pieces, thread, stages);
    });
    size_t chunk = 0;
    for (size_t at = from; at < end; at += kDepth, ++chunk) {
      block.each([&](unsigned thread) {
        Pieces next;
        const bool more = at + kDepth < end;
        if (more) fetch(next, thread, top, left, at + kDepth, end);
        multiply(mine[thread], thread, stages + chunk % 2 * kStage);
        if (!more || (chunk + 1) % kTogether == 0) flush(mine[thread]);
        if (more) keep(next, thread, stages + (chunk + 1) % 2 * kStage);
      });
    }
    block.each([&](unsigned thread) {
      const Mine& have = mine[thread];
      COREGAIN_UNROLL
      for (int r = 0; r < kM; ++r) {
        COREGAIN_UNROLL
        for (int c = 0; c < kN; ++c) {
          const size_t i = top + row(thread, r), j = left + column(thread) + static_cast<size_t>(c);
          if (i >= m || j >= n) continue;
          if (partial != nullptr)
            partial[(of * m + i) * n + j] = have.total[r][c];
          else
            sums.write(i, j, have.total[r][c]);
        }
      }
    });
  }

  // A warp has 32 x 32 of the tile: 4 lanes down, 8 across.
  COREGAIN_DEVICE static size_t row(unsigned thread, int r) {
    return thread / kWarp / 2 * 32 + thread % kWarp / 8 * 4 + static_cast<size_t>(r) / 4 * 16 +
           static_cast<size_t>(r) % 4;
  }
  COREGAIN_DEVICE static size_t column(unsigned thread) { return thread / kWarp % 2 * 32 + thread % 8 * 4; }

  COREGAIN_DEVICE void fetch(Pieces& pieces, unsigned thread, size_t top, size_t left, size_t at, size_t end) const {
    COREGAIN_UNROLL
    for (size_t p = 0; p < kPiecesA; ++p)
      fetch_piece<kAcrossA, kRows>(a, top, m, at, end, thread + p * kThreads, pieces.a[p]);
    COREGAIN_UNROLL
    for (size_t p = 0; p < kPiecesB; ++p)
      fetch_piece<kAcrossB, kColumns>(b, left, n, at, end, thread + p * kThreads, pieces.b[p]);
  }
  COREGAIN_DEVICE static void keep(const Pieces& pieces, unsigned thread, float* stage) {
    COREGAIN_UNROLL
    for (size_t p = 0; p < kPiecesA; ++p)
      keep_piece<kAcrossA, kRows, kPitchA>(pieces.a[p], thread + p * kThreads, stage);
    COREGAIN_UNROLL
    for (size_t p = 0; p < kPiecesB; ++p)
      keep_piece<kAcrossB, kColumns, kPitchB>(pieces.b[p], thread + p * kThreads, stage + kDepth * kPitchA);
  }

  // Four numbers of lines first .. and elements at ..; zeros beyond the last line and the last element.
  template <bool kAcross, size_t kLines>
  COREGAIN_DEVICE static void fetch_piece(const Factor& x, size_t first, size_t lines, size_t at, size_t end,
                                          size_t piece, float* out) {
    const size_t line = first + (kAcross ? piece % (kLines / 4) * 4 : piece / (kDepth / 4));
    const size_t element = at + (kAcross ? piece / (kLines / 4) : piece % (kDepth / 4) * 4);
    const bool there = line < lines && element < end;
    const float* const from = x.data + (kAcross ? element * x.stride + line : line * x.stride + element);
    if (there) {
      four(from, out);
    } else {
      COREGAIN_UNROLL
      for (int j = 0; j < 4; ++j) out[j] = 0;
    }
    if constexpr (!kAcross) {
      COREGAIN_UNROLL
      for (size_t j = 1; j < 4; ++j)
        if (element + j >= end) out[j] = 0;
    }
  }
  template <bool kAcross, size_t kLines, size_t kPitch>
  COREGAIN_DEVICE static void keep_piece(const float* from, size_t piece, float* lines) {
    COREGAIN_UNROLL
    for (size_t j = 0; j < 4; ++j) {
      if constexpr (kAcross)
        lines[piece / (kLines / 4) * kPitch + piece % (kLines / 4) * 4 + j] = from[j];
      else
        lines[(piece % (kDepth / 4) * 4 + j) * kPitch + piece / (kDepth / 4)] = from[j];
    }
  }

  COREGAIN_DEVICE static void multiply(Mine& mine, unsigned thread, const float* stage) {
    const float* const rows = stage + row(thread, 0);
    const float* const columns = stage + kDepth * kPitchA + column(thread);
    COREGAIN_UNROLL
    for (size_t j = 0; j < kDepth; ++j) {
      float x[kM], y[kN];
      four(rows + j * kPitchA, x);
      four(rows + j * kPitchA + 16, x + 4);
      four(columns + j * kPitchB, y);
      COREGAIN_UNROLL
      for (int r = 0; r < kM; ++r) {
        COREGAIN_UNROLL
        for (int c = 0; c < kN; ++c) mine.part[r][c] += x[r] * y[c];
      }
    }
  }
  COREGAIN_DEVICE static void flush(Mine& mine) {
    COREGAIN_UNROLL
    for (int r = 0; r < kM; ++r) {
      COREGAIN_UNROLL
      for (int c = 0; c < kN; ++c) {
        mine.total[r][c] += static_cast<double>(mine.part[r][c]);
        mine.part[r][c] = 0;
      }
    }
  }

  COREGAIN_DEVICE static void four(const float* from, float* to) {
    const Bytes16 bytes = load16(from);
    COREGAIN_UNROLL
    for (int j = 0; j < 4; ++j) to[j] = float_of(bytes.words[j]);
  }
};

// Adds the parts of a product, in their order.
struct AddParts {
  static constexpr unsigned kThreads = 256;
  const double* partial;  // [parts, m, n]
  size_t parts, m, n;
  int64_t diagonal;
  Sums sums;
  COREGAIN_DEVICE void operator()(Block& block) const {
    block.each([&](unsigned thread) {
      for (size_t at = size_t{block.index} * kThreads + thread; at < m * n; at += size_t{block.count} * kThreads) {
        const size_t i = at / n, j = at % n;
        if (static_cast<int64_t>(j) > static_cast<int64_t>(i) + diagonal) continue;
        double sum = 0;
        for (size_t part = 0; part < parts; ++part) sum += partial[part * m * n + at];
        sums.write(i, j, sum);
      }
    });
  }
};

}  // namespace coregain::cuda
