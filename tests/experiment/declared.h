// Experiments from a text, for tests: the built-in schema and data sets of a fixed size.
#pragma once

#include <string>
#include <vector>

#include "perturb/catalog/catalog.h"
#include "perturb/experiment/experiment.h"

namespace perturb {

inline const Schema& test_schema() {
  static const Schema schema = builtin_schema();
  return schema;
}

/// 1,000 training examples whatever the data set is; the digest tells data sets apart.
inline DataFacts test_data(const Condition& condition) {
  DataFacts facts;
  facts.train = 1000;
  facts.test = 100;
  facts.digest = sha256(condition.text("data.kind"));
  return facts;
}

inline Experiment declared(const std::string& text,
                           const std::vector<std::string>& overrides = {}) {
  return Experiment::parse({"test.toml", text}, "/", overrides, test_schema(), test_data);
}

/// The smallest experiment there is.
inline const std::string kBase = R"(
[model]
kind = "lenet5"
[data]
kind = "fashion-mnist"
batch_size = 100
[optimizer]
kind = "sgd"
lr = 0.1
momentum = 0.9
[train]
epochs = 3
)";

/// All messages of what is wrong with a text; empty when nothing is.
inline std::string wrong_with(const std::string& text,
                              const std::vector<std::string>& overrides = {}) {
  try {
    declared(text, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

inline Digest control_id(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return declared(text, overrides).trial(0, 0).id;
}

}  // namespace perturb
