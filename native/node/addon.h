// The parts of the addon. Each defines its functions on `exports`.
#pragma once

#include <napi.h>

#include "node/jobs.h"

namespace coregain::node {

void register_cuda(Napi::Env env, Napi::Object exports);
void register_files(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_greedy(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_objectives(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_sieve(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_kernels(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_strategies(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_reduce(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_pca(Napi::Env env, Napi::Object exports, Jobs& jobs);
void register_train(Napi::Env env, Napi::Object exports);
void register_render(Napi::Env env, Napi::Object exports, Jobs& jobs);

}  // namespace coregain::node
