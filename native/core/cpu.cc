#include "core/cpu.h"

#include <algorithm>
#include <thread>

namespace coregain {

std::vector<std::string> simd_levels() {
  std::vector<std::string> levels;
#if defined(__x86_64__)
  // libgcc's probe also asks the operating system whether it saves the wide registers.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    levels.emplace_back("avx512");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) levels.emplace_back("avx2");
#elif defined(__aarch64__)
  levels.emplace_back("neon");
#endif
  levels.emplace_back("scalar");
  return levels;
}

unsigned hardware_threads() {
  return std::max(1U, std::thread::hardware_concurrency());
}

#if defined(__x86_64__)
StandardArithmetic::StandardArithmetic() : before_(__builtin_ia32_stmxcsr()) {
  __builtin_ia32_ldmxcsr(0x1f80);  // the value at reset: nearest, no flushing, no traps
}
StandardArithmetic::~StandardArithmetic() {
  __builtin_ia32_ldmxcsr(static_cast<uint32_t>(before_));
}
#elif defined(__aarch64__)
StandardArithmetic::StandardArithmetic() : before_(0) {
  asm volatile("mrs %0, fpcr" : "=r"(before_));
  asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
}
StandardArithmetic::~StandardArithmetic() {
  asm volatile("msr fpcr, %0" : : "r"(before_));
}
#else
StandardArithmetic::StandardArithmetic() : before_(0) {}
StandardArithmetic::~StandardArithmetic() = default;
#endif

}  // namespace coregain
