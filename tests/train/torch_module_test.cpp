#include "perturb/train/torch_module.h"

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include "doctest_torch.h"
#include "perturb/train/flat_state.h"
#include "perturb/train/initialise.h"
#include "train/global_generator.h"

namespace perturb {
namespace {

struct Net : torch::nn::Module {
  Net(std::int64_t in, std::int64_t out)
      : fc(register_module("fc", torch::nn::Linear(in, out))),
        norm(register_module("norm", torch::nn::BatchNorm1d(out))) {}
  Tensor forward(const Tensor& x, Pass& pass) { return pass("norm", norm(pass("fc", fc(x)))); }
  torch::nn::Linear fc;
  torch::nn::BatchNorm1d norm;
};

TEST_CASE("an ordinary module becomes a model on the flat state") {
  const auto generator = global_generator_digest();
  TorchModel<Net> model(3, 2);
  CHECK(global_generator_digest() == generator);

  const std::vector<Role> roles = {Role::Weight, Role::Bias, Role::Scale, Role::Shift};
  REQUIRE(model.parameters().size() == 4);
  for (std::size_t i = 0; i < 4; ++i) CHECK(model.parameters()[i].role == roles[i]);
  CHECK(model.parameters()[0].name == "fc.weight");
  CHECK(model.parameters()[1].fan_in == 3);
  initialise(model, {.scheme = "he"}, 0);

  FlatState state({&model}, at::kCPU);
  const auto inputs = at::arange(12, at::kFloat).view({4, 3});
  CHECK(point_names(model, inputs) == std::vector<std::string>{"fc", "norm"});

  // Running statistics change in training alone, and where the state sees it.
  const auto before = state.buffers().clone();
  auto evaluation = Pass::evaluation();
  model.forward(inputs, evaluation);
  CHECK(at::equal(state.buffers(), before));
  auto training = Pass::training(0, 0);
  const auto outputs = model.forward(inputs, training);
  CHECK_FALSE(at::equal(state.buffers(), before));

  (outputs * outputs.detach().add(1)).sum().backward();
  CHECK(state.gradients().abs().sum().item<float>() > 0);
  CHECK(model.parameters()[0].tensor.grad().data_ptr() == state.gradients().data_ptr());
}

}  // namespace
}  // namespace perturb
