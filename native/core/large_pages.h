// Large pages for memory that somebody else has allocated.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace coregain {

constexpr size_t kLargePage = size_t{2} << 20;

// Asks for large pages under the whole ones of [start, start + bytes), where the system has any: best before the first
// touch, when it spares most page faults, and always the look-ups of addresses in rows far apart.
inline void use_large_pages(void* start, size_t bytes) {
#if defined(__linux__)
  const auto address = reinterpret_cast<uintptr_t>(start);
  const size_t skipped = (kLargePage - address % kLargePage) % kLargePage;
  if (skipped >= bytes) return;
  const size_t whole = (bytes - skipped) / kLargePage * kLargePage;
  if (whole != 0) madvise(static_cast<char*>(start) + skipped, whole, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}

}  // namespace coregain
