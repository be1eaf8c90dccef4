// umapFit(job) and umapPlace(job) of lib/native.ts, which validates; only what memory safety needs is checked again
// here.
#include <memory>

#include "core/cuda_library.h"
#include "node/addon.h"
#include "node/arguments.h"
#include "reduce/umap.h"

namespace coregain::node {
namespace {

struct Work {
  explicit Work(int32_t* words) : control(words) {}
  reduce::Umap task;
  Matrix queries;
  Control control;
  reduce::Layout layout;
  std::vector<float> points;
};

// Float32 [rows, dims] on a SharedArrayBuffer, where the result goes or the fitted points are.
float* shared_points(const Napi::Object& job, const char* name, size_t rows, size_t dims) {
  const Matrix points = shared_matrix(job, name, rows, dims);
  if (points.data == nullptr || points.is_double)
    throw Napi::TypeError::New(job.Env(), std::string("`") + name + "` must be float32 on a SharedArrayBuffer.");
  return job.Get(name).As<Napi::Float32Array>().Data();
}

std::shared_ptr<Work> work_of(const Napi::Object& job, const char* rows_name, const char* data_name) {
  const auto work = std::make_shared<Work>(control_words(job));
  const auto rows = static_cast<size_t>(std::max(0.0, number(job, rows_name, 0)));
  reduce::Umap& task = work->task;
  task.x = shared_matrix(job, data_name, rows, static_cast<size_t>(std::max(0.0, number(job, "cols", 0))));
  task.dims = static_cast<size_t>(std::max(1.0, number(job, "dims", 1)));
  task.neighbours = static_cast<size_t>(std::max(0.0, number(job, "neighbours", 0)));
  const std::string search = text(job, "neighbourSearch");
  task.search = search == "exact"        ? reduce::Search::exact
                : search == "nn-descent" ? reduce::Search::descent
                                         : reduce::Search::automatic;
  task.min_dist = number(job, "minDist", 0);
  task.epochs = static_cast<size_t>(std::max(1.0, number(job, "epochs", 1)));
  task.seed = static_cast<uint64_t>(std::max(0.0, number(job, "seed", 0)));
  task.threads = static_cast<unsigned>(std::max(0.0, number(job, "threads", 0)));
  task.simd = text(job, "simd");
  task.device.index = static_cast<int32_t>(number(job, "device", -1));
  if (task.x.data == nullptr || rows > INT32_MAX || task.neighbours < 2 || task.neighbours >= rows)
    throw Napi::RangeError::New(job.Env(), "UMAP needs 3 to 2^31 - 1 rows, and 2 to N - 1 neighbours.");
  return work;
}

// In the job: opening the CUDA library takes some tenths of a second.
void find_device(reduce::Umap& task) {
  if (task.device.index >= 0) task.device.library = cuda_support().table;
}

Napi::Value start_fit(const Napi::Object& job, Jobs& jobs) {
  const std::shared_ptr<Work> work = work_of(job, "rows", "data");
  float* const out = shared_points(job, "out", work->task.x.rows, work->task.dims);
  return jobs.start(job.Env(), {
                                   .run =
                                       [work, out] {
                                         find_device(work->task);
                                         work->layout = reduce::fit(work->task, work->control);
                                         std::copy(work->layout.points.begin(), work->layout.points.end(), out);
                                       },
                                   .resolve =
                                       [work](Napi::Env env) {
                                         const Napi::Object result = Napi::Object::New(env);
                                         result.Set("a", work->layout.curve.a);
                                         result.Set("b", work->layout.curve.b);
                                         result.Set("neighbourSearch", work->layout.exact ? "exact" : "nn-descent");
                                         result.Set("recall", work->layout.recall);
                                         result.Set("onDevice", work->layout.on_device);
                                         return result;
                                       },
                                   .cancel = [work] { work->control.cancel(); },
                                   .keep = {job.Get("data"), job.Get("out"), job.Get("control")},
                               });
}

Napi::Value start_place(const Napi::Object& job, Jobs& jobs) {
  const std::shared_ptr<Work> work = work_of(job, "fittedRows", "fittedData");
  const auto rows = static_cast<size_t>(std::max(0.0, number(job, "rows", 0)));
  work->queries = shared_matrix(job, "data", rows, work->task.x.cols);
  if (work->queries.data == nullptr || rows < 1)
    throw Napi::RangeError::New(job.Env(), "UMAP needs at least one row to place.");
  const float* const fitted = shared_points(job, "fittedPoints", work->task.x.rows, work->task.dims);
  float* const out = shared_points(job, "out", rows, work->task.dims);
  work->layout.points.assign(fitted, fitted + work->task.x.rows * work->task.dims);
  work->layout.curve = {number(job, "a", 1), number(job, "b", 1)};
  return jobs.start(
      job.Env(),
      {
          .run =
              [work, out] {
                find_device(work->task);
                work->points = reduce::place(work->task, work->layout, work->queries, work->control);
                std::copy(work->points.begin(), work->points.end(), out);
              },
          .resolve = [](Napi::Env env) { return env.Undefined(); },
          .cancel = [work] { work->control.cancel(); },
          .keep = {job.Get("data"), job.Get("out"), job.Get("fittedData"), job.Get("fittedPoints"), job.Get("control")},
      });
}

}  // namespace

void register_reduce(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  const auto add = [&](const char* name, Napi::Value (*begin)(const Napi::Object&, Jobs&)) {
    exports.Set(name, Napi::Function::New(
                          env,
                          [&jobs, begin](const Napi::CallbackInfo& info) -> Napi::Value {
                            if (!info[0].IsObject()) throw Napi::TypeError::New(info.Env(), "UMAP expects one object.");
                            return begin(info[0].As<Napi::Object>(), jobs);
                          },
                          name));
  };
  add("umapFit", start_fit);
  add("umapPlace", start_place);
}

}  // namespace coregain::node
