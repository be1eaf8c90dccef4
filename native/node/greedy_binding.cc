// cpu() and greedyBins(job) of lib/native.ts, which validates; only what memory safety needs is checked again here.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "greedy/problem.h"
#include "node/addon.h"

namespace coregain::node {
namespace {

Napi::Value cpu(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::vector<std::string> levels = simd_levels();
  const Napi::Array available = Napi::Array::New(env, levels.size());
  for (size_t i = 0; i < levels.size(); ++i) available.Set(static_cast<uint32_t>(i), levels[i]);
  const Napi::Object report = Napi::Object::New(env);
  report.Set("simd", levels.front());
  report.Set("available", available);
  report.Set("threads", hardware_threads());
  return report;
}

// Memory of V8's own: Electron refuses external buffers.
template <typename Array, typename T>
Array to_array(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

// Node-API cannot name a SharedArrayBuffer before version 10, but what lies under a typed array is one or the other.
bool is_shared(const Napi::TypedArray& array) {
  napi_value buffer = nullptr;
  napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, nullptr, &buffer, nullptr);
  bool detachable = true;
  napi_is_arraybuffer(array.Env(), buffer, &detachable);
  return !detachable;
}

struct GreedyJob {
  explicit GreedyJob(int32_t* control_words) : control(control_words) {}

  Problem problem;
  Control control;
  std::vector<uint8_t> copy;
  Partition result;

  Napi::Value resolve(Napi::Env env) const {
    const Napi::Object out = Napi::Object::New(env);
    out.Set("order", to_array<Napi::Int32Array>(env, result.order));
    out.Set("bins", to_array<Napi::Int32Array>(env, result.bins));
    out.Set("gains", to_array<Napi::Float64Array>(env, result.gains));
    out.Set("name", result.engine);
    out.Set("why", result.why);
    out.Set("device", result.device);
    out.Set("simd", result.simd);
    out.Set("threads", result.threads);
    out.Set("seconds", result.seconds);
    out.Set("dotProducts", static_cast<double>(result.dot_products));
    out.Set("float64Decisions", static_cast<double>(result.float64_decisions));
    out.Set("exactDecisions", static_cast<double>(result.exact_decisions));
    return out;
  }
};

// The rows that the job reads: JavaScript's own memory where nobody can detach it, else a copy. An ArrayBuffer can be
// transferred while the job runs, and its memory freed, although a reference to the array is held.
Matrix matrix_of(const Napi::Object& job, std::vector<uint8_t>& copy) {
  const Napi::Env env = job.Env();
  const Napi::Value value = job.Get("data");
  const int64_t rows = job.Get("rows").ToNumber().Int64Value();
  const int64_t cols = job.Get("cols").ToNumber().Int64Value();
  const napi_typedarray_type type =
      value.IsTypedArray() ? value.As<Napi::TypedArray>().TypedArrayType() : napi_int8_array;
  if (type != napi_float32_array && type != napi_float64_array)
    throw Napi::TypeError::New(env, "greedyBins: `data` must be a Float32Array or a Float64Array.");
  const auto data = value.As<Napi::TypedArray>();
  const auto length = static_cast<int64_t>(data.ElementLength());
  if (rows < 1 || cols < 1 || rows > INT32_MAX || length % cols != 0 || length / cols != rows)
    throw Napi::RangeError::New(env, "greedyBins: `data` must have rows * cols elements, rows below 2^31.");

  void* memory = nullptr;
  napi_get_typedarray_info(env, data, nullptr, nullptr, &memory, nullptr, nullptr);
  if (!is_shared(data)) {
    const auto* bytes = static_cast<const uint8_t*>(memory);
    copy.assign(bytes, bytes + data.ByteLength());
    memory = copy.data();
  }
  return {memory, type == napi_float64_array, static_cast<size_t>(rows), static_cast<size_t>(cols)};
}

int32_t* control_words(const Napi::Object& job) {
  const Napi::Value value = job.Get("control");
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_int32_array ||
      value.As<Napi::TypedArray>().ElementLength() < 2 || !is_shared(value.As<Napi::TypedArray>()))
    throw Napi::TypeError::New(job.Env(),
                               "greedyBins: `control` must be an Int32Array of two elements on a SharedArrayBuffer.");
  return value.As<Napi::Int32Array>().Data();
}

Napi::Value start_greedy(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) throw Napi::TypeError::New(env, "greedyBins expects one object.");
  const auto job = info[0].As<Napi::Object>();
  const auto task = std::make_shared<GreedyJob>(control_words(job));
  Problem& problem = task->problem;
  problem.x = matrix_of(job, task->copy);
  problem.bins = static_cast<size_t>(std::max<int64_t>(0, job.Get("bins").ToNumber().Int64Value()));
  if (job.Get("gain").ToString().Utf8Value() == "cosine") problem.gain = Gain::kCosine;
  if (job.Get("remainder").ToString().Utf8Value() == "drop") problem.remainder = Remainder::kDrop;
  const std::string engine = job.Get("engine").ToString().Utf8Value();
  problem.engine = engine == "lazy"    ? Engine::kLazy
                   : engine == "gram"  ? Engine::kGram
                   : engine == "sweep" ? Engine::kSweep
                                       : Engine::kAuto;
  const Napi::Value device = job.Get("device");
  problem.device = device.IsNumber() ? device.As<Napi::Number>().Int32Value() : -1;
  problem.fallback = job.Get("fallback").ToBoolean();
  problem.threads = job.Get("threads").ToNumber().Uint32Value();
  problem.simd = job.Get("simd").ToString().Utf8Value();
  return jobs.start(env, {
                             .run = [task] { task->result = greedy_bins(task->problem, task->control); },
                             .resolve = [task](Napi::Env e) { return task->resolve(e); },
                             .cancel = [task] { task->control.cancel(); },
                             .keep = {job.Get("data"), job.Get("control")},
                         });
}

}  // namespace

void register_greedy(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  exports.Set("cpu", Napi::Function::New(env, cpu, "cpu"));
  exports.Set("greedyBins",
              Napi::Function::New(
                  env, [&jobs](const Napi::CallbackInfo& info) { return start_greedy(info, jobs); }, "greedyBins"));
}

}  // namespace coregain::node
