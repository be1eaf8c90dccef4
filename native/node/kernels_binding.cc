// kernelsOpen and the kernels of lib/native.ts, which validates; only what memory safety needs is checked again here.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/copy_rate.h"
#include "core/cpu.h"
#include "core/cuda_library.h"
#include "node/addon.h"
#include "node/arguments.h"
#include "pairwise/kernels.h"

namespace coregain::node {
namespace {

using pairwise::Chosen;
using pairwise::Points;

using Handle = std::shared_ptr<Points>;

struct Work {
  explicit Work(int32_t* words) : control(words) {}
  pairwise::PointsTask task;
  Control control;
  Handle points;
  std::vector<int32_t> left, right;  // lists of rows
  std::vector<float> floats;
  std::vector<double> errors;
  pairwise::RowSum sum, members;
  pairwise::Gains gains;
  reduce::Neighbours neighbours;
  size_t farthest = 0;
};
using Shared = std::shared_ptr<Work>;

pairwise::Precision precision_of(const std::string& name) {
  if (name == "tf32") return pairwise::Precision::kTf32;
  if (name == "bf16") return pairwise::Precision::kBf16;
  return name == "int8" ? pairwise::Precision::kInt8 : pairwise::Precision::kFp32;
}

Napi::Value open(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[0].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  const auto rows = static_cast<size_t>(std::max(0.0, number(job, "rows", 0)));
  const auto cols = static_cast<size_t>(std::max(0.0, number(job, "cols", 0)));
  const auto device = static_cast<int32_t>(number(job, "device", -1));
  work->task = {.x = shared_matrix(job, "data", rows, cols),
                .normalize = job.Get("normalize").ToBoolean(),
                .precision = precision_of(text(job, "precision")),
                .threads = static_cast<unsigned>(number(job, "threads", 0)),
                .simd = text(job, "simd"),
                .library = nullptr,
                .device = device};
  if (work->task.x.data == nullptr || rows < 1 || rows > INT32_MAX)
    throw Napi::RangeError::New(info.Env(), "Kernels need 1 to 2^31 - 1 rows.");
  return jobs.start(info.Env(), {
                                    .run =
                                        [work, device] {
                                          const StandardArithmetic standard;
                                          if (device >= 0) work->task.library = cuda_support().table;
                                          work->points = std::make_shared<Points>(work->task, work->control);
                                        },
                                    .resolve = [work](Napi::Env env) -> Napi::Value {
                                      return Napi::External<Handle>::New(
                                          env, std::make_unique<Handle>(std::move(work->points)).release(),
                                          [](Napi::Env, Handle* handle) { delete handle; });
                                    },
                                    .cancel = [work] { work->control.cancel(); },
                                    .keep = {job.Get("data"), job.Get("control")},
                                });
}

Handle& handle_of(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "A kernel expects points and one object.");
  Handle& handle = *info[0].As<Napi::External<Handle>>().Data();
  if (!handle) throw Napi::TypeError::New(info.Env(), "These points are closed.");
  return handle;
}

// Rows of a list under `name`; absent: none.
std::vector<int32_t> list_of(const Napi::Object& job, const char* name, size_t rows) {
  std::vector<int32_t> list = int32s(job, name);
  for (const int32_t row : list)
    if (row < 0 || static_cast<size_t>(row) >= rows)
      throw Napi::RangeError::New(job.Env(), std::string("`") + name + "` names a row that is not there.");
  return list;
}

// The list, or all rows where the property is absent.
Chosen chosen(const Napi::Object& job, const char* name, const std::vector<int32_t>& list, const Points& points) {
  return job.Get(name).IsUndefined() ? all_of(points) : Chosen{list.data(), list.size()};
}

template <typename Run, typename Resolve>
Napi::Value start(const Napi::CallbackInfo& info, Jobs& jobs, const Shared& work, Run run, Resolve resolve) {
  const auto job = info[1].As<Napi::Object>();
  work->points = handle_of(info);
  return jobs.start(info.Env(), {
                                    .run =
                                        [work, run] {
                                          const StandardArithmetic standard;
                                          run(*work);
                                        },
                                    .resolve = [work, resolve](Napi::Env env) { return resolve(env, *work); },
                                    .cancel = [work] { work->control.cancel(); },
                                    .keep = {info[0], job.Get("data"), job.Get("out"), job.Get("control")},
                                });
}

Napi::Value to_object(Napi::Env env, const Work& work) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("gains", to_array<Napi::Float64Array>(env, work.gains.values));
  out.Set("bound", to_array<Napi::Float64Array>(env, work.gains.errors));
  return out;
}

Napi::Value distances(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Points& points = *handle_of(info);
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  work->left = list_of(job, "queries", points.rows());
  work->right = list_of(job, "rows", points.rows());
  const Chosen queries = chosen(job, "queries", work->left, points), rows = chosen(job, "rows", work->right, points);
  const Matrix out = shared_matrix(job, "out", queries.count, rows.count);
  if (out.data == nullptr || out.is_double)
    throw Napi::RangeError::New(info.Env(), "`out` must be float32 [queries, rows].");
  work->errors.resize(queries.count);
  return start(
      info, jobs, work,
      [queries, rows, out](Work& w) {
        pairwise::distances(*w.points, queries, rows, static_cast<float*>(const_cast<void*>(out.data)), w.errors.data(),
                            w.control);
      },
      [](Napi::Env env, const Work& w) -> Napi::Value { return to_array<Napi::Float64Array>(env, w.errors); });
}

Napi::Value nearest(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Points& points = *handle_of(info);
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  const auto k = static_cast<size_t>(std::max(0.0, number(job, "k", 0)));
  if (k < 1 || k >= points.rows()) throw Napi::RangeError::New(info.Env(), "`k` must be 1 to rows - 1.");
  return start(
      info, jobs, work,
      [k](Work& w) {
        w.neighbours =
            pairwise::nearest(*w.points, *w.points, k, w.control, [&](size_t done) { w.control.done(done); });
      },
      [](Napi::Env env, const Work& w) -> Napi::Value {
        const Napi::Object out = Napi::Object::New(env);
        out.Set("rows", to_array<Napi::Int32Array>(env, w.neighbours.row));
        out.Set("distances", to_array<Napi::Float64Array>(env, w.neighbours.distance));
        return out;
      });
}

// {y, square, radius, count}; absent: of no rows.
pairwise::RowSum row_sum(const Napi::Object& job, const char* name, const Points& points) {
  pairwise::RowSum out;
  const Napi::Value value = job.Get(name);
  if (value.IsObject()) {
    const auto from = value.As<Napi::Object>();
    out = {float64s(from, "y"), number(from, "square", 0), number(from, "radius", 0),
           static_cast<size_t>(std::max(0.0, number(from, "count", 0)))};
  } else {
    out.y.assign(points.cols(), 0);
  }
  if (out.y.size() != points.cols())
    throw Napi::RangeError::New(job.Env(), std::string("`") + name + "` must be a sum of these rows.");
  return out;
}

Napi::Value sum(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Points& points = *handle_of(info);
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  work->left = list_of(job, "rows", points.rows());
  work->sum = row_sum(job, "onto", points);
  const Chosen rows = chosen(job, "rows", work->left, points);
  return start(
      info, jobs, work, [rows](Work& w) { w.sum = pairwise::sum_rows(*w.points, rows, w.sum, w.control); },
      [](Napi::Env env, const Work& w) -> Napi::Value {
        const Napi::Object out = Napi::Object::New(env);
        out.Set("y", to_array<Napi::Float64Array>(env, w.sum.y));
        out.Set("square", w.sum.square);
        out.Set("radius", w.sum.radius);
        out.Set("count", static_cast<double>(w.sum.count));
        return out;
      });
}

Napi::Value gains(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Points& points = *handle_of(info);
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  work->sum = row_sum(job, "chosen", points);
  work->members = row_sum(job, "members", points);
  const bool cosine = text(job, "gain") == "cosine";
  return start(
      info, jobs, work,
      [cosine](Work& w) { w.gains = pairwise::gains(*w.points, w.sum, w.members, cosine, w.control); },
      [](Napi::Env env, const Work& w) { return to_object(env, w); });
}

Napi::Value coverage(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Points& points = *handle_of(info);
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  work->left = list_of(job, "candidates", points.rows());
  const Chosen candidates = chosen(job, "candidates", work->left, points);
  work->floats = copy_of<Napi::Float32Array, float>(job, "reached", napi_float32_array);
  if (work->floats.size() != points.rows()) throw Napi::RangeError::New(info.Env(), "`reached` must have all rows.");
  return start(
      info, jobs, work,
      [candidates](Work& w) { w.gains = pairwise::coverage_gains(*w.points, candidates, w.floats.data(), w.control); },
      [](Napi::Env env, const Work& w) { return to_object(env, w); });
}

Napi::Value centres(const Napi::CallbackInfo& info, Jobs& jobs) {
  const Points& points = *handle_of(info);
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  work->left = list_of(job, "centres", points.rows());
  work->floats = copy_of<Napi::Float32Array, float>(job, "nearest", napi_float32_array);
  if (work->floats.size() != points.rows()) throw Napi::RangeError::New(info.Env(), "`nearest` must have all rows.");
  work->errors.resize(points.rows());
  return start(
      info, jobs, work,
      [](Work& w) {
        w.farthest = pairwise::update_centres(*w.points, {w.left.data(), w.left.size()}, w.floats.data(),
                                              w.errors.data(), w.control);
      },
      [](Napi::Env env, const Work& w) -> Napi::Value {
        const Napi::Object out = Napi::Object::New(env);
        out.Set("nearest", to_array<Napi::Float32Array>(env, w.floats));
        out.Set("bound", to_array<Napi::Float64Array>(env, w.errors));
        out.Set("farthest", static_cast<double>(w.farthest));
        return out;
      });
}

// Takes {threads, device, control}; device < 0: the processor.
Napi::Value copy_rate_of(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[0].As<Napi::Object>();
  const auto work = std::make_shared<Work>(control_words(job));
  const auto threads = static_cast<unsigned>(number(job, "threads", 0));
  const auto device = static_cast<int32_t>(number(job, "device", -1));
  const auto rate = std::make_shared<double>(0);
  return jobs.start(info.Env(),
                    {
                        .run =
                            [work, threads, device, rate] {
                              if (device < 0) {
                                *rate = copy_rate(threads, work->control);
                                return;
                              }
                              const CudaSupport& support = cuda_support();
                              if (support.table == nullptr) throw Error("ERR_DEVICE", support.reason);
                              CudaFailure failure;
                              pairwise::check_device(support.table->copy_rate(device, rate.get(), &failure), failure,
                                                     work->control);
                            },
                        .resolve = [rate](Napi::Env env) -> Napi::Value { return Napi::Number::New(env, *rate); },
                        .cancel = [work] { work->control.cancel(); },
                        .keep = {job.Get("control")},
                    });
}

}  // namespace

void register_kernels(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  const auto add = [&](const char* name, Napi::Value (*begin)(const Napi::CallbackInfo&, Jobs&)) {
    exports.Set(name, Napi::Function::New(
                          env, [&jobs, begin](const Napi::CallbackInfo& info) { return begin(info, jobs); }, name));
  };
  add("kernelsOpen", open);
  add("kernelsDistances", distances);
  add("kernelsNearest", nearest);
  add("kernelsSum", sum);
  add("kernelsGains", gains);
  add("kernelsCoverage", coverage);
  add("kernelsCentres", centres);
  add("copyRate", copy_rate_of);
  exports.Set("kernelsClose",
              Napi::Function::New(
                  env, [](const Napi::CallbackInfo& info) { handle_of(info).reset(); }, "kernelsClose"));
}

}  // namespace coregain::node
