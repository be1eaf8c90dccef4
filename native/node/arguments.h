// Typed arrays of a job object, checked as far as memory safety needs; lib/ has validated the rest.
#pragma once

#include <napi.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/matrix.h"

namespace coregain::node {

// Memory of V8's own: Electron refuses external buffers.
template <typename Array, typename T>
Array to_array(Napi::Env env, const std::vector<T>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

// Node-API cannot name a SharedArrayBuffer before version 10, but what lies under a typed array is one or the other.
inline bool is_shared(const Napi::TypedArray& array) {
  napi_value buffer = nullptr;
  napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, nullptr, &buffer, nullptr);
  bool detachable = true;
  napi_is_arraybuffer(array.Env(), buffer, &detachable);
  return !detachable;
}

inline napi_typedarray_type type_of(const Napi::Value& value) {
  return value.IsTypedArray() ? value.As<Napi::TypedArray>().TypedArrayType() : napi_uint8_clamped_array;
}

inline double number(const Napi::Object& object, const char* name, double absent) {
  const Napi::Value value = object.Get(name);
  return value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : absent;
}

inline std::string text(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
}

// A copy of an array; empty where the property is absent.
template <typename Array, typename T>
std::vector<T> copy_of(const Napi::Object& object, const char* name, napi_typedarray_type type) {
  const Napi::Value value = object.Get(name);
  if (value.IsUndefined()) return {};
  if (type_of(value) != type)
    throw Napi::TypeError::New(object.Env(), std::string("`") + name + "` has the wrong type.");
  const auto array = value.As<Array>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}
inline std::vector<int32_t> int32s(const Napi::Object& object, const char* name) {
  return copy_of<Napi::Int32Array, int32_t>(object, name, napi_int32_array);
}
inline std::vector<double> float64s(const Napi::Object& object, const char* name) {
  return copy_of<Napi::Float64Array, double>(object, name, napi_float64_array);
}

// The rows under `name`, on a SharedArrayBuffer that the caller keeps alive: a plain ArrayBuffer could be transferred
// while the job runs, and its memory freed. Absent: no rows.
inline Matrix shared_matrix(const Napi::Object& object, const char* name, size_t rows, size_t cols) {
  const Napi::Value value = object.Get(name);
  const napi_typedarray_type type = type_of(value);
  if (value.IsUndefined()) return {};
  if ((type != napi_float32_array && type != napi_float64_array) || !is_shared(value.As<Napi::TypedArray>()))
    throw Napi::TypeError::New(object.Env(),
                               std::string("`") + name + "` must be float32 or float64 on a SharedArrayBuffer.");
  const auto array = value.As<Napi::TypedArray>();
  if (cols == 0 || array.ElementLength() % cols != 0 || array.ElementLength() / cols != rows)
    throw Napi::RangeError::New(object.Env(), std::string("`") + name + "` must have rows * cols elements.");
  void* memory = nullptr;
  napi_get_typedarray_info(array.Env(), array, nullptr, nullptr, &memory, nullptr, nullptr);
  return {memory, type == napi_float64_array, rows, cols};
}

inline int32_t* control_words(const Napi::Object& job) {
  const Napi::Value value = job.Get("control");
  if (type_of(value) != napi_int32_array || value.As<Napi::TypedArray>().ElementLength() < 2 ||
      !is_shared(value.As<Napi::TypedArray>()))
    throw Napi::TypeError::New(job.Env(), "`control` must be an Int32Array of two elements on a SharedArrayBuffer.");
  return value.As<Napi::Int32Array>().Data();
}

}  // namespace coregain::node
