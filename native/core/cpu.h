// Which instruction sets this machine can run, and arithmetic as the language defines it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace coregain {

// Levels that this machine (processor and operating system) can run, best first; "scalar" is always last.
std::vector<std::string> simd_levels();

// Hardware threads, at least 1.
unsigned hardware_threads();

// Bytes of memory of this machine.
size_t physical_memory();

// While it lives, this thread rounds to nearest and keeps denormals. A thread inherits these settings from the one that
// starts it, and some libraries flush denormals to zero in the threads that call them.
class StandardArithmetic {
 public:
  StandardArithmetic();
  ~StandardArithmetic();
  StandardArithmetic(const StandardArithmetic&) = delete;
  StandardArithmetic& operator=(const StandardArithmetic&) = delete;

 private:
  uint64_t before_;
};

}  // namespace coregain
