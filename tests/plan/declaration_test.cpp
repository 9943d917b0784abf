#include "perturb/plan/declaration.h"

#include <doctest/doctest.h>

#include "perturb/catalog/catalog.h"

namespace {

using namespace perturb;

constexpr const char* kFile = R"(
name = "declared"
[task]
kind = "classification"
[model]
kind = "mlp"
hidden = [4]
[data]
kind = "iris"
[optimizer]
kind = "sgd"
[train]
epochs = 2
[[variations]]
optimizer.momentum = [0.0, 0.5]
[[interventions]]
set.optimizer.lr = 0.2
when = [3, 5]
)";

Experiment experiment(const Schema& schema, const std::vector<std::string>& overrides = {}) {
  return Experiment::parse({"test.toml", kFile}, ".", overrides, schema,
                           [](const Condition&) { return DataFacts{.train = 640, .test = 64}; });
}

std::int64_t count(const Store& store, const std::string& sql) {
  return std::get<std::int64_t>(store.query(sql).rows.at(0).at(0));
}

}  // namespace

TEST_CASE("a member knows its control, its end and its factors") {
  const Schema schema = builtin_schema();
  const Experiment read = experiment(schema);
  const Member intervened = member(read, 3, 20);
  CHECK(intervened.number == 3);
  CHECK(intervened.control == 2);
  CHECK(intervened.variation == 1);
  CHECK(intervened.steps == 20);
  CHECK(intervened.intervention == read.label(1));
  const auto has = [&](const std::string& name, const Value& value) {
    for (const auto& factor : intervened.factors) {
      if (factor.first == name && factor.second == value) return true;
    }
    return false;
  };
  CHECK(has("optimizer.momentum", 0.5));
  CHECK(has("set.optimizer.lr", 0.2));
  CHECK(member(read, 2, 20).operations == "[]");
  CHECK_FALSE(member(read, 2, 0).steps.has_value());
}

TEST_CASE("declaring makes the members of the store those of the plan") {
  const Schema schema = builtin_schema();
  Store store = Store::in_memory();
  const Experiment read = experiment(schema);
  declare(store, read, make_plan(read, store));
  CHECK(count(store, "select count(*) from trials where experiment = 'declared'") == 4);
  CHECK(count(store, "select count(*) from trials where \"optimizer.momentum\" = 0.5") == 2);

  // The command line takes one variation away, and nothing else of the file changes.
  const Experiment fewer = experiment(schema, {"optimizer.momentum=0.5"});
  declare(store, fewer, make_plan(fewer, store));
  CHECK(count(store, "select count(*) from trials") == 2);

  // What no trial's identity contains still has to reach the factors.
  const Experiment longer = experiment(schema, {"optimizer.momentum=0.5", "train.epochs=5"});
  declare(store, longer, make_plan(longer, store));
  CHECK(count(store, "select count(*) from trials where \"train.epochs\" = 5 and steps = 50") == 2);
}
