// Where the points of a layout start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"

namespace coregain::reduce {

// [n, dims]: the rows on their principal components, scaled so that the largest coordinate is 10, plus seeded noise of
// 1e-4 in every coordinate. Where the rows vary in fewer than `dims` directions the rest is noise alone. Throws Error
// ERR_PCA_OVERFLOW, ERR_CANCELLED.
std::vector<float> principal_start(const Matrix& x, size_t dims, uint64_t seed, unsigned threads,
                                   const std::string& simd, const Control& control);

// A standard normal number of each element of [n, dims], scaled by `scale`, is added to `points`.
void add_noise(std::vector<float>& points, size_t dims, float scale, uint64_t seed);

}  // namespace coregain::reduce
