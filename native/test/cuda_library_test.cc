// Opening the CUDA library: whatever is wrong with it is a reason, not a failure.
#include "core/cuda_library.h"

#include <unistd.h>

#include <cstdio>
#include <string>

#include "check.h"

namespace coregain {
namespace {

std::string own_folder() {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  const std::string file(path, static_cast<size_t>(length));
  return file.substr(0, file.rfind('/'));
}

TEST("no file, and a file that is no library: each has its reason") {
  const CudaSupport missing = open_cuda_library("/nonexistent/libcoregain_cuda.so");
  EXPECT(missing.table == nullptr);
  EXPECT(missing.reason.find("/nonexistent/libcoregain_cuda.so is not there") != std::string::npos);

  const std::string path = "not_a_library.so";
  std::FILE* file = std::fopen(path.c_str(), "w");
  std::fputs("text", file);
  std::fclose(file);
  const CudaSupport odd = open_cuda_library("./" + path);
  EXPECT(odd.table == nullptr);
  EXPECT(odd.reason.find("the CUDA library does not load: ") == 0);
  std::remove(path.c_str());
}

TEST("a library of another interface is not called") {
  const CudaSupport other = open_cuda_library(own_folder() + "/libcuda_other_build.so");
  EXPECT(other.table == nullptr);
  EXPECT(other.reason ==
         "the CUDA library is of another build (interface 999, " + std::to_string(kCudaVersion) + " is needed)");
}

TEST("what this process finds is a table with devices, or a reason") {
  const CudaSupport& found = cuda_support();
  EXPECT((found.table != nullptr) == !found.devices.empty());
  EXPECT((found.table != nullptr) == found.reason.empty());
  EXPECT(&found == &cuda_support());
  if (found.table == nullptr) std::printf("    %s\n", found.reason.c_str());
}

}  // namespace
}  // namespace coregain

TEST_MAIN()
