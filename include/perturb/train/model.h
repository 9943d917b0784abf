// A network: named parameters in a declared order, a forward pass, named points inside it.
// Knows nothing of data, losses or optimizers, and does not choose its own initial values.
//
// docs/extending.md shows a whole model; train/layers.h has the layers that it is made of,
// train/torch_module.h turns a torch::nn::Module into a model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "perturb/train/pass.h"
#include "perturb/weights/symmetry.h"

namespace perturb {

/// What a parameter is to its layer; initialisation, noise and decay tell them apart.
enum class Role {
  Weight,     ///< of a linear map or convolution, (out, in, ...)
  Bias,       ///< added to the output of one
  Scale,      ///< factor of a normalisation layer
  Shift,      ///< summand of a normalisation layer
  Embedding,  ///< a learned input: the class token and the positions of a transformer
};

struct ModelParameter {
  std::string name;  ///< "conv1.weight"; unique within the model
  /// A leaf that requires a gradient. Once training starts its values are a view of
  /// FlatState::parameters; the handle stays the same.
  Tensor tensor;
  Role role = Role::Weight;
  /// PyTorch's fans of the layer it belongs to, the kernel's area included; 0 without a layer.
  std::int64_t fan_in = 0;
  std::int64_t fan_out = 0;
};

/// What a model carries along without learning it by gradients (running statistics).
struct ModelBuffer {
  std::string name;
  Tensor tensor;  ///< float
};

using weights::UnitGroup;

class Model {
 public:
  virtual ~Model() = default;
  Model() = default;
  Model(const Model&) = delete;  // layers share tensors with their model
  Model& operator=(const Model&) = delete;

  /// Outputs of a batch, examples along dimension 0. Random draws come from `pass` alone.
  virtual Tensor forward(const Tensor& inputs, Pass& pass) = 0;

  /// In the order in which they were added, which is the order in the flat state.
  const std::vector<ModelParameter>& parameters() const { return parameters_; }
  const std::vector<ModelBuffer>& buffers() const { return buffers_; }
  /// Acting in this order.
  const std::vector<UnitGroup>& unit_groups() const { return unit_groups_; }
  /// Those whose groups are among `unit_groups()`.
  const std::vector<weights::Attention>& attentions() const { return attentions_; }

  /// For layers and constructors. The parameter is zero until something initialises it.
  Tensor add_parameter(std::string name, const std::vector<std::int64_t>& shape, Role role,
                       std::int64_t fan_in, std::int64_t fan_out);
  /// Takes an existing leaf, such as a torch::nn::Module's.
  void adopt_parameter(ModelParameter parameter);
  Tensor add_buffer(std::string name, Tensor values);
  /// The parameters and buffers must be there already.
  void add_unit_group(UnitGroup group);
  void add_attention(weights::Attention attention);

 private:
  std::vector<ModelParameter> parameters_;
  std::vector<ModelBuffer> buffers_;
  std::vector<UnitGroup> unit_groups_;
  std::vector<weights::Attention> attentions_;
};

/// The names of the model's points in the order of a forward pass over `inputs`.
std::vector<std::string> point_names(Model& model, const Tensor& inputs);

}  // namespace perturb
