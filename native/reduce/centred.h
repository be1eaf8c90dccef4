// Rows less their mean, in float32: where distances between rows are small beside the rows, that keeps their digits.
#pragma once

#include <cstddef>
#include <vector>

#include "core/control.h"
#include "core/matrix.h"
#include "core/thread_pool.h"

namespace coregain::reduce {

// out[r * width + j] = float32(x_(first + r)(from + j) - mean_(from + j)), r < count, j < width
void centre(const Matrix& x, const std::vector<double>& mean, size_t first, size_t count, size_t from, size_t width,
            float* out);

// |float32(x_i - mean)| of all rows. Throws Error ERR_RANGE with the first row that float32 products could not hold,
// ERR_CANCELLED.
std::vector<double> centred_lengths(const Matrix& x, const std::vector<double>& mean, ThreadPool& pool,
                                    const Control& control);

}  // namespace coregain::reduce
