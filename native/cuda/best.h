// The least few of each row of a table of distances, kept from one stretch of columns to the next.
#pragma once

#include "cuda/block.h"

namespace coregain::cuda {

// A distance, not negative, and the row: of equal ones the lower row is less.
COREGAIN_DEVICE uint64_t best_key(float square, uint32_t row) {
  uint32_t bits;
  memcpy(&bits, &square, 4);
  return static_cast<uint64_t>(bits) << 32 | row;
}
constexpr uint64_t kNoKey = ~uint64_t{0};

// A block a query: keys that beat the worst kept one are collected behind the kept ones, and once there is no more
// room, sorted. What is kept does not depend on the order in which threads collect: keys are distinct.
struct KeepBest {
  static constexpr unsigned kThreads = 256;
  static constexpr size_t kRoom = 2048;  // keys; a power of two
  static constexpr size_t kMost = 1024;  // that may be kept
  static constexpr size_t kShared = kRoom * sizeof(uint64_t) + 16;

  const float* table;  // [queries, pitch]
  size_t pitch;
  int32_t columns;
  uint32_t first_row;  // of column 0
  int32_t keep;
  bool fresh;      // nothing is kept yet
  uint64_t* kept;  // [queries, keep], ascending

  COREGAIN_DEVICE void operator()(Block& block) const {
    auto* const keys = block.shared<uint64_t>(kRoom);
    auto* const count = block.shared<int32_t>(1);
    uint64_t* const mine = kept + size_t{block.index} * static_cast<size_t>(keep);
    block.each([&](unsigned thread) {
      for (size_t i = thread; i < kRoom; i += kThreads)
        keys[i] = !fresh && i < static_cast<size_t>(keep) ? mine[i] : kNoKey;
      if (thread == 0) *count = keep;
    });
    for (int32_t from = 0; from < columns; from += static_cast<int32_t>(kThreads)) {
      const uint64_t worst = keys[keep - 1];
      block.each([&](unsigned thread) {
        const int32_t column = from + static_cast<int32_t>(thread);
        if (column >= columns) return;
        const float square = table[size_t{block.index} * pitch + static_cast<size_t>(column)];
        const uint64_t key = best_key(square, first_row + static_cast<uint32_t>(column));
        if (key < worst) keys[fetch_add(count, 1)] = key;
      });
      const int32_t filled = *count;
      block.each([](unsigned) {});  // all have read it
      if (filled + static_cast<int32_t>(kThreads) > static_cast<int32_t>(kRoom)) cut(block, keys, count);
    }
    cut(block, keys, count);
    block.each([&](unsigned thread) {
      for (size_t i = thread; i < static_cast<size_t>(keep); i += kThreads) mine[i] = keys[i];
    });
  }

  // Bitonic sort, then only the best stay.
  COREGAIN_DEVICE void cut(Block& block, uint64_t* keys, int32_t* count) const {
    constexpr auto kKeys = static_cast<unsigned>(kRoom);
    for (unsigned size = 2; size <= kKeys; size *= 2) {
      for (unsigned distance = size / 2; distance > 0; distance /= 2) {
        block.each([&](unsigned thread) {
          for (unsigned pair = thread; pair < kKeys / 2; pair += kThreads) {
            // pair / distance * 2 * distance + pair % distance, without a division: a power of two
            const unsigned low = 2 * pair - (pair & (distance - 1)), high = low + distance;
            const bool ascending = (low & size) == 0;
            const uint64_t a = keys[low], b = keys[high];
            if ((a > b) == ascending) {
              keys[low] = b;
              keys[high] = a;
            }
          }
        });
      }
    }
    block.each([&](unsigned thread) {
      for (size_t i = static_cast<size_t>(keep) + thread; i < kRoom; i += kThreads) keys[i] = kNoKey;
      if (thread == 0) *count = keep;
    });
  }
};

}  // namespace coregain::cuda
