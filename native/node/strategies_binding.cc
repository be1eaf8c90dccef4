// kMeans(job), herding(job) and density(job) of lib/native.ts, which validates; only what memory safety needs is
// checked again here.
#include <memory>

#include "node/addon.h"
#include "node/arguments.h"
#include "strategies/strategies.h"

namespace coregain::node {
namespace {

using strategies::Clusters;
using strategies::Density;
using strategies::Herd;

template <typename Result>
struct Work {
  explicit Work(int32_t* words) : control(words) {}
  strategies::Task task;
  Control control;
  Result result;
};

Napi::Value to_object(Napi::Env env, const Clusters& result) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("clusters", to_array<Napi::Int32Array>(env, result.of));
  out.Set("distances", to_array<Napi::Float64Array>(env, result.distance));
  out.Set("rounds", static_cast<double>(result.rounds));
  out.Set("converged", result.converged);
  return out;
}

Napi::Value to_object(Napi::Env env, const Herd& result) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("rows", to_array<Napi::Int32Array>(env, result.rows));
  out.Set("scores", to_array<Napi::Float64Array>(env, result.scores));
  return out;
}

Napi::Value to_object(Napi::Env env, const Density& result) {
  const Napi::Object out = Napi::Object::New(env);
  out.Set("radiusSquared", result.radius_squared);
  out.Set("neighbours", to_array<Napi::Int32Array>(env, result.neighbours));
  out.Set("order", to_array<Napi::Int32Array>(env, result.order));
  return out;
}

// Starts `run(work)` on the rows of the job.
template <typename Result, typename Run>
Napi::Value start(const Napi::Object& job, Jobs& jobs, Run run) {
  const Napi::Env env = job.Env();
  const auto work = std::make_shared<Work<Result>>(control_words(job));
  const auto rows = static_cast<size_t>(number(job, "rows", 0));
  const Matrix x = shared_matrix(job, "data", rows, static_cast<size_t>(number(job, "cols", 0)));
  if (x.rows < 1 || x.rows > INT32_MAX) throw Napi::RangeError::New(env, "A strategy needs 1 to 2^31 - 1 rows.");
  work->task.x = x;
  work->task.seed = static_cast<uint64_t>(number(job, "seed", 0));
  work->task.threads = static_cast<unsigned>(number(job, "threads", 0));
  work->task.simd = text(job, "simd");
  return jobs.start(env, {
                             .run = [work, run] { work->result = run(*work); },
                             .resolve = [work](Napi::Env e) { return to_object(e, work->result); },
                             .cancel = [work] { work->control.cancel(); },
                             .keep = {job.Get("data"), job.Get("control")},
                         });
}

Napi::Value start_k_means(const Napi::Object& job, Jobs& jobs) {
  const auto clusters = static_cast<size_t>(std::max(1.0, number(job, "clusters", 1)));
  const auto rounds = static_cast<size_t>(std::max(1.0, number(job, "maxRounds", 1)));
  return start<Clusters>(
      job, jobs, [=](Work<Clusters>& work) { return strategies::k_means(work.task, clusters, rounds, work.control); });
}

Napi::Value start_herding(const Napi::Object& job, Jobs& jobs) {
  const auto budget = static_cast<size_t>(std::max(0.0, number(job, "budget", 0)));
  const auto allowed = copy_of<Napi::Uint8Array, uint8_t>(job, "allowed", napi_uint8_array);
  const std::vector<int32_t> initial = int32s(job, "initial");
  const auto rows = static_cast<size_t>(number(job, "rows", 0));
  bool sound = allowed.size() == rows;
  for (const int32_t i : initial) sound = sound && i >= 0 && static_cast<size_t>(i) < rows;
  if (!sound) throw Napi::RangeError::New(job.Env(), "herding: the arguments contradict each other.");
  return start<Herd>(job, jobs, [=](Work<Herd>& work) {
    return strategies::herding(work.task, budget, allowed, initial, work.control);
  });
}

Napi::Value start_density(const Napi::Object& job, Jobs& jobs) {
  const double fraction = number(job, "fraction", 0);
  return start<Density>(job, jobs,
                        [=](Work<Density>& work) { return strategies::density(work.task, fraction, work.control); });
}

}  // namespace

void register_strategies(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  const auto add = [&](const char* name, Napi::Value (*begin)(const Napi::Object&, Jobs&)) {
    exports.Set(name, Napi::Function::New(
                          env,
                          [&jobs, begin](const Napi::CallbackInfo& info) -> Napi::Value {
                            if (!info[0].IsObject())
                              throw Napi::TypeError::New(info.Env(), "A strategy expects one object.");
                            return begin(info[0].As<Napi::Object>(), jobs);
                          },
                          name));
  };
  add("kMeans", start_k_means);
  add("herding", start_herding);
  add("density", start_density);
}

}  // namespace coregain::node
