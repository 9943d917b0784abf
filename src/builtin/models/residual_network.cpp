// Networks of basic blocks: ResNets and, without their shortcuts, plain ones.
//
// He, Zhang, Ren, Sun: Deep residual learning for image recognition (2016). Shortcuts that change
// the shape are projections (option B there), and names are torchvision's.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "builtin/models/models.h"
#include "perturb/train/layers.h"

namespace perturb {
namespace {

struct Architecture {
  std::vector<std::int64_t> widths;  ///< channels of each stage
  int blocks = 2;                    ///< in each stage
  /// 7 x 7 with stride 2 and max pooling, for images of 200 pixels; else 3 x 3 with stride 1.
  bool large_stem = false;
  bool shortcuts = true;
};

/// Keeps the size of the image, at stride 1. The normalisation that follows has the bias.
ConvolutionOptions three_by_three(std::int64_t in, std::int64_t out, std::int64_t stride = 1) {
  return {.in = in, .out = out, .kernel = 3, .stride = stride, .padding = 1, .bias = false};
}

/// A convolution without bias, and the normalisation of its outputs.
class Normalised {
 public:
  Normalised(Model& model, std::string convolution, std::string norm,
             const ConvolutionOptions& options)
      : convolution_name_(std::move(convolution)),
        norm_name_(std::move(norm)),
        convolution_(model, convolution_name_, options),
        norm_(model, norm_name_, options.out) {}

  Tensor operator()(const Tensor& x, Pass& pass) const {
    return pass(norm_name_, norm_(pass(convolution_name_, convolution_(x)), pass));
  }

  const std::string& name() const { return convolution_name_; }

  /// The group's units are channels that it takes.
  void reads(UnitGroup& group) const { group.axes.push_back({convolution_name_ + ".weight", 1}); }

  /// The group's units are channels that it gives.
  void writes(UnitGroup& group) const {
    group.axes.push_back({convolution_name_ + ".weight"});
    for (const auto* tensor : {".weight", ".bias", ".running_mean", ".running_var"})
      group.axes.push_back({norm_name_ + tensor});
  }

 private:
  std::string convolution_name_, norm_name_;
  Convolution convolution_;
  BatchNorm norm_;
};

/// relu(x' + norm(conv(relu(norm(conv(x)))))), x' = x or, where the shape changes, a projection of
/// it; without the shortcut no x'.
struct BasicBlock {
  struct Shape {
    std::int64_t in = 1, out = 1, stride = 1;
  };

  BasicBlock(Model& model, std::string name_, const Shape& shape, bool shortcut_)
      : name(std::move(name_)),
        shortcut(shortcut_),
        first(model, name + ".conv1", name + ".bn1",
              three_by_three(shape.in, shape.out, shape.stride)),
        second(model, name + ".conv2", name + ".bn2", three_by_three(shape.out, shape.out)) {
    if (!shortcut || (shape.in == shape.out && shape.stride == 1)) return;
    projection.emplace(
        model, name + ".downsample.0", name + ".downsample.1",
        ConvolutionOptions{
            .in = shape.in, .out = shape.out, .kernel = 1, .stride = shape.stride, .bias = false});
  }

  Tensor operator()(const Tensor& x, Pass& pass) const {
    auto h = second(pass(name + ".act1", at::relu(first(x, pass))), pass);
    if (shortcut) h = h + (projection ? (*projection)(x, pass) : x);
    return pass(name + ".act2", at::relu(h));
  }

  std::string name;
  bool shortcut;
  Normalised first, second;
  std::optional<Normalised> projection;
};

class ResidualNetwork final : public Model {
 public:
  ResidualNetwork(const DataShape& shape, const Architecture& architecture)
      : large_stem_(architecture.large_stem),
        stem_(*this, "conv1", "bn1", stem_options(shape, architecture)) {
    auto in = architecture.widths.front();
    for (std::size_t stage = 0; stage < architecture.widths.size(); ++stage) {
      const auto out = architecture.widths[stage];
      for (int i = 0; i < architecture.blocks; ++i) {
        const std::int64_t stride = i == 0 && stage > 0 ? 2 : 1;
        blocks_.emplace_back(*this, "layer" + std::to_string(stage + 1) + "." + std::to_string(i),
                             BasicBlock::Shape{in, out, stride}, architecture.shortcuts);
        in = out;
      }
    }
    fc_.emplace(*this, "fc", in, shape.classes);
    declare_units(architecture);
  }

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    auto h = pass("act1", at::relu(stem_(inputs, pass)));
    if (large_stem_) h = pass("pool1", max_pool(h, {.kernel = 3, .stride = 2, .padding = 1}));
    for (const auto& block : blocks_) h = block(h, pass);
    h = pass("pool", h.mean({2, 3}));
    return pass("fc", (*fc_)(h));
  }

 private:
  static ConvolutionOptions stem_options(const DataShape& shape, const Architecture& architecture) {
    const auto in = shape.input[0], out = architecture.widths.front();
    if (architecture.large_stem)
      return {.in = in, .out = out, .kernel = 7, .stride = 2, .padding = 3, .bias = false};
    return three_by_three(in, out);
  }

  /// Shortcuts tie the channels of all blocks of a stage together, in one group; what a block has
  /// inside is a group of its own.
  void declare_units(const Architecture& architecture) {
    auto width = architecture.widths.front();
    UnitGroup stream = {architecture.shortcuts ? "layer1" : stem_.name(), width, {}};
    stem_.writes(stream);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      const auto& block = blocks_[i];
      width = architecture.widths[i / static_cast<std::size_t>(architecture.blocks)];
      block.first.reads(stream);
      if (block.projection) block.projection->reads(stream);
      if (block.projection || !block.shortcut) {
        add_unit_group(std::exchange(stream, {stream_name(block), width, {}}));
        if (block.projection) block.projection->writes(stream);
      }
      UnitGroup inner = {block.first.name(), width, {}};
      block.first.writes(inner);
      block.second.reads(inner);
      add_unit_group(std::move(inner));
      block.second.writes(stream);
    }
    stream.axes.push_back({"fc.weight", 1});
    add_unit_group(std::move(stream));
  }

  /// Of the group that begins with the outputs of a block.
  static std::string stream_name(const BasicBlock& block) {
    return block.shortcut ? block.name.substr(0, block.name.find('.')) : block.second.name();
  }

  bool large_stem_;
  Normalised stem_;
  std::vector<BasicBlock> blocks_;
  std::optional<Linear> fc_;  // its parameters come after the blocks'
};

Architecture of_18_layers(bool large_stem) {
  return {.widths = {64, 128, 256, 512}, .blocks = 2, .large_stem = large_stem};
}

/// The networks for CIFAR-10 (section 4.2), of 6 `blocks` + 2 layers.
Architecture of_narrow_layers(int blocks, bool shortcuts = true) {
  return {.widths = {16, 32, 64}, .blocks = blocks, .shortcuts = shortcuts};
}

void add(Registries& registries, const std::string& name, const Architecture& architecture) {
  registries.models.add(name, [architecture](const Condition& condition, const DataShape& shape) {
    require_images(condition, shape, 1);
    auto model = std::make_unique<ResidualNetwork>(shape, architecture);
    initialise(*model, condition);
    return model;
  });
}

}  // namespace

void add_residual_networks(Registries& registries) {
  add(registries, "resnet18", of_18_layers(/*large_stem=*/true));
  add(registries, "resnet18-cifar", of_18_layers(/*large_stem=*/false));
  add(registries, "resnet20", of_narrow_layers(3));
  add(registries, "resnet32", of_narrow_layers(5));
  add(registries, "plainnet20", of_narrow_layers(3, /*shortcuts=*/false));
}

}  // namespace perturb
