// A CUDA library of another interface: cuda_library_test must see that before it calls anything.
#include "cuda/api.h"

extern "C" __attribute__((visibility("default"))) const coregain::CudaTable* coregain_cuda_table() {
  static const coregain::CudaTable table = [] {
    coregain::CudaTable other{};
    other.version = 999;
    other.size = 8;
    return other;
  }();
  return &table;
}
