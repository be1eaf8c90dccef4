// cpu() and greedyBins(job) of lib/native.ts, which validates; only what memory safety needs is checked again here.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>

#include "core/cpu.h"
#include "greedy/sweep.h"
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

template <typename Array, typename T>
Array to_array(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

struct GreedyJob {
  Problem problem;
  Settings settings;
  int32_t* control = nullptr;
  Partition result;

  void run() {
    try {
      result = sweep(problem, settings);
    } catch (const Cancelled&) {
      throw JobError{"ERR_CANCELLED", "The selection was cancelled."};
    } catch (const NotFinite& e) {
      const Matrix& x = problem.x;
      const double value = x.is_double ? x.f64(e.row)[e.col] : static_cast<double>(x.f32(e.row)[e.col]);
      throw JobError{"ERR_NOT_FINITE",
                     "Row " + std::to_string(e.row) + ", column " + std::to_string(e.col) + " is " +
                         (value != value ? "NaN" : "infinite") +
                         ". Every embedding must be finite: remove the row or embed that sample again.",
                     static_cast<int64_t>(e.row)};
    }
  }

  Napi::Value resolve(Napi::Env env) const {
    const Napi::Object out = Napi::Object::New(env);
    out.Set("order", to_array<Napi::Int32Array>(env, result.order));
    out.Set("bins", to_array<Napi::Int32Array>(env, result.bins));
    out.Set("gains", to_array<Napi::Float64Array>(env, result.gains));
    out.Set("simd", result.simd);
    out.Set("threads", result.threads);
    out.Set("seconds", result.seconds);
    out.Set("dotProducts", static_cast<double>(result.dot_products));
    out.Set("float64Decisions", static_cast<double>(result.float64_decisions));
    out.Set("exactDecisions", static_cast<double>(result.exact_decisions));
    return out;
  }
};

Napi::Value greedy_bins(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Napi::Env env = info.Env();
  const auto job = info[0].As<Napi::Object>();
  const auto data = job.Get("data").As<Napi::TypedArray>();
  auto control = job.Get("control").As<Napi::Int32Array>();
  const auto task = std::make_shared<GreedyJob>();

  Matrix& x = task->problem.x;
  x.rows = static_cast<size_t>(job.Get("rows").As<Napi::Number>().Int64Value());
  x.cols = static_cast<size_t>(job.Get("cols").As<Napi::Number>().Int64Value());
  x.is_double = data.TypedArrayType() == napi_float64_array;
  if ((!x.is_double && data.TypedArrayType() != napi_float32_array) || data.ElementLength() != x.rows * x.cols ||
      x.rows == 0 || x.cols == 0 || control.ElementLength() < 2)
    throw Napi::TypeError::New(env,
                               "greedyBins: `data` must be a Float32Array or Float64Array of rows * cols elements.");
  x.data = x.is_double ? static_cast<const void*>(data.As<Napi::Float64Array>().Data())
                       : static_cast<const void*>(data.As<Napi::Float32Array>().Data());

  task->problem.bins = static_cast<size_t>(job.Get("bins").As<Napi::Number>().Int64Value());
  if (task->problem.bins < 1 || task->problem.bins > x.rows)
    throw Napi::RangeError::New(env, "greedyBins: `bins` must be in 1..rows.");
  if (job.Get("gain").As<Napi::String>().Utf8Value() == "cosine") task->problem.gain = Gain::kCosine;
  if (job.Get("remainder").As<Napi::String>().Utf8Value() == "drop") task->problem.remainder = Remainder::kDrop;
  task->settings.threads = job.Get("threads").As<Napi::Number>().Uint32Value();
  task->settings.simd = job.Get("simd").As<Napi::String>().Utf8Value();
  task->control = control.Data();
  task->settings.cancel = task->control;
  task->settings.placed = task->control + 1;

  return jobs.start(env, {
                             .run = [task] { task->run(); },
                             .resolve = [task](Napi::Env e) { return task->resolve(e); },
                             .cancel = [task] { std::atomic_ref(*task->control).store(1); },
                             .keep = {data, control},
                         });
}

}  // namespace

void register_greedy(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  exports.Set("cpu", Napi::Function::New(env, cpu, "cpu"));
  exports.Set("greedyBins",
              Napi::Function::New(
                  env, [&jobs](const Napi::CallbackInfo& info) { return greedy_bins(info, jobs); }, "greedyBins"));
}

}  // namespace coregain::node
