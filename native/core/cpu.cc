#include "core/cpu.h"

#include <algorithm>
#include <thread>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#endif
#include <unistd.h>

namespace coregain {

#if defined(__x86_64__)
namespace {

// Linux grants the tile registers to a process that asks, for all threads that it starts from then on or has.
bool amx() {
#if defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kTiles = 1U << 24, kInt8 = 1U << 25;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kTiles) == 0 || (d & kInt8) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace
#endif

std::vector<std::string> simd_levels() {
  std::vector<std::string> levels;
#if defined(__x86_64__)
  // libgcc's probe also asks the operating system whether it saves the wide registers.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    static const bool tiles = amx();
    if (__builtin_cpu_supports("avx512vnni")) {
      if (tiles) levels.emplace_back("amx");
      levels.emplace_back("avx512vnni");
    }
    levels.emplace_back("avx512");
  }
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

size_t physical_memory() {
  return static_cast<size_t>(std::max(0L, sysconf(_SC_PHYS_PAGES))) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
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
