// The methods of reduce/pca.h, and what they share.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "reduce/pca.h"

namespace coregain::reduce {

std::unique_ptr<PcaFit> covariance_fit(const PcaTask& task);
std::unique_ptr<PcaFit> gram_fit(const PcaTask& task);
std::unique_ptr<PcaFit> krylov_fit(const PcaTask& task);

// Of the largest eigenvalue: below it there is only the rounding of float32 products.
constexpr double kNoise = 0x1p-21;

inline void put(void* out, bool is_double, size_t i, double value) {
  if (is_double)
    static_cast<double*>(out)[i] = value;
  else
    static_cast<float*>(out)[i] = static_cast<float>(value);
}

// `values` are eigenvalues of the scatter, descending: sets variance, total and rank of `out`, and returns how many
// components there are, at most `dims`. Throws Error ERR_PCA_NO_VARIANCE.
size_t describe(const std::vector<double>& values, double scatter, size_t rows, size_t dims, Components& out);

}  // namespace coregain::reduce
