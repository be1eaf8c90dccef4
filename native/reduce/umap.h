// UMAP: uniform manifold approximation and projection (McInnes, Healy and Melville 2018, arXiv 1802.03426).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "linear/device.h"
#include "reduce/fuzzy.h"

namespace coregain::reduce {

// How the neighbours of training rows are found: all rows compared; by nn_descent; or by nn_descent where that takes
// half the time or less, and its recall, measured on a sample, is at least kLeastRecall.
enum class Search { automatic, exact, descent };
constexpr size_t kRowsPerNeighbour = 1300;  // of at least 15 neighbours: the descent from 19,500 rows on
constexpr double kLeastRecall = 0.97;
// On a device `automatic` compares all rows up to this many products of numbers, about a minute; beyond, it descends on
// the processor.
constexpr double kMostOnDevice = 0x1p50;

struct Umap {
  Matrix x;
  size_t dims = 2;
  size_t neighbours = 15;  // of a row, itself counted; 2 .. N - 1
  Search search = Search::automatic;
  double min_dist = 0.1;
  size_t epochs = 500;
  uint64_t seed = 0;
  unsigned threads = 0;           // 0 = all hardware threads
  std::string simd;               // "" = the best level of this machine
  linear::DeviceChoice device{};  // that compares all rows; the rest is the processor's
};

struct Layout {
  std::vector<float> points;  // [N, dims]
  Curve curve = {1, 1};
  bool exact = true;       // whether all rows were compared
  double recall = 1;       // of the neighbours, measured on a sample
  bool on_device = false;  // whether they were found there
};

// Lays out N >= 3 rows. The same bits for every number of threads and every SIMD level, and on a device where the
// processor compares all rows too. Control: done = N when all is done. Throws what `nearest` throws, and Error
// ERR_DEVICE or ERR_MEMORY.
Layout fit(const Umap& task, Control& control);

// [M, dims]: where M new rows belong in a layout that was fitted to `task.x`. A row starts at the mean of its nearest
// training rows, weighted by membership, and descends, at a quarter of the rate, while they stay. A row's place
// depends only on the row and its number. Control: done = M when all is done.
std::vector<float> place(const Umap& task, const Layout& fitted, const Matrix& rows, Control& control);

}  // namespace coregain::reduce
