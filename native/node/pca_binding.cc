// pcaOpen, pcaFirstRow, pcaFeed, pcaFeedColumns, pcaEndPass, pcaFound, pcaTake and pcaTransform of lib/native.ts.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "core/cuda_library.h"
#include "core/freed.h"
#include "node/addon.h"
#include "node/arguments.h"
#include "reduce/pca.h"

namespace coregain::node {
namespace {

// The fit is made by its first job: it begins with large matrices.
struct Fit {
  reduce::PcaTask task;
  std::unique_ptr<reduce::PcaFit> fit;
};
using Handle = std::shared_ptr<Fit>;

struct FitJob {
  explicit FitJob(int32_t* words) : control(words) {}
  Handle handle;
  Matrix block;
  size_t first = 0;
  Control control;
};

// In a job: opening the CUDA library takes some tenths of a second.
linear::DeviceChoice choice_of(int32_t device) {
  return {device < 0 ? nullptr : cuda_support().table, device};
}

Handle& handle_of(const Napi::Value& value) {
  if (!value.IsExternal()) throw Napi::TypeError::New(value.Env(), "The first argument must come from pcaOpen.");
  return *value.As<Napi::External<Handle>>().Data();
}

reduce::PcaFit& begun(const Napi::CallbackInfo& info) {
  const Handle& handle = handle_of(info[0]);
  if (handle->fit == nullptr) throw Napi::Error::New(info.Env(), "Nothing has been fed yet.");
  return *handle->fit;
}

Napi::Value open(const Napi::CallbackInfo& info) {
  const auto from = info[0].As<Napi::Object>();
  const auto count = [&](const char* name) { return static_cast<size_t>(std::max(0.0, number(from, name, 0))); };
  reduce::PcaTask task;
  task.method = text(from, "method");
  task.rows = count("rows");
  task.cols = count("cols");
  task.dims = count("dims");
  task.seed = static_cast<uint64_t>(number(from, "seed", 0));
  task.about_zero = from.Get("aboutZero").ToBoolean();
  task.components = from.Get("components").ToBoolean();
  task.scores = from.Get("scores").ToBoolean();
  task.block_columns = count("blockColumns");
  task.resident_rows = count("residentRows");
  task.by_columns = from.Get("byColumns").ToBoolean();
  task.overwrite = from.Get("overwrite").ToBoolean();
  task.threads = static_cast<unsigned>(number(from, "threads", 0));
  task.simd = text(from, "simd");
  task.device.index = static_cast<int32_t>(number(from, "device", -1));
  if (task.rows < 2 || task.cols < 1 || task.dims < 1)
    throw Napi::RangeError::New(info.Env(), "PCA needs two rows, one column and one dimension.");
  auto* handle = new Handle(std::make_shared<Fit>(Fit{std::move(task), nullptr}));
  return Napi::External<Handle>::New(info.Env(), handle, [](Napi::Env, Handle* data) { delete data; });
}

Napi::Value first_row(const Napi::CallbackInfo& info) {
  const Handle& handle = handle_of(info[0]);
  return Napi::Number::New(info.Env(), handle->fit == nullptr ? 0 : static_cast<double>(handle->fit->first_row()));
}

// Where the components come; what the first job gives counts.
Matrix room_of(const Napi::Object& job, const reduce::PcaTask& task) {
  const Matrix room = shared_matrix(job, "components", task.dims, task.cols);
  if (room.is_double) throw Napi::TypeError::New(job.Env(), "pcaFeed: the components are float32.");
  return room;
}

reduce::PcaFit& fit_of(Fit& handle, const Matrix& room) {
  if (handle.fit == nullptr) {
    handle.task.device = choice_of(handle.task.device.index);
    handle.task.room = static_cast<float*>(const_cast<void*>(room.data));
    handle.fit = reduce::PcaFit::make(handle.task);
  }
  return *handle.fit;
}

Napi::Value feed(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<FitJob>(control_words(job));
  work->handle = handle_of(info[0]);
  const reduce::PcaTask& task = work->handle->task;
  const auto rows = static_cast<size_t>(std::max(0.0, number(job, "rows", 0)));
  work->first = static_cast<size_t>(std::max(0.0, number(job, "first", 0)));
  work->block = shared_matrix(job, "data", rows, task.cols);
  if (work->block.data == nullptr || task.by_columns || rows == 0 || work->first + rows > task.rows)
    throw Napi::RangeError::New(info.Env(), "pcaFeed: rows of the matrix, in their order.");
  const Matrix room = room_of(job, task);
  return jobs.start(
      info.Env(), {
                      .run =
                          [work, room] {
                            fit_of(*work->handle, room).feed(work->block, work->first, work->control, [&](size_t rows) {
                              work->control.done(rows);
                            });
                            // the next job may come to another thread
                            give_back_freed();
                          },
                      .resolve = [](Napi::Env env) { return env.Undefined(); },
                      .cancel = [work] { work->control.cancel(); },
                      .keep = {job.Get("data"), job.Get("components"), job.Get("control")},
                  });
}

Napi::Value feed_columns(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<FitJob>(control_words(job));
  work->handle = handle_of(info[0]);
  const reduce::PcaTask& task = work->handle->task;
  const auto count = [&](const char* name) { return static_cast<size_t>(std::max(0.0, number(job, name, 0))); };
  const Matrix block = shared_matrix(job, "data", task.rows, count("cols"));
  const reduce::ColumnBlock columns = {block, count("from"), count("count"), count("firstColumn")};
  if (block.data == nullptr || !task.by_columns || columns.cols == 0 || columns.from + columns.cols > block.cols ||
      columns.first + columns.cols > task.cols)
    throw Napi::RangeError::New(info.Env(), "pcaFeedColumns: columns of the matrix, in their order.");
  const Matrix room = room_of(job, task);
  return jobs.start(info.Env(),
                    {
                        .run =
                            [work, columns, room] {
                              fit_of(*work->handle, room).feed_columns(columns, work->control, [&](size_t cols) {
                                work->control.done(cols);
                              });
                              give_back_freed();
                            },
                        .resolve = [](Napi::Env env) { return env.Undefined(); },
                        .cancel = [work] { work->control.cancel(); },
                        .keep = {job.Get("data"), job.Get("components"), job.Get("control")},
                    });
}

Napi::Value end_pass(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<FitJob>(control_words(job));
  begun(info);
  work->handle = handle_of(info[0]);
  return jobs.start(info.Env(), {
                                    .run = [work] { work->handle->fit->end_pass(work->control); },
                                    .resolve = [](Napi::Env env) { return env.Undefined(); },
                                    .cancel = [work] { work->control.cancel(); },
                                    .keep = {job.Get("components"), job.Get("control")},
                                });
}

Napi::Value found(const Napi::CallbackInfo& info) {
  const reduce::PcaFit& fit = begun(info);
  const reduce::Components& components = fit.components();
  const Napi::Env env = info.Env();
  const Napi::Object out = Napi::Object::New(env);
  out.Set("mean", to_array<Napi::Float64Array>(env, components.mean));
  out.Set("variance", to_array<Napi::Float64Array>(env, components.variance));
  out.Set("totalVariance", components.total);
  out.Set("rank", static_cast<double>(components.rank));
  out.Set("passes", static_cast<double>(components.passes));
  out.Set("hasScores", fit.has_scores());
  return out;
}

Napi::Value take(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<FitJob>(control_words(job));
  reduce::PcaFit& fit = begun(info);
  work->handle = handle_of(info[0]);
  const size_t k = fit.components().variance.size();
  const Matrix scores = shared_matrix(job, "scores", fit.task.rows, k);
  const bool whiten = job.Get("whiten").ToBoolean();
  return jobs.start(info.Env(), {
                                    .run =
                                        [work, &fit, scores, whiten] {
                                          if (scores.data != nullptr)
                                            fit.scores(const_cast<void*>(scores.data), scores.is_double, whiten,
                                                       work->control);
                                          // not when JavaScript collects its garbage
                                          work->handle->fit.reset();
                                          give_back_freed();
                                        },
                                    .resolve = [](Napi::Env env) { return env.Undefined(); },
                                    .cancel = [work] { work->control.cancel(); },
                                    .keep = {job.Get("scores"), job.Get("control")},
                                });
}

Napi::Value transform(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[0].As<Napi::Object>();
  const auto work = std::make_shared<FitJob>(control_words(job));
  const auto rows = static_cast<size_t>(std::max(0.0, number(job, "rows", 0)));
  const auto cols = static_cast<size_t>(std::max(0.0, number(job, "cols", 0)));
  const auto k = static_cast<size_t>(std::max(0.0, number(job, "outputs", 0)));
  work->block = shared_matrix(job, "data", rows, cols);
  const Matrix vectors = shared_matrix(job, "components", k, cols);
  const Matrix mean = shared_matrix(job, "mean", 1, cols);
  const Matrix scale = shared_matrix(job, "scale", 1, k);
  const Matrix out = shared_matrix(job, "out", rows, k);
  if (work->block.data == nullptr || vectors.data == nullptr || vectors.is_double || mean.data == nullptr ||
      !mean.is_double || (scale.data != nullptr && !scale.is_double) || out.data == nullptr)
    throw Napi::RangeError::New(info.Env(), "pcaTransform: the arguments contradict each other.");
  const auto threads = static_cast<unsigned>(number(job, "threads", 0));
  const std::string simd = text(job, "simd");
  const auto device = static_cast<int32_t>(number(job, "device", -1));
  return jobs.start(info.Env(), {
                                    .run =
                                        [=] {
                                          reduce::transform(work->block, static_cast<const double*>(mean.data),
                                                            static_cast<const float*>(vectors.data), k,
                                                            static_cast<const double*>(scale.data),
                                                            const_cast<void*>(out.data), out.is_double, threads, simd,
                                                            work->control, choice_of(device));
                                        },
                                    .resolve = [](Napi::Env env) { return env.Undefined(); },
                                    .cancel = [work] { work->control.cancel(); },
                                    .keep = {job.Get("data"), job.Get("components"), job.Get("mean"), job.Get("scale"),
                                             job.Get("out"), job.Get("control")},
                                });
}

}  // namespace

void register_pca(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  const auto add = [&](const char* name, auto function) {
    exports.Set(name, Napi::Function::New(env, std::move(function), name));
  };
  using Info = const Napi::CallbackInfo&;
  add("pcaOpen", open);
  add("pcaFirstRow", first_row);
  add("pcaFeed", [&jobs](Info info) { return feed(info, jobs); });
  add("pcaFeedColumns", [&jobs](Info info) { return feed_columns(info, jobs); });
  add("pcaEndPass", [&jobs](Info info) { return end_pass(info, jobs); });
  add("pcaFound", found);
  add("pcaTake", [&jobs](Info info) { return take(info, jobs); });
  add("pcaTransform", [&jobs](Info info) { return transform(info, jobs); });
}

}  // namespace coregain::node
