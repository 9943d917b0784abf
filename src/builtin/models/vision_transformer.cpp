// Dosovitskiy et al.: An image is worth 16 x 16 words (2021).
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/core/error.h"
#include "perturb/train/layers.h"

namespace perturb {
namespace {

struct Architecture {
  std::int64_t patch = 4;  ///< pixels of a side
  std::int64_t width = 192;
  std::int64_t depth = 6;
  std::int64_t heads = 3;
  std::int64_t mlp_ratio = 4;  ///< hidden units of a block's MLP for each unit of width
  double dropout = 0.1;
};

/// x + attention(norm(x)), and then x + MLP(norm(x)).
class Block {
 public:
  Block(Model& model, std::string name, const Architecture& a)
      : name_(std::move(name)),
        heads_(a.heads),
        dropout_(a.dropout),
        norm1_(model, name_ + ".norm1", a.width),
        qkv_(model, name_ + ".attn.qkv", a.width, 3 * a.width),
        proj_(model, name_ + ".attn.proj", a.width, a.width),
        norm2_(model, name_ + ".norm2", a.width),
        fc1_(model, name_ + ".mlp.fc1", a.width, a.mlp_ratio * a.width),
        fc2_(model, name_ + ".mlp.fc2", a.mlp_ratio * a.width, a.width) {
    // What is inside a head of queries and keys turns by any invertible matrix, of which orders are
    // those that keep every number. The width of the stream that all blocks add to stays as it is.
    const auto rows = [&](std::int64_t part) {
      const auto qkv = name_ + ".attn.qkv";
      return std::vector<UnitGroup::Axis>{{.tensor = qkv + ".weight", .offset = part * a.width},
                                          {.tensor = qkv + ".bias", .offset = part * a.width}};
    };
    model.add_attention({.name = name_ + ".attn",
                         .heads = a.heads,
                         .units = a.width / a.heads,
                         .queries = rows(0),
                         .keys = rows(1),
                         .values = rows(2),
                         .outputs = {{.tensor = name_ + ".attn.proj.weight", .dimension = 1}}});
    const auto fc1 = name_ + ".mlp.fc1";
    model.add_unit_group({fc1,
                          a.mlp_ratio * a.width,
                          {{fc1 + ".weight"}, {fc1 + ".bias"}, {name_ + ".mlp.fc2.weight", 1}}});
  }

  /// Dropout after every dense layer but those of queries, keys and values, as in the paper.
  Tensor operator()(const Tensor& x, Pass& pass) const {
    auto h = seen("attn.qkv", qkv_(seen("norm1", norm1_(x), pass)), pass);
    h = seen("attn.mix", attention(h, heads_), pass);
    h = x + dropped("attn.proj", seen("attn.proj", proj_(h), pass), pass);
    auto m = seen("mlp.fc1", fc1_(seen("norm2", norm2_(h), pass)), pass);
    m = dropped("mlp.act", seen("mlp.act", at::gelu(m), pass), pass);
    m = dropped("mlp.fc2", seen("mlp.fc2", fc2_(m), pass), pass);
    return pass(name_, h + m);
  }

 private:
  Tensor seen(const char* point, const Tensor& value, Pass& pass) const {
    return pass(name_ + "." + point, value);
  }
  Tensor dropped(const char* point, const Tensor& value, const Pass& pass) const {
    return pass.dropout(name_ + "." + point, value, dropout_);
  }

  std::string name_;
  std::int64_t heads_;
  double dropout_;
  LayerNorm norm1_;
  Linear qkv_, proj_;
  LayerNorm norm2_;
  Linear fc1_, fc2_;
};

class VisionTransformer final : public Model {
 public:
  VisionTransformer(const DataShape& shape, const Architecture& a)
      : dropout_(a.dropout),
        patches_(*this, "embedding.patches",
                 {.in = shape.input[0], .out = a.width, .kernel = a.patch, .stride = a.patch}),
        class_token_(embedding("class", {1, 1, a.width})),
        positions_(embedding("positions", {1, 1 + tokens(shape, a), a.width})),
        blocks_(stacked(a)),
        norm_(*this, "norm", a.width),
        head_(*this, "head", a.width, shape.classes) {}

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    // (n, width, rows, columns) -> (n, tokens, width)
    auto h = pass("embedding.patches", patches_(inputs)).flatten(2).transpose(1, 2);
    h = at::cat({class_token_.expand({h.size(0), 1, -1}), h}, 1) + positions_;
    h = pass.dropout("embedding", pass("embedding", h), dropout_);
    for (const auto& block : blocks_) h = block(h, pass);
    // Each token is normalised by itself, and only the first is read.
    return pass("head", head_(pass("norm", norm_(h.select(1, 0)))));
  }

 private:
  static std::int64_t tokens(const DataShape& shape, const Architecture& a) {
    return (shape.input[1] / a.patch) * (shape.input[2] / a.patch);
  }

  Tensor embedding(const std::string& name, const std::vector<std::int64_t>& shape) {
    return add_parameter("embedding." + name, shape, Role::Embedding, 0, 0);
  }

  std::vector<Block> stacked(const Architecture& a) {
    std::vector<Block> blocks;
    for (std::int64_t i = 0; i < a.depth; ++i)
      blocks.emplace_back(*this, "blocks." + std::to_string(i), a);
    return blocks;
  }

  double dropout_;
  Convolution patches_;
  Tensor class_token_, positions_;
  std::vector<Block> blocks_;
  LayerNorm norm_;
  Linear head_;
};

std::unique_ptr<Model> make(const Condition& condition, const DataShape& shape,
                            const Architecture& a) {
  require_images(condition, shape, a.patch);
  const auto height = shape.input[1], width = shape.input[2];
  if (height % a.patch != 0 || width % a.patch != 0) {
    const auto patch = std::to_string(a.patch);
    throw Error(ExitCode::Usage,
                condition.text("model.kind") + " cuts images into patches of " + patch + " x " +
                    patch + " pixels, into which those of " + condition.text("data.kind") +
                    ", of " + std::to_string(height) + " x " + std::to_string(width) +
                    ", cannot be divided",
                "use vit with a model.patch that divides both sides");
  }
  return std::make_unique<VisionTransformer>(shape, a);
}

std::unique_ptr<Model> make_vit(const Condition& condition, const DataShape& shape) {
  return make(condition, shape,
              {.patch = condition.integer("model.patch"),
               .width = condition.integer("model.width"),
               .depth = condition.integer("model.depth"),
               .heads = condition.integer("model.heads"),
               .mlp_ratio = condition.integer("model.mlp_ratio"),
               .dropout = condition.number("model.dropout")});
}

/// The sizes of ViT-Lite-7/4. Hassani et al.: Escaping the big data paradigm with compact
/// transformers (2021), table 1.
std::unique_ptr<Model> make_vit_lite(const Condition& condition, const DataShape& shape) {
  return make(condition, shape,
              {.patch = 4, .width = 256, .depth = 7, .heads = 4, .mlp_ratio = 2, .dropout = 0});
}

}  // namespace

void add_vision_transformers(Registries& registries) {
  registries.models.add("vit", initialised<make_vit>);
  registries.models.add("vit-lite", initialised<make_vit_lite>);
}

}  // namespace perturb
