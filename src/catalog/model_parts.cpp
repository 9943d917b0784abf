#include "catalog/model_parts.h"

#include <initializer_list>
#include <string>

namespace perturb {
namespace {

using Names = std::initializer_list<const char*>;

/// The tensors of a layer.
void add_layer(ModelParts& parts, const std::string& layer, Names tensors = {"weight", "bias"}) {
  for (const auto* tensor : tensors) parts.parameters.push_back(layer + "." + tensor);
}

void add_points(ModelParts& parts, const std::string& prefix, Names points) {
  for (const auto* point : points) parts.points.push_back(prefix + point);
}

}  // namespace

ModelParts mlp_parts(std::size_t hidden) {
  ModelParts parts;
  for (std::size_t i = 1; i <= hidden + 1; ++i) {
    const auto number = std::to_string(i);
    add_layer(parts, "fc" + number);
    parts.points.push_back("fc" + number);
    if (i > hidden) break;
    parts.points.push_back("act" + number);
    parts.units.push_back("fc" + number);
  }
  return parts;
}

ModelParts normal_parts(const Condition&) {
  return {.parameters = {"normal.mean", "normal.factor"}, .points = {"normal"}, .units = {}};
}

ModelParts binomial_parts(const Condition&) {
  return {.parameters = {"binomial.p"}, .points = {"masses"}, .units = {}};
}

ModelParts lenet5_parts(const Condition&) {
  ModelParts parts;
  for (const auto* layer : {"conv1", "conv2", "fc1", "fc2", "fc3"}) add_layer(parts, layer);
  parts.points = {"conv1", "pool1", "act1", "conv2", "pool2", "act2",
                  "fc1",   "act3",  "fc2",  "act4",  "fc3"};
  parts.units = {"conv1", "conv2", "fc1", "fc2"};
  return parts;
}

ModelParts cnn_parts(const Condition&) {
  ModelParts parts;
  for (const auto* layer : {"conv1", "conv2", "conv3", "fc"}) add_layer(parts, layer);
  parts.points = {"conv1", "pool1", "act1",  "conv2", "pool2",
                  "act2",  "conv3", "pool3", "act3",  "fc"};
  parts.units = {"conv1", "conv2", "conv3"};
  return parts;
}

ModelParts flow_parts(const Condition&) {
  ModelParts parts;
  for (const auto* layer :
       {"time1", "time2", "fc1", "norm1", "fc2", "norm2", "fc3", "norm3", "fc4"})
    add_layer(parts, layer);
  parts.points = {"time1", "time_act", "time2", "fc1",   "norm1", "act1", "fc2",
                  "norm2", "act2",     "fc3",   "norm3", "act3",  "fc4"};
  parts.units = {"time1", "time2", "fc1", "fc2", "fc3"};
  return parts;
}

ModelParts residual_parts(const ResidualLayout& layout) {
  ModelParts parts;
  add_layer(parts, "conv1", {"weight"});
  add_layer(parts, "bn1");
  parts.points = {"conv1", "bn1", "act1"};
  if (layout.large_stem) parts.points.emplace_back("pool1");
  // A stage's channels are declared when the next stage has begun.
  std::string stream = layout.shortcuts ? "layer1" : "conv1";
  for (int s = 1; s <= layout.stages; ++s) {
    const auto stage = "layer" + std::to_string(s);
    for (int i = 0; i < layout.blocks; ++i) {
      const auto block = stage + "." + std::to_string(i);
      const bool projects = layout.shortcuts && s > 1 && i == 0;
      for (const auto* number : {"1", "2"}) {
        add_layer(parts, block + ".conv" + number, {"weight"});
        add_layer(parts, block + ".bn" + number);
      }
      add_points(parts, block, {".conv1", ".bn1", ".act1", ".conv2", ".bn2"});
      if (projects) {
        add_layer(parts, block + ".downsample.0", {"weight"});
        add_layer(parts, block + ".downsample.1");
        add_points(parts, block, {".downsample.0", ".downsample.1"});
      }
      add_points(parts, block, {".act2"});

      if (projects || !layout.shortcuts) {
        parts.units.push_back(stream);
        stream = layout.shortcuts ? stage : block + ".conv2";
      }
      parts.units.push_back(block + ".conv1");
    }
  }
  add_layer(parts, "fc");
  add_points(parts, "", {"pool", "fc"});
  parts.units.push_back(stream);
  return parts;
}

ModelParts vit_parts(std::int64_t depth, std::int64_t heads) {
  ModelParts parts;
  add_layer(parts, "embedding.patches");
  parts.parameters.insert(parts.parameters.end(), {"embedding.class", "embedding.positions"});
  parts.points = {"embedding.patches", "embedding"};
  for (std::int64_t i = 0; i < depth; ++i) {
    const auto block = "blocks." + std::to_string(i);
    for (const auto* layer :
         {".norm1", ".attn.qkv", ".attn.proj", ".norm2", ".mlp.fc1", ".mlp.fc2"})
      add_layer(parts, block + layer);
    add_points(parts, block,
               {".norm1", ".attn.qkv", ".attn.mix", ".attn.proj", ".norm2", ".mlp.fc1", ".mlp.act",
                ".mlp.fc2", ""});
    parts.units.push_back(block + ".attn.heads");
    for (std::int64_t head = 0; head < heads; ++head)
      parts.units.push_back(block + ".attn.head." + std::to_string(head));
    parts.units.push_back(block + ".mlp.fc1");
  }
  add_layer(parts, "norm");
  add_layer(parts, "head");
  add_points(parts, "", {"norm", "head"});
  return parts;
}

}  // namespace perturb
