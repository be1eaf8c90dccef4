#include "core/cuda_library.h"

#include <unistd.h>

#if defined(__linux__)
#include <dlfcn.h>
#endif

namespace coregain {

#if defined(__linux__)
namespace {

constexpr const char* kFile = "libcoregain_cuda.so";
constexpr int32_t kMostDevices = 64;

CudaSupport unavailable(CudaSupport support, const std::string& reason) {
  support.table = nullptr;
  support.reason = reason;
  return support;
}

// The folder of the file that holds this function.
std::string own_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&cuda_support), &info) == 0 || info.dli_fname == nullptr) return ".";
  const std::string file = info.dli_fname;
  const size_t slash = file.rfind('/');
  return slash == std::string::npos ? "." : file.substr(0, slash);
}

}  // namespace

CudaSupport open_cuda_library(const std::string& path) {
  CudaSupport support;
  support.path = path;
  if (access(path.c_str(), F_OK) != 0)
    return unavailable(support, "this build of coregain has no CUDA library (" + path + " is not there)");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* error = dlerror();  // NOLINT(concurrency-mt-unsafe): glibc keeps one for each thread
    return unavailable(support, std::string("the CUDA library does not load: ") + (error == nullptr ? path : error));
  }
  const auto table = reinterpret_cast<const CudaTable* (*)()>(dlsym(library, "coregain_cuda_table"));
  if (table == nullptr) return unavailable(support, path + " is not the CUDA library of coregain");
  support.table = table();
  if (support.table->version != kCudaVersion || support.table->size != sizeof(CudaTable))
    return unavailable(support, "the CUDA library is of another build (interface " +
                                    std::to_string(support.table->version) + ", " + std::to_string(kCudaVersion) +
                                    " is needed)");
  support.devices.resize(kMostDevices);
  int32_t count = 0;
  CudaFailure failure;
  if (support.table->devices(support.devices.data(), kMostDevices, &count, &failure) != CudaCode::kOk) {
    support.devices.clear();
    return unavailable(support, static_cast<const char*>(failure.message));
  }
  support.devices.resize(static_cast<size_t>(count));
  if (count == 0) return unavailable(support, "the NVIDIA driver shows no device");
  return support;
}

const CudaSupport& cuda_support() {
  static const CudaSupport found = open_cuda_library(own_folder() + "/" + kFile);
  return found;
}

#else

CudaSupport open_cuda_library(const std::string& path) {
  CudaSupport support;
  support.path = path;
  support.reason = "coregain uses CUDA on Linux only";
  return support;
}

const CudaSupport& cuda_support() {
  static const CudaSupport found = open_cuda_library("");
  return found;
}

#endif

Error cuda_error(CudaCode code, const CudaFailure& failure) {
  const std::string message = static_cast<const char*>(failure.message);
  if (code == CudaCode::kMemory) return {"ERR_MEMORY", message};
  // after an error within a kernel all calls of the process fail
  return {"ERR_DEVICE", code == CudaCode::kFailed ? message + ": start anew, or use the device \"cpu\"" : message};
}

}  // namespace coregain
