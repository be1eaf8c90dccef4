#include "node/addon.h"

#include "core/large_pages.h"

namespace coregain::node {
namespace {

void use_large_pages_of(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray()) throw Napi::TypeError::New(info.Env(), "useLargePages takes a typed array.");
  const auto array = info[0].As<Napi::TypedArray>();
  void* memory = nullptr;
  napi_get_typedarray_info(info.Env(), array, nullptr, nullptr, &memory, nullptr, nullptr);
  use_large_pages(memory, array.ByteLength());
}

// One instance for each environment, so that worker threads do not share state.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports) {
    exports.Set("useLargePages", Napi::Function::New(env, use_large_pages_of, "useLargePages"));
    register_cuda(env, exports);
    register_files(env, exports, jobs_);
    register_greedy(env, exports, jobs_);
    register_objectives(env, exports, jobs_);
    register_sieve(env, exports, jobs_);
    register_kernels(env, exports, jobs_);
    register_strategies(env, exports, jobs_);
    register_reduce(env, exports, jobs_);
    register_pca(env, exports, jobs_);
    register_train(env, exports);
    register_render(env, exports, jobs_);
    napi_add_async_cleanup_hook(
        env,
        [](napi_async_cleanup_hook_handle handle, void* self) {
          static_cast<Addon*>(self)->jobs_.shutdown();
          napi_remove_async_cleanup_hook(handle);
        },
        this, nullptr);
  }

 private:
  Jobs jobs_;
};

NODE_API_ADDON(Addon)

}  // namespace
}  // namespace coregain::node
