// cuda() of lib/native.ts: what the CUDA library finds.
#include "core/cuda_library.h"
#include "node/addon.h"

namespace coregain::node {
namespace {

// Blocks for some tenths of a second the first time, where there is a driver.
Napi::Value cuda(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const CudaSupport& found = cuda_support();
  const Napi::Array devices = Napi::Array::New(env, found.devices.size());
  for (uint32_t i = 0; i < found.devices.size(); ++i) {
    const CudaDevice& device = found.devices[i];
    const Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", std::string(static_cast<const char*>(device.name)));
    entry.Set("memoryBytes", static_cast<double>(device.memory));
    entry.Set("l2Bytes", static_cast<double>(device.l2_bytes));
    entry.Set("capability", std::to_string(device.major) + "." + std::to_string(device.minor));
    entry.Set("multiprocessors", device.multiprocessors);
    entry.Set("driver", std::to_string(device.driver / 1000) + "." + std::to_string(device.driver % 1000 / 10));
    devices.Set(i, entry);
  }
  const Napi::Object report = Napi::Object::New(env);
  report.Set("available", found.table != nullptr);
  report.Set("reason", found.reason);
  report.Set("path", found.path);
  report.Set("devices", devices);
  return report;
}

}  // namespace

void register_cuda(Napi::Env env, Napi::Object exports) {
  exports.Set("cuda", Napi::Function::New(env, cuda, "cuda"));
}

}  // namespace coregain::node
