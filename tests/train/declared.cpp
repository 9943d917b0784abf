#include "train/declared.h"

namespace perturb {

const Registries& builtins() {
  static const Registries registries = [] {
    Registries all;
    add_builtins(all);
    return all;
  }();
  return registries;
}

Experiment declared(const std::string& toml, const std::vector<std::string>& overrides) {
  static const Schema schema = builtin_schema();  // outlives every experiment
  return Experiment::parse({"test.toml", toml}, ".", overrides, schema,
                           [](const Condition& condition) { return facts(condition, {}); });
}

std::string small_trial(const std::string& more) {
  std::string toml = R"(
    name = "small"
    task.kind = "classification"
    model = { kind = "mlp", hidden = [8] }
    data = { kind = "gaussian-blobs", examples = 320, test_examples = 100, batch_size = 16 }
    train.epochs = 2
  )";
  if (more.find("optimizer.kind") == std::string::npos) {
    toml += "optimizer = { kind = \"sgd\", lr = 0.05, momentum = 0.9 }\n";
  }
  return toml + more;
}

Dataset data_of(const Condition& condition) {
  return builtins().data_sets.at(condition.text("data.kind"))(condition, data_folders({}));
}

}  // namespace perturb
