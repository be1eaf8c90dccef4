// Stochastic gradient descent on the cross entropy of a graph and a layout (McInnes et al. 2018, section 3.2), in an
// order that gives the same bits for every number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/thread_pool.h"
#include "reduce/fuzzy.h"

namespace coregain::reduce {

struct Descent {
  Curve curve;
  size_t epochs;
  double rate;  // at the start; falls to 0 linearly
  uint64_t seed;
};

// Moves the points [n, dims]. In each epoch an edge of weight w is used w / (largest w) times on average, on a fixed
// schedule; its vertex moves towards the neighbour (twice, for the edge's two directions), and away from five others
// drawn by (seed, epoch, vertex).
//
// A vertex moves only itself: of a symmetric graph the neighbour has the edge too. An epoch has eight turns: vertices
// of one turn (every eighth) move at once, each looking at where the others were when the turn began, so that nothing
// depends on which thread comes first, and neighbours seldom change places with each other.
//
// `anchors` [m, dims]: what edges lead to and vertices move away from, and stays; absent = the points themselves.
//
// Control: cancel only; `done` is called with the epochs that are finished.
void descend(std::vector<float>& points, size_t dims, const Graph& graph, const Descent& descent,
             const std::vector<float>* anchors, ThreadPool& pool, const Control& control, const std::string& simd,
             const std::function<void(size_t)>& done);

}  // namespace coregain::reduce
