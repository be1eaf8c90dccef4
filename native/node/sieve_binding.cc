// sieveOpen, sieveFit and sieveBest of lib/native.ts.
#include <memory>
#include <string>
#include <utility>

#include "node/addon.h"
#include "node/arguments.h"
#include "objectives/sieve.h"

namespace coregain::node {
namespace {

using Handle = std::shared_ptr<objectives::Sieve>;

struct FitJob {
  explicit FitJob(int32_t* words) : control(words) {}
  Handle sieve;
  Matrix batch;
  Control control;
};

Handle& handle_of(const Napi::Value& value) {
  if (!value.IsExternal()) throw Napi::TypeError::New(value.Env(), "The first argument must come from sieveOpen.");
  return *value.As<Napi::External<Handle>>().Data();
}

Napi::Value open(const Napi::CallbackInfo& info) {
  const auto from = info[0].As<Napi::Object>();
  objectives::SieveOptions options;
  options.log_determinant = text(from, "objective") == "log-determinant";
  if (text(from, "similarity") == "rbf") options.measure = objectives::Measure::kRbf;
  options.gamma = number(from, "gamma", 0);
  options.ridge = number(from, "ridge", 1);
  options.budget = static_cast<size_t>(number(from, "budget", 1));
  options.epsilon = number(from, "epsilon", 0.1);
  options.threads = static_cast<unsigned>(number(from, "threads", 0));
  options.cols = static_cast<size_t>(number(from, "cols", 0));
  options.is_double = from.Get("isDouble").ToBoolean();
  options.reference_rows = static_cast<size_t>(number(from, "referenceRows", 0));
  const Matrix reference = shared_matrix(from, "reference", options.reference_rows, options.cols);
  if (reference.rows > 0) {
    options.is_double = reference.is_double;
    const auto* bytes = static_cast<const uint8_t*>(reference.data);
    options.reference.assign(
        bytes, bytes + reference.rows * reference.cols * (reference.is_double ? sizeof(double) : sizeof(float)));
  }
  if (options.cols == 0 || options.budget == 0 || (!options.log_determinant && reference.rows == 0))
    throw Napi::RangeError::New(info.Env(), "sieveOpen: the arguments contradict each other.");
  auto* handle = new Handle(std::make_shared<objectives::Sieve>(std::move(options)));
  return Napi::External<Handle>::New(info.Env(), handle, [](Napi::Env, Handle* data) { delete data; });
}

Napi::Value fit(const Napi::CallbackInfo& info, Jobs& jobs) {
  const auto job = info[1].As<Napi::Object>();
  const auto work = std::make_shared<FitJob>(control_words(job));
  work->sieve = handle_of(info[0]);
  work->batch = shared_matrix(job, "data", static_cast<size_t>(number(job, "rows", 0)),
                              static_cast<size_t>(number(job, "cols", 0)));
  if (work->batch.cols != work->sieve->cols() || work->batch.is_double != work->sieve->is_double())
    throw Napi::RangeError::New(info.Env(), "sieveFit: the batch must have the columns and the type of the stream.");
  return jobs.start(info.Env(), {
                                    .run = [work] { work->sieve->fit(work->batch, work->control); },
                                    .resolve = [](Napi::Env env) { return env.Undefined(); },
                                    .cancel = [work] { work->control.cancel(); },
                                    .keep = {job.Get("data"), job.Get("control")},
                                });
}

Napi::Value best(const Napi::CallbackInfo& info) {
  const objectives::Sieved found = handle_of(info[0])->best();
  const Napi::Object out = Napi::Object::New(info.Env());
  out.Set("rows", to_array<Napi::Float64Array>(info.Env(), found.rows));
  out.Set("gains", to_array<Napi::Float64Array>(info.Env(), found.gains));
  out.Set("value", found.value);
  out.Set("sieves", static_cast<double>(found.sieves));
  return out;
}

}  // namespace

void register_sieve(Napi::Env env, Napi::Object exports, Jobs& jobs) {
  exports.Set("sieveOpen", Napi::Function::New(env, open, "sieveOpen"));
  exports.Set("sieveFit", Napi::Function::New(
                              env, [&jobs](const Napi::CallbackInfo& info) { return fit(info, jobs); }, "sieveFit"));
  exports.Set("sieveBest", Napi::Function::New(env, best, "sieveBest"));
}

}  // namespace coregain::node
