// Which instruction sets this machine can run.
#pragma once

#include <string>
#include <vector>

namespace coregain {

// Levels that this machine (processor and operating system) can run, best first; "scalar" is always last.
std::vector<std::string> simd_levels();

// Hardware threads, at least 1.
unsigned hardware_threads();

}  // namespace coregain
