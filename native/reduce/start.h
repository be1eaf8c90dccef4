// Where the points of a layout start.
#pragma once

#include <cstdint>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"

namespace coregain::reduce {

// Components that are computed at most; further dimensions start as noise.
constexpr size_t kStartComponents = 64;

// [n, dims]: the rows on the leading principal directions of an evenly spaced sample of at most 1,024 of them
// (orthogonal iteration from a seeded start), scaled so that the largest coordinate is 10, plus seeded noise of 1e-4 in
// every coordinate. Where the sample varies in fewer than `dims` directions, or `dims` is above kStartComponents, the
// rest is noise alone. Throws Error ERR_CANCELLED.
std::vector<float> principal_start(const Matrix& x, size_t dims, uint64_t seed, ThreadPool& pool,
                                   const Control& control);

// A standard normal number of each element of [n, dims], scaled by `scale`, is added to `points`.
void add_noise(std::vector<float>& points, size_t dims, float scale, uint64_t seed);

}  // namespace coregain::reduce
