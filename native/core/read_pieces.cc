#include "core/read_pieces.h"

#include <cerrno>
#include <system_error>

#include "core/error.h"

#if !defined(_WIN32)
#include <unistd.h>
#endif

namespace coregain {

uint64_t read_pieces(int file, uint64_t offset, uint64_t stride, size_t bytes, size_t count, char* out) {
#if defined(_WIN32)
  (void)file, (void)offset, (void)stride, (void)bytes, (void)count, (void)out;
  throw Error("ERR_FILE_UNREADABLE", "not on this system");
#else
  uint64_t read = 0;
  for (size_t i = 0; i < count; ++i) {
    for (size_t done = 0; done < bytes;) {
      const ssize_t got = pread(file, out + read, bytes - done, static_cast<off_t>(offset + i * stride + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw Error("ERR_FILE_UNREADABLE", std::generic_category().message(errno));
      if (got == 0) return read;
      done += static_cast<size_t>(got);
      read += static_cast<uint64_t>(got);
    }
  }
  return read;
#endif
}

}  // namespace coregain
