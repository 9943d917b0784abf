// What every registered thing must satisfy, whoever wrote it.
#include <algorithm>
#include <cmath>
#include <set>

#include "doctest_torch.h"
#include "perturb/train/metric.h"
#include "perturb/train/optimizer.h"
#include "perturb/train/schedule.h"
#include "perturb/train/task.h"
#include "train/declared.h"

namespace perturb {
namespace {

/// Components that the framework carries out itself, or that need more than a condition.
bool has_no_factory(Family family, const std::string& name) {
  return (family == Family::Intervention && name == "set") ||
         (family == Family::Data && name == "weights");
}

void check_names(Family family, const std::vector<std::string>& registered) {
  std::set<std::string> described;
  for (const auto& name : builtin_schema().names(family)) {
    if (!has_no_factory(family, name)) described.insert(name);
  }
  CHECK_MESSAGE(described == std::set<std::string>(registered.begin(), registered.end()),
                name_of(family));
}

TEST_CASE("catalog and factories have the same names") {
  const auto& all = builtins();
  check_names(Family::Task, all.tasks.names());
  check_names(Family::Model, all.models.names());
  check_names(Family::Data, all.data_sets.names());
  check_names(Family::Optimizer, all.optimizers.names());
  check_names(Family::Schedule, all.schedules.names());
  check_names(Family::Intervention, all.interventions.names());
  check_names(Family::Metric, all.metrics.names());
}

std::string trial_with(const std::string& model, const std::string& data) {
  return "name = \"conformance\"\ntask.kind = \"classification\"\nmodel.kind = \"" + model +
         "\"\ndata.kind = \"" + data + "\"\noptimizer.kind = \"sgd\"\n";
}

const DataShape kImages = {.input = {1, 28, 28}, .classes = 10};

/// A flow begins as the field that is zero everywhere, which would pass for anything.
std::unique_ptr<Model> moving(std::unique_ptr<Model> model) {
  const at::NoGradGuard no_gradients;
  for (const auto& parameter : model->parameters()) {
    if (parameter.name == "fc4.weight")
      parameter.tensor.copy_(at::arange(parameter.tensor.numel())
                                 .remainder(7)
                                 .view_as(parameter.tensor)
                                 .to(at::kFloat)
                                 .mul(0.01));
  }
  return model;
}

std::unique_ptr<Model> from_defaults(const std::string& name) {
  const auto condition = declared(trial_with(name, "gaussian-blobs")).trial(0).condition;
  return moving(builtins().models.at(name)(condition, kImages));
}

Examples some_images(std::int64_t n) {
  const auto pixels = at::arange(n * 784).mul(37).remainder(251).to(at::kFloat).div(250);
  return {pixels.view({n, 1, 28, 28}), at::arange(n).remainder(10)};
}

/// As the model takes them: a flow, flat and with a time behind each.
Examples taken_by(const std::string& name, const Examples& images) {
  if (name != "flow") return images;
  const auto times = at::linspace(0, 1, images.size()).unsqueeze(1);
  return {at::cat({images.inputs.flatten(1), times}, 1), images.targets};
}

TEST_CASE("models") {
  for (const auto& name : builtins().models.names()) {
    // A name of its own for each: doctest enters a subcase of one name once, loop or not.
    SUBCASE(name.c_str()) {
      const auto model = from_defaults(name);
      const auto images = taken_by(name, some_images(4));
      const std::int64_t outputs_each = name == "flow" ? 784 : 10;

      SUBCASE("are reproducible and give a row of outputs an example") {
        const auto again = from_defaults(name);
        auto pass = Pass::evaluation();
        const auto outputs = model->forward(images.inputs, pass);
        CHECK(outputs.sizes() == at::IntArrayRef({4, outputs_each}));
        CHECK(at::equal(outputs, again->forward(images.inputs, pass)));
      }
      SUBCASE("have unique, dotted names of parameters and unique points") {
        std::set<std::string> names;
        for (const auto& parameter : model->parameters()) {
          CHECK(names.insert(parameter.name).second);
          CHECK(parameter.name.find('.') != std::string::npos);
          // An embedding is no layer.
          CHECK((parameter.fan_in > 0) == (parameter.role != Role::Embedding));
          CHECK((parameter.fan_out > 0) == (parameter.role != Role::Embedding));
        }
        const auto points = point_names(*model, images.inputs);
        CHECK(std::set<std::string>(points.begin(), points.end()).size() == points.size());
        CHECK_FALSE(points.empty());
      }
      SUBCASE("have the parts that the catalog says") {
        const auto condition = declared(trial_with(name, "gaussian-blobs")).trial(0).condition;
        static const Schema schema = builtin_schema();
        const auto parts = schema.find(Family::Model, name)->parts(condition);
        std::vector<std::string> parameters;
        for (const auto& parameter : model->parameters()) parameters.push_back(parameter.name);
        CHECK(parts.parameters == parameters);
        CHECK(parts.points == point_names(*model, images.inputs));
        std::vector<std::string> units;
        for (const auto& group : model->unit_groups()) units.push_back(group.name);
        CHECK(parts.units == units);
      }
      SUBCASE("receive gradients in every parameter, in the flat vector") {
        const FlatState state({model.get()}, at::kCPU);
        auto pass = Pass::training(0, 0);
        at::cross_entropy_loss(model->forward(images.inputs, pass), images.targets).backward();
        for (const auto& slice : state.layout()) {
          CHECK_MESSAGE(slice.of(state.gradients()).abs().sum().item<double>() > 0, slice.name);
        }
      }
      SUBCASE("are the flat state: a copy of the vectors is a copy of the model") {
        auto other_condition = declared(trial_with(name, "gaussian-blobs")).trial(0).condition;
        other_condition.set("seeds.init", 1);
        const auto other = moving(builtins().models.at(name)(other_condition, kImages));
        const FlatState from({model.get()}, at::kCPU);
        FlatState to({other.get()}, at::kCPU);
        auto pass = Pass::evaluation();
        // One that has a place to start from and draws nothing is the same for all seeds.
        if (name == "binomial") to.parameters().mul_(0.5);
        CHECK_FALSE(
            at::equal(model->forward(images.inputs, pass), other->forward(images.inputs, pass)));
        to.restore(from.snapshot());
        CHECK(at::equal(model->forward(images.inputs, pass), other->forward(images.inputs, pass)));
      }
    }
  }
}

TEST_CASE("data sets that need no files") {
  for (const std::string name :
       {"iris", "gaussian-blobs", "four-gaussians", "evidence", "gaussian-mixture", "histogram"}) {
    CAPTURE(name);
    const auto toml = trial_with("mlp", name);
    const Declared first(toml), again(toml);
    const auto& data = first.data;
    CHECK(at::equal(data.train.inputs(), again.data.train.inputs()));
    CHECK(at::equal(data.test.targets(), again.data.test.targets()));
    CHECK(data.train.inputs().sizes().slice(1) == at::IntArrayRef(data.shape.input));
    CHECK(data.train.targets().max().item<std::int64_t>() == data.shape.classes - 1);
    // The plan counts examples without loading them.
    CHECK(data.train.size() == first.assignment.examples);
  }
}

TEST_CASE("optimizers make a loss smaller and are reproducible") {
  for (const auto& name : builtins().optimizers.names()) {
    CAPTURE(name);
    Declared trial(small_trial("optimizer.kind = \"" + name + "\"\noptimizer.lr = 0.01\n"));
    const auto record = trial.carry_out();
    CHECK(record.outcome == Outcome::Done);
    const auto again = trial.carry_out();
    REQUIRE(record.measured.size() == again.measured.size());
    for (std::size_t i = 0; i < record.measured.size(); ++i) {
      CHECK(record.measured[i].value == again.measured[i].value);
    }
    CHECK_FALSE(at::equal(trial.parameters(0), trial.parameters(1)));
  }
}

TEST_CASE("schedules build from defaults and give factors of 1 or less") {
  for (const auto& name : builtins().schedules.names()) {
    CAPTURE(name);
    const auto condition =
        declared(small_trial("schedule.kind = \"" + name + "\"\n")).trial(0).condition;
    const auto schedule = builtins().schedules.at(name)(condition);
    for (std::int64_t step = 0; step < 60; ++step) {
      const double factor = schedule->factor(step, step / 20);
      CHECK(factor >= 0);
      CHECK(factor <= 1);
    }
  }
}

TEST_CASE("metrics leave the state alone and are finite") {
  const Declared trial(small_trial());
  Session session(trial.assignment, builtins(), trial.data);
  const auto before = session.state().parameters().clone();
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < trial.assignment.metrics.size(); ++i) all.push_back(i);
  REQUIRE_FALSE(all.empty());
  for (const double value : session.measure(all)) CHECK(std::isfinite(value));
  CHECK(session.measure(all) == session.measure(all));
  CHECK(at::equal(before, session.state().parameters()));
}

}  // namespace
}  // namespace perturb
