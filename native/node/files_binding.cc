// readPieces of lib/native.ts.
#include <algorithm>
#include <memory>

#include "core/read_pieces.h"
#include "node/addon.h"
#include "node/arguments.h"

namespace coregain::node {
namespace {

Napi::Value read(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[0].As<Napi::Object>();
  const auto file = static_cast<int>(number(job, "file", -1));
  const auto offset = static_cast<uint64_t>(std::max(0.0, number(job, "offset", 0)));
  const auto stride = static_cast<uint64_t>(std::max(0.0, number(job, "stride", 0)));
  const auto count = static_cast<size_t>(std::max(0.0, number(job, "count", 0)));
  const Napi::Value target = job.Get("target");
  if (!target.IsTypedArray() || count == 0 || target.As<Napi::TypedArray>().ByteLength() % count != 0)
    throw Napi::TypeError::New(info.Env(), "readPieces: `target` must be a typed array of `count` equal pieces.");
  const auto array = target.As<Napi::TypedArray>();
  void* memory = nullptr;
  napi_get_typedarray_info(info.Env(), array, nullptr, nullptr, &memory, nullptr, nullptr);
  const size_t bytes = array.ByteLength() / count;
  const auto got = std::make_shared<uint64_t>(0);
  return jobs.start(
      info.Env(),
      {
          .run = [=] { *got = read_pieces(file, offset, stride, bytes, count, static_cast<char*>(memory)); },
          .resolve = [got](Napi::Env env) { return Napi::Number::New(env, static_cast<double>(*got)); },
          .cancel = [] {},
          .keep = {target},
      });
}

}  // namespace

void register_files(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  const auto start = [&jobs](const Napi::CallbackInfo& info) { return read(info, jobs); };
  exports.Set("readPieces", Napi::Function::New(env, start, "readPieces"));
}

}  // namespace coregain::node
