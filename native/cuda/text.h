// Numbers in the sentences of errors.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace coregain::cuda {

inline std::string gigabytes(uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace coregain::cuda
