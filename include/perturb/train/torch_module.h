// A torch::nn::Module as a model, for networks that exist already. It must draw nothing by itself
// while it trains: pass.dropout() instead of torch::nn::Dropout, or the trial fails.
//
//     struct Net : torch::nn::Module {
//       Net(std::int64_t in, std::int64_t out)
//           : fc(register_module("fc", torch::nn::Linear(in, out))) {}
//       Tensor forward(const Tensor& x, Pass& pass) { return pass("fc", fc(x)); }
//       torch::nn::Linear fc;
//     };
//     registries.models.add("net", [](const Condition& condition, const DataShape& shape) {
//       auto model = std::make_unique<TorchModel<Net>>(shape.input[0], shape.classes);
//       initialise(*model, condition);
//       return model;
//     });
#pragma once

#include <memory>
#include <utility>

#include "perturb/train/model.h"

namespace torch::nn {
class Module;
}

namespace perturb {

/// While it lives, whoever draws from LibTorch's global generator leaves no trace: its
/// destructor puts the generator back, and the session's check waits for that. For making
/// torch::nn's layers, which draw initial values that nobody wants.
class GlobalGeneratorKeeper {
 public:
  GlobalGeneratorKeeper();
  ~GlobalGeneratorKeeper();
  GlobalGeneratorKeeper(const GlobalGeneratorKeeper&) = delete;
  GlobalGeneratorKeeper& operator=(const GlobalGeneratorKeeper&) = delete;

 private:
  Tensor state_;
};

/// Makes the module's parameters and buffers the model's, in their declared order, under their
/// dotted names. Roles and fans follow from names and shapes.
void adopt(Model& model, const torch::nn::Module& module);

/// `Net` is a torch::nn::Module with `Tensor forward(const Tensor&, Pass&)`.
template <class Net>
class TorchModel final : public Model {
 public:
  template <class... Arguments>
  explicit TorchModel(Arguments&&... arguments) {
    const GlobalGeneratorKeeper keeper;
    net_ = std::make_shared<Net>(std::forward<Arguments>(arguments)...);
    adopt(*this, *net_);
  }

  Tensor forward(const Tensor& inputs, Pass& pass) override {
    net_->train(pass.is_training());
    return net_->forward(inputs, pass);
  }

 private:
  std::shared_ptr<Net> net_;
};

}  // namespace perturb
