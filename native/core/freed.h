// Memory that was freed and that malloc keeps.
#pragma once

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace coregain {

// Lets the system have it: blocks of up to 32 MB stay with the thread that allocated them, and the next stage of a
// computation may ask from another thread. Takes a while; for stages, not for steps.
inline void give_back_freed() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace coregain
