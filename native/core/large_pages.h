// Large pages for memory that somebody else has allocated, and giving it back.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
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

// Lets the system have the whole pages of [start, start + bytes), whose values nobody needs any more: before `free`, as
// malloc keeps blocks of up to 32 MB for itself.
inline void give_back(void* start, size_t bytes) {
#if defined(__linux__)
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t skipped = (page - reinterpret_cast<uintptr_t>(start) % page) % page;
  if (skipped >= bytes) return;
  const size_t whole = (bytes - skipped) / page * page;
  if (whole != 0) madvise(static_cast<char*>(start) + skipped, whole, MADV_DONTNEED);
#else
  (void)start, (void)bytes;
#endif
}

}  // namespace coregain
