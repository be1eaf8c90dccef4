// renderScenes(job) of lib/native.ts.
#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <vector>

#include "node/addon.h"
#include "render/render.h"

namespace coregain::node {
namespace {

struct RenderJob {
  std::vector<render::Scene> scenes;
  int size = 0;
  bool labels_only = false;
  unsigned threads = 0;
  std::atomic<bool> cancel{false};
  std::vector<render::Images> images;

  void run() {
    images = render::render_all(scenes, size, labels_only, threads, cancel);
    if (cancel) throw JobError{"ERR_CANCELLED", "The rendering was cancelled."};
  }
};

template <typename Array, typename T>
Array to_array(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

Napi::Value to_object(Napi::Env env, const render::Images& images) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("rgb", to_array<Napi::Uint8Array>(env, images.rgb));
  out.Set("semseg", to_array<Napi::Uint8Array>(env, images.semseg));
  out.Set("instance", to_array<Napi::Uint8Array>(env, images.instance));
  out.Set("depth", to_array<Napi::Uint16Array>(env, images.depth));
  const Napi::Array objects = Napi::Array::New(env, images.objects.size());
  for (size_t i = 0; i < images.objects.size(); ++i) {
    const render::Coverage& c = images.objects[i];
    const Napi::Object object = Napi::Object::New(env);
    object.Set("pixels", c.pixels);
    const Napi::Array box = Napi::Array::New(env, 4);
    const int sides[4] = {c.left, c.top, c.right, c.bottom};
    for (uint32_t k = 0; k < 4; ++k) box.Set(k, sides[k]);
    object.Set("box", box);
    objects.Set(static_cast<uint32_t>(i), object);
  }
  out.Set("objects", objects);
  return out;
}

Napi::Value render_scenes(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Napi::Env env = info.Env();
  const auto job = info[0].As<Napi::Object>();
  const auto task = std::make_shared<RenderJob>();
  task->size = job.Get("size").As<Napi::Number>().Int32Value();
  if (task->size < 1 || task->size > 4096) throw Napi::RangeError::New(env, "renderScenes: `size` must be in 1..4096.");
  task->labels_only = job.Get("labelsOnly").As<Napi::Boolean>().Value();
  task->threads = job.Get("threads").As<Napi::Number>().Uint32Value();
  const auto scenes = job.Get("scenes").As<Napi::Array>();
  for (uint32_t i = 0; i < scenes.Length(); ++i) {
    const Napi::Value values = scenes.Get(i);
    if (!values.IsTypedArray() || values.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
      throw Napi::TypeError::New(env, "renderScenes: every scene must be a Float64Array.");
    const auto numbers = values.As<Napi::Float64Array>();
    try {
      task->scenes.push_back(render::Scene::unpack(numbers.Data(), numbers.ElementLength()));
    } catch (const std::invalid_argument& e) {
      throw Napi::TypeError::New(env, e.what());
    }
  }
  return jobs.start(env, {
                             .run = [task] { task->run(); },
                             .resolve =
                                 [task](Napi::Env e) {
                                   const Napi::Array out = Napi::Array::New(e, task->images.size());
                                   for (size_t i = 0; i < task->images.size(); ++i)
                                     out.Set(static_cast<uint32_t>(i), to_object(e, task->images[i]));
                                   return out;
                                 },
                             .cancel = [task] { task->cancel = true; },
                             .keep = {},
                         });
}

}  // namespace

void register_render(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  exports.Set("renderScenes",
              Napi::Function::New(
                  env, [&jobs](const Napi::CallbackInfo& info) { return render_scenes(info, jobs); }, "renderScenes"));
}

}  // namespace coregain::node
