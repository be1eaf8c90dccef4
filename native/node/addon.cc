#include "node/addon.h"

namespace coregain::node {
namespace {

// One instance for each environment, so that worker threads do not share state.
class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports) {
    register_cuda(env, exports);
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
