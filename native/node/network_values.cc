// SPDX-License-Identifier: Apache-2.0
// Reading a network's shapes and weights.
#include "node/network_values.h"

#include <string>
#include <utility>

#include "node/values.h"

namespace effnet::node {

namespace {

constexpr int kMaxChannels = 1 << 16;
constexpr int kMaxClasses = 1 << 20;
constexpr uint32_t kMaxBlocks = 1024;

bool bool_in(const Napi::Object& object, const char* name) { return bool_of(object.Get(name), name); }

activation activation_in(const Napi::Object& object, const char* name) {
  return activation_named(string_in(object, name), object.Env());
}

element_type element_named(const std::string& name, Napi::Env env) {
  if (name == "f32") return element_type::f32;
  if (name == "f16") return element_type::f16;
  if (name == "bf16") return element_type::bf16;
  if (name == "f64") return element_type::f64;
  throw_invalid(env, "Expected f32, f16, bf16 or f64 for type but received " + name);
}

// Finds tensors where they lie; empty where the block lacks the layer, and the engine says which are missing.
class weight_reader {
 public:
  weight_reader(std::deque<stored_weights>* stored, bool spent) : stored_(stored), spent_(spent) {}

  floats floats_in(const Napi::Object& object, const char* name) {
    const Napi::Value value = object.Get(name);
    const float_view view = floats_of(value, name);
    found_.push_back({value, view.data, view.size});
    return {view.data, view.size};
  }
  // A Float32Array, or weights as a checkpoint has them for `outputs` rows.
  floats weights(const Napi::Object& object, const char* name, int outputs) {
    const Napi::Value value = object.Get(name);
    if (value.IsTypedArray() || !value.IsObject()) return floats_in(object, name);
    const Napi::Object source = value.As<Napi::Object>();
    stored_weights w;
    w.type = element_named(string_in(source, "type"), source.Env());
    w.outputs_last = bool_in(source, "outputsLast");
    w.spent = spent_;
    const Napi::Value norm = source.Get("norm");
    if (!norm.IsUndefined()) w.norm = norm_of(object_of(norm, "norm"), outputs);
    const byte_view view = bytes_in(source);
    w.bytes = view.data;
    const size_t each = element_bytes(w.type);
    if (view.size % each != 0) throw_invalid(source.Env(), std::string("Expected whole elements in the bytes of ") + name);
    stored_->push_back(w);
    return {nullptr, view.size / each, &stored_->back()};
  }
  // Once no getter will run any more: a getter may have taken away what was found before it. Memory that
  // stays where it was has kept its size too, or grown.
  void confirm(Napi::Env env) const {
    for (const auto& [value, data, length] : found_) {
      array_view now;
      if (view_array(env, value, &now) && now.data == data && now.length >= length) continue;
      throw_invalid(env, "Expected the weights to stay as they are while they are read, but a buffer was transferred or resized");
    }
  }
  // All of them, to keep their memory alive.
  Napi::Array arrays(Napi::Env env) const {
    Napi::Array list = Napi::Array::New(env, found_.size());
    for (size_t i = 0; i < found_.size(); ++i) list.Set(static_cast<uint32_t>(i), found_[i].value);
    return list;
  }

 private:
  struct array {
    Napi::Value value;
    const void* data;
    size_t length;
  };
  byte_view bytes_in(const Napi::Object& object) {
    const Napi::Value bytes = object.Get("bytes");
    const byte_view view = bytes_of(bytes, "bytes");
    found_.push_back({bytes, view.data, view.size});
    return view;
  }
  stored_norm norm_of(const Napi::Object& object, int outputs) {
    const auto vector = [&](const char* name) {
      const Napi::Object part = object_of(object.Get(name), name);
      const element_type type = element_named(string_in(part, "type"), part.Env());
      const byte_view view = bytes_in(part);
      if (view.size != static_cast<size_t>(outputs) * element_bytes(type)) {
        throw_invalid(part.Env(), "Expected " + std::to_string(outputs) + " numbers for a batch norm's " + name);
      }
      return stored_vector{view.data, type};
    };
    return {vector("scale"), vector("shift"), vector("mean"), vector("variance"), number_of(object.Get("epsilon"), "epsilon")};
  }

  std::deque<stored_weights>* stored_;
  bool spent_;
  std::vector<array> found_;
};

template <class Block>
void read_window(const Napi::Object& shape, Block* b) {
  b->in = int_in(shape, "in", 1, kMaxChannels);
  b->out = int_in(shape, "out", 1, kMaxChannels);
  b->kernel = int_in(shape, "kernel", 1, 31);
  b->stride = int_in(shape, "stride", 1, 31);
  b->act = activation_in(shape, "activation");
}

template <class Block>
void read_shape(const Napi::Object& shape, Block* b) {
  read_window(shape, b);
  b->expanded = int_in(shape, "expanded", 1, kMaxChannels);
  b->residual = bool_in(shape, "residual");
}

stem_block stem_of(const Napi::Object& shape, const Napi::Object& weights, weight_reader* reader) {
  stem_block b;
  read_window(shape, &b);
  b.weights = reader->weights(weights, "weights", b.out);
  b.bias = reader->floats_in(weights, "bias");
  return b;
}

mbconv_block mbconv_of(const Napi::Object& shape, const Napi::Object& weights, weight_reader* reader) {
  mbconv_block b;
  read_shape(shape, &b);
  b.squeeze = int_in(shape, "squeeze", 0, kMaxChannels);
  b.has_expand = bool_in(shape, "hasExpand");
  b.squeeze_act = activation_in(shape, "squeezeActivation");
  b.gate_act = activation_in(shape, "gateActivation");
  b.expand_weights = reader->weights(weights, "expandWeights", b.expanded);
  b.expand_bias = reader->floats_in(weights, "expandBias");
  b.depthwise_weights = reader->weights(weights, "depthwiseWeights", b.expanded);
  b.depthwise_bias = reader->floats_in(weights, "depthwiseBias");
  b.reduce_weights = reader->weights(weights, "reduceWeights", b.squeeze);
  b.reduce_bias = reader->floats_in(weights, "reduceBias");
  b.excite_weights = reader->weights(weights, "exciteWeights", b.expanded);
  b.excite_bias = reader->floats_in(weights, "exciteBias");
  b.project_weights = reader->weights(weights, "projectWeights", b.out);
  b.project_bias = reader->floats_in(weights, "projectBias");
  return b;
}

fused_block fused_of(const Napi::Object& shape, const Napi::Object& weights, weight_reader* reader) {
  fused_block b;
  read_shape(shape, &b);
  b.has_project = bool_in(shape, "hasProject");
  b.conv_weights = reader->weights(weights, "convWeights", b.expanded);
  b.conv_bias = reader->floats_in(weights, "convBias");
  b.project_weights = reader->weights(weights, "projectWeights", b.out);
  b.project_bias = reader->floats_in(weights, "projectBias");
  return b;
}

block block_of(const Napi::Object& shape, const Napi::Object& weights, weight_reader* reader) {
  const std::string kind = string_in(shape, "kind");
  if (kind == "mbconv") return mbconv_of(shape, weights, reader);
  if (kind == "fused") return fused_of(shape, weights, reader);
  throw_invalid(shape.Env(), "Expected mbconv or fused for a block's kind but received " + kind);
}

head_block head_of(const Napi::Object& shape, const Napi::Object& weights, weight_reader* reader) {
  head_block b;
  b.in = int_in(shape, "in", 1, kMaxChannels);
  b.features = int_in(shape, "features", 1, kMaxChannels);
  b.hidden = int_in(shape, "hidden", 0, kMaxChannels);
  b.classes = int_in(shape, "classes", 0, kMaxClasses);
  b.act = activation_in(shape, "activation");
  b.hidden_act = activation_in(shape, "hiddenActivation");
  b.conv_weights = reader->weights(weights, "convWeights", b.features);
  b.conv_bias = reader->floats_in(weights, "convBias");
  b.hidden_weights = reader->weights(weights, "hiddenWeights", b.hidden);
  b.hidden_bias = reader->floats_in(weights, "hiddenBias");
  b.classifier_weights = reader->weights(weights, "classifierWeights", b.classes);
  b.classifier_bias = reader->floats_in(weights, "classifierBias");
  return b;
}

}  // namespace

network_input network_of(const Napi::Object& description, const Napi::Object& weights, bool spent) {
  const Napi::Env env = description.Env();
  network_input result;
  network& net = result.net;
  weight_reader reader(&result.stored, spent);
  const std::string pad = string_in(description, "padding");
  if (pad != "same" && pad != "symmetric") {
    throw_invalid(env, "Expected same or symmetric for padding but received " + pad);
  }
  net.pad = pad == "same" ? padding::same : padding::symmetric;
  net.stem = stem_of(object_of(description.Get("stem"), "stem"), object_of(weights.Get("stem"), "stem"), &reader);
  const Napi::Object shapes = object_of(description.Get("blocks"), "blocks");
  const Napi::Object tensors = object_of(weights.Get("blocks"), "blocks");
  const int count = int_in(shapes, "length", 0, static_cast<int>(kMaxBlocks));
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<uint32_t>(i);
    net.blocks.push_back(
        block_of(object_of(shapes.Get(at), "a block"), object_of(tensors.Get(at), "a block's weights"), &reader));
  }
  net.head = head_of(object_of(description.Get("head"), "head"), object_of(weights.Get("head"), "head"), &reader);
  result.arrays = reader.arrays(env);
  reader.confirm(env);
  return result;
}

}  // namespace effnet::node
