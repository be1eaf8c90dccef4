// What a product will read next.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/gemm.h"

namespace coregain::linear {

// What GemmKernel::add may ask for.
class Wanted {
 public:
  // As much as there is room for.
  void add(const void* from, size_t bytes) {
    for (size_t at = 0; at < bytes && count_ < GemmKernel::kRuns; at += GemmKernel::kRun)
      runs_[count_++] = static_cast<const char*>(from) + at;
  }
  // `here`, what is in the first cache already, costs least where there is not so much.
  const char* const* runs(const float* here) {
    if (count_ == 0) return nullptr;
    std::fill(runs_ + count_, runs_ + GemmKernel::kRuns, reinterpret_cast<const char*>(here));
    return runs_;
  }

 private:
  const char* runs_[GemmKernel::kRuns];
  size_t count_ = 0;
};

}  // namespace coregain::linear
