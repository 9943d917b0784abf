// The architectures with fixed sizes: what they compute, against PyTorch, and what they are.
#include <cmath>
#include <map>

#include "builtin/architecture_values.h"
#include "doctest_torch.h"
#include "perturb/core/error.h"
#include "perturb/train/checkpoint.h"
#include "perturb/train/initialise.h"
#include "perturb/train/model.h"
#include "train/declared.h"

namespace perturb {
namespace {

std::string toml_of(const std::string& model, const std::string& more = "") {
  return "name = \"architecture\"\ntask.kind = \"classification\"\nmodel.kind = \"" + model +
         "\"\ndata = { kind = \"gaussian-blobs\", examples = 48, batch_size = 8 }\n"
         "optimizer = { kind = \"sgd\", lr = 0.05, momentum = 0.9 }\ntrain.epochs = 1\n" +
         more;
}

std::unique_ptr<Model> made(const std::string& name, const DataShape& shape,
                            const std::string& more = "") {
  return builtins().models.at(name)(declared(toml_of(name, more)).trial(0).condition, shape);
}

DataShape colour(std::int64_t side) { return {.input = {3, side, side}, .classes = 10}; }

/// As in tests/reference/architectures.py.
Tensor noise(std::int64_t place, at::IntArrayRef shape) {
  const auto i = at::arange(c10::multiply_integers(shape), at::kLong);
  const auto whole = (i * i * 37 + i * 101 + place * 61).remainder(1009);
  return whole.to(at::kDouble).div(504).sub(1).view(shape);
}

/// The script's parameters and running statistics.
void fill(const Model& model) {
  const at::NoGradGuard no_gradients;
  std::int64_t place = 0;
  for (const auto& [name, tensor, role, fan_in, fan_out] : model.parameters()) {
    const auto values = noise(place++, tensor.sizes());
    switch (role) {
      case Role::Weight:
        tensor.copy_(values * std::sqrt(3 / static_cast<double>(tensor[0].numel())));
        break;
      case Role::Bias:
      case Role::Shift:
        tensor.copy_(values / 10);
        break;
      case Role::Scale:
        tensor.copy_(1 + values / 2);
        break;
      case Role::Embedding:
        tensor.copy_(values / 2);
        break;
    }
  }
  place = 0;
  for (const auto& [name, tensor] : model.buffers()) {
    const auto values = noise(place, tensor.sizes());
    // A mean and a variance of each normalisation.
    tensor.copy_(place++ % 2 == 0 ? values / 5 : 1 + values / 2);
  }
}

void check_close(const Tensor& values, const std::vector<float>& expected) {
  // The reference is in double precision: 1e-5 is what single precision makes of some 20 layers.
  CHECK(at::allclose(values.flatten().to(at::kFloat), at::tensor(expected), 1e-5, 1e-5));
}

TEST_CASE("architectures compute what PyTorch computes with the same weights") {
  for (const auto& values : kArchitectures) {
    CAPTURE(values.model);
    const auto model = made(values.model, colour(values.side));
    fill(*model);
    const auto images = noise(0, {2, 3, values.side, values.side}).to(at::kFloat);
    const at::NoGradGuard no_gradients;
    auto evaluation = Pass::evaluation();
    check_close(model->forward(images, evaluation), values.evaluation);
    if (model->buffers().empty()) continue;

    auto training = Pass::training(0, 0);
    check_close(model->forward(images, training), values.training);
    std::vector<double> sums;
    for (const auto& [name, tensor] : model->buffers()) {
      const auto place = static_cast<std::int64_t>(sums.size());
      sums.push_back((tensor.to(at::kDouble) * noise(place, tensor.sizes())).sum().item<double>());
    }
    check_close(at::tensor(sums), values.statistics);
  }
}

std::int64_t parameters_of(const std::string& name, std::int64_t side,
                           const std::string& more = "") {
  const auto model = made(name, colour(side), more);
  std::int64_t count = 0;
  for (const auto& parameter : model->parameters()) count += parameter.tensor.numel();
  return count;
}

TEST_CASE("architectures have the published numbers of parameters") {
  CHECK(parameters_of("mlp-small", 28) == 636554);
  CHECK(parameters_of("mlp-medium", 28) == 1338634);
  CHECK(parameters_of("mlp-large", 28) == 3068170);
  CHECK(parameters_of("cnn", 28) == 62090);
  CHECK(parameters_of("resnet18", 28) == 11181642);
  CHECK(parameters_of("resnet18-cifar", 32) == 11173962);
  CHECK(parameters_of("resnet20", 32) == 272474);
  // Two more blocks of each width than resnet20, of 2 (3 x 3 w w + 2 w) parameters.
  CHECK(parameters_of("resnet32", 32) == 272474 + 2 * (4672 + 18560 + 73984));
  // Less both projections, from 16 to 32 and from 32 to 64 channels, each normalised.
  CHECK(parameters_of("plainnet20", 32) == 272474 - (512 + 64) - (2048 + 128));
  CHECK(parameters_of("vit", 32) == 2693578);
  // The paper's 3,716,874, whose queries, keys and values have no bias: 768 in each of 7 blocks.
  CHECK(parameters_of("vit-lite", 32) == 3716874 + 7 * 768);
}

TEST_CASE("the parameters of resnet18 have torchvision's names") {
  const auto model = made("resnet18", colour(28));
  std::vector<std::string> names;
  for (const auto& parameter : model->parameters()) names.push_back(parameter.name);
  CHECK(names == kResnet18Names);
}

/// What the error says, with what to do; empty when the model can be made.
std::string refusal(const std::string& name, const DataShape& shape, const std::string& more = "") {
  try {
    made(name, shape, more);
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::Usage);
    CHECK_FALSE(error.advice().empty());
    return error.what();
  }
  return {};
}

TEST_CASE("a model that cannot take the data says so") {
  const DataShape flat = {.input = {4}, .classes = 3};
  const std::map<std::string, std::int64_t> least = {
      {"lenet5", 12},  {"cnn", 8},        {"resnet18", 1}, {"resnet18-cifar", 1}, {"resnet20", 1},
      {"resnet32", 1}, {"plainnet20", 1}, {"vit", 4},      {"vit-lite", 4},
  };
  for (const auto& name : builtins().models.names()) {
    CAPTURE(name);
    const auto found = least.find(name);
    if (found == least.end()) {
      CHECK(refusal(name, flat).empty());
      continue;
    }
    CHECK(refusal(name, flat).find(name + " takes images") == 0);
    const auto side = found->second;
    CHECK(refusal(name, colour(side)).empty());
    if (side > 1) CHECK(refusal(name, colour(side - 1)).find(name + " takes images of ") == 0);
    // The smallest image goes through, as well.
    auto pass = Pass::evaluation();
    const auto outputs = made(name, colour(side))->forward(at::zeros({2, 3, side, side}), pass);
    CHECK(outputs.sizes() == at::IntArrayRef({2, 10}));
  }
  CHECK(refusal("vit", colour(30)).find("cannot be divided") != std::string::npos);
  CHECK(refusal("vit", colour(30), "model.patch = 5\n").empty());
}

TEST_CASE("kaiming-normal draws convolutions as torchvision does, the rest as kaiming-uniform") {
  const auto model = made("resnet20", colour(32), "model.init = \"kaiming-normal\"\n");
  const auto uniform = made("resnet20", colour(32));
  for (std::size_t i = 0; i < model->parameters().size(); ++i) {
    const auto& p = model->parameters()[i];
    CAPTURE(p.name);
    if (p.tensor.dim() != 4) {
      CHECK(at::equal(p.tensor, uniform->parameters()[i].tensor));
      continue;
    }
    const double std = std::sqrt(2 / static_cast<double>(p.fan_out));
    CHECK(p.fan_out == p.tensor.size(0) * p.tensor.size(2) * p.tensor.size(3));
    // 432 draws or more: five standard errors of the deviation are 17 %.
    CHECK(p.tensor.std().item<double>() == doctest::Approx(std).epsilon(0.17));
    // A uniform variable ends at 1.73 deviations.
    CHECK(p.tensor.abs().max().item<double>() > 2 * std);
  }
}

TEST_CASE("a class token and positions are N(0, 0.02^2), whatever init says") {
  for (const std::string init : {"kaiming-uniform", "he", "normal"}) {
    CAPTURE(init);
    const auto model = made("vit", colour(32), "model.init = \"" + init + "\"\n");
    int embeddings = 0;
    for (const auto& p : model->parameters()) {
      if (p.role != Role::Embedding) continue;
      ++embeddings;
      // 192 draws or more: five standard errors of the deviation are 26 %.
      CHECK(p.tensor.std().item<double>() == doctest::Approx(0.02).epsilon(0.26));
    }
    CHECK(embeddings == 2);
  }
}

TEST_CASE("dropout of a transformer is addressed, and none at 0") {
  const auto images = noise(0, {2, 3, 8, 8}).to(at::kFloat);
  const auto outputs = [&](const std::string& dropout, Pass pass) {
    return made("vit", colour(8), "model.depth = 1\nmodel.dropout = " + dropout + "\n")
        ->forward(images, pass);
  };
  const auto dropped = outputs("0.1", Pass::training(0, 0));
  CHECK(at::equal(dropped, outputs("0.1", Pass::training(0, 0))));
  CHECK_FALSE(at::equal(dropped, outputs("0.1", Pass::training(1, 0))));
  CHECK_FALSE(at::equal(dropped, outputs("0.1", Pass::training(0, 1))));
  CHECK_FALSE(at::equal(dropped, outputs("0.1", Pass::evaluation())));
  CHECK(at::equal(outputs("0.0", Pass::training(0, 0)), outputs("0.1", Pass::evaluation())));
}

/// A trial on small images, in place of the points that gaussian-blobs has.
Declared on_images(const std::string& model, const std::string& more = "") {
  Declared trial(toml_of(model, more));
  const auto n = trial.data.train.size();
  trial.data.shape = {.input = {3, 8, 8}, .classes = 3};
  trial.data.train = ExampleSet(noise(0, {n, 3, 8, 8}).to(at::kFloat), at::arange(n).remainder(3));
  return trial;
}

TEST_CASE("a state that was saved goes on with the same bits, running statistics and all") {
  const std::vector<Declared> trials = {
      on_images("resnet20"),
      on_images("vit", "model.depth = 1\nmodel.width = 12\n"),
  };
  for (const auto& trial : trials) {
    Progress progress;
    Session whole(trial.assignment, builtins(), trial.data);
    REQUIRE(whole.advance(3, progress) == Outcome::Done);
    const auto file = to_safetensors(whole.state(), whole.optimizer(), 3);
    const auto buffers = whole.state().buffers().clone();
    REQUIRE(whole.advance(6, progress) == Outcome::Done);

    auto rest = trial.assignment;
    rest.begin = 3;
    Session resumed(rest, builtins(), trial.data);
    resumed.restore(snapshot_from(file, resumed.state()));
    CHECK(at::equal(resumed.state().buffers(), buffers));
    REQUIRE(resumed.advance(6, progress) == Outcome::Done);
    CHECK(at::equal(resumed.state().parameters(), whole.state().parameters()));
    CHECK(at::equal(resumed.state().buffers(), whole.state().buffers()));
    if (buffers.numel() > 0) CHECK_FALSE(at::equal(whole.state().buffers(), buffers));
  }
}

}  // namespace
}  // namespace perturb
