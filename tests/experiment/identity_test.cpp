// Law 1: identity is the resolved condition and nothing else.
#include <map>
#include <set>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "experiment/declared.h"
#include "perturb/core/random.h"

using namespace perturb;

namespace {

using Fields = std::map<std::string, std::string>;  // path -> value as TOML

const Fields kFields = {
    {"model.kind", "\"mlp\""},
    {"model.hidden", "[20, 10]"},
    {"model.activation", "\"tanh\""},
    {"data.kind", "\"mnist\""},
    {"data.batch_size", "50"},
    {"data.train_examples", "500"},
    {"optimizer.kind", "\"sgd\""},
    {"optimizer.lr", "1"},
    {"optimizer.momentum", "0.5"},
    {"optimizer.nesterov", "true"},
    {"schedule.kind", "\"step\""},
    {"schedule.every", "2"},
    {"seeds.init", "3"},
    {"seeds.shuffle", "4"},
};

/// The same fields in a drawn order, as sections or dotted keys, some as overrides, and with a
/// few defaults spelt out.
std::pair<std::string, std::vector<std::string>> written(const Fields& fields, std::uint64_t seed) {
  Random random(seed, "writing");
  std::vector<std::pair<std::string, std::string>> list(fields.begin(), fields.end());
  for (const auto& [path, value] : Fields{{"optimizer.weight_decay", "0"},
                                          {"seeds.noise", "0"},
                                          {"model.init", "\"kaiming-uniform\""},
                                          {"schedule.warmup", "0"}}) {
    if (random.below(2)) list.emplace_back(path, value);
  }
  const auto order = random.permutation(list.size());
  std::string text = fmt::format("name = \"n{}\"\ndescription = \"d\"\n", seed);
  std::vector<std::string> overrides;
  for (const auto i : order) {
    const auto& [path, value] = list[static_cast<std::size_t>(i)];
    // 1 and 1.0 are one value where the type is float.
    const auto spelt = path == "optimizer.lr" && value == "1" && random.below(2) ? "1.0" : value;
    if (random.below(4) == 0) {
      overrides.push_back(path + "=" + spelt);
    } else {
      text += path + " = " + spelt + "\n";
    }
  }
  return {text, overrides};
}

Digest id(const Fields& fields, std::uint64_t seed) {
  const auto [text, overrides] = written(fields, seed);
  return control_id(text, overrides);
}

}  // namespace

TEST_CASE("the same condition has the same hash, however it is written") {
  const auto first = id(kFields, 0);
  for (std::uint64_t seed = 1; seed < 100; ++seed) {
    INFO("seed ", seed);
    REQUIRE(id(kFields, seed) == first);
  }
}

TEST_CASE("every changed field has another hash") {
  const std::map<std::string, std::vector<std::string>> others = {
      {"model.hidden", {"[20, 11]", "[20]", "[10, 20]", "[2010]"}},
      {"model.activation", {"\"relu\"", "\"gelu\""}},
      {"data.kind", {"\"fashion-mnist\""}},
      {"data.batch_size", {"51", "5"}},
      {"data.train_examples", {"501", "0"}},
      {"optimizer.lr", {"1.0000000000000002", "0.1"}},
      {"optimizer.momentum", {"0.50000000000000011", "0"}},
      {"optimizer.nesterov", {"false"}},
      {"schedule.every", {"3"}},
      {"seeds.init", {"4"}},
      {"seeds.shuffle", {"3"}},
  };
  std::set<std::string> seen = {id(kFields, 0).hex()};
  std::size_t count = 1;
  for (const auto& [path, values] : others) {
    for (const auto& value : values) {
      auto changed = kFields;
      changed[path] = value;
      seen.insert(id(changed, count).hex());
      ++count;
      INFO(path, " = ", value);
      REQUIRE(seen.size() == count);
    }
  }
}

TEST_CASE("run length, device, names, metrics and plots are not part of the identity") {
  const auto first = control_id(kBase);
  CHECK(control_id(kBase, {"train.epochs=30"}) == first);
  CHECK(control_id(kBase, {"train.device=cuda"}) == first);
  CHECK(control_id("name = \"other\"\ndescription = \"x\"\n" + kBase) == first);
  CHECK(control_id(kBase + "[[metrics]]\nkind = \"weight-norm\"\nevery = 5\n") == first);
}

TEST_CASE("windows, operations and their order are part of the identity") {
  std::set<std::string> seen;
  const std::vector<std::string> entries = {
      "kind = \"perturb-weights\"\nepsilon = 0.1",
      "kind = \"perturb-weights\"\nepsilon = 0.2",
      "kind = \"perturb-weights\"\nepsilon = 0.1\nseed = 1",
      "kind = \"perturb-weights\"\nepsilon = 0.1\nmode = \"rotate\"",
      "kind = \"perturb-weights\"\nepsilon = 0.1\nwhen = 0",
      "kind = \"perturb-weights\"\nepsilon = 0.1\nwhen = 1",
      "kind = \"perturb-weights\"\nepsilon = 0.1\nwhen = [1, 3]",
      "kind = \"perturb-weights\"\nepsilon = 0.1\nwhen = [[1, 2], [3, 4]]",
      "set.optimizer.lr = 0.2\nwhen = [0, 5]",
      "set.optimizer.lr = 0.2\nwhen = [1, 5]",
      "set.optimizer.lr = 0.2\nwhen = [0, 6]",
      "set.optimizer.lr = 0.2",
      "set.optimizer.momentum = 0.2\nwhen = [0, 5]",
  };
  for (const auto& entry : entries)
    seen.insert(declared(kBase + "[[interventions]]\n" + entry).trial(0, 1).id.hex());
  seen.insert(control_id(kBase).hex());
  CHECK(seen.size() == entries.size() + 1);

  // Noise and then rotation is not rotation and then noise.
  const auto condition = declared(kBase).trial(0, 0).condition;
  const auto noise =
      declared(kBase + "[[interventions]]\n" + entries[0]).trial(0, 1).operations.front();
  const auto rotation =
      declared(kBase + "[[interventions]]\n" + entries[3]).trial(0, 1).operations.front();
  const Identity identity(test_schema());
  CHECK(identity.trial(timeline(condition, {noise, rotation}), {}) !=
        identity.trial(timeline(condition, {rotation, noise}), {}));
}

TEST_CASE("data bytes are part of the identity") {
  const auto on = [](const std::string& bytes) {
    return Experiment::parse({"t", kBase}, "/", {}, test_schema(),
                             [&](const Condition&) {
                               DataFacts facts;
                               facts.train = 10;
                               facts.digest = sha256(bytes);
                               return facts;
                             })
        .trial(0, 0)
        .id;
  };
  CHECK(on("a") == on("a"));
  CHECK(on("a") != on("b"));
}

TEST_CASE("a field at its neutral value leaves no trace, so a new knob orphans nothing") {
  Schema before;
  Schema after;
  for (const auto family :
       {Family::Task, Family::Model, Family::Data, Family::Optimizer, Family::Schedule,
        Family::Train, Family::Seeds, Family::Intervention, Family::Metric}) {
    for (const auto* component : test_schema().all(family)) {
      before.add(*component);
      auto grown = *component;
      if (family == Family::Model) {
        Parameter knob;
        knob.name = "knob";
        knob.type = Type::Int;
        knob.fallback = 0;
        knob.neutral = 0;
        grown.parameters.push_back(knob);
      }
      after.add(grown);
    }
  }
  const auto hash = [](const Schema& schema, std::vector<std::string> overrides) {
    return Experiment::parse({"t", kBase}, "/", overrides, schema, test_data).trial(0, 0).id;
  };
  CHECK(hash(before, {}) == hash(after, {}));
  CHECK(hash(before, {}) == hash(after, {"model.knob=0"}));
  CHECK(hash(before, {}) != hash(after, {"model.knob=1"}));
}

TEST_CASE("a component's revision is part of the identity of the trials that use it") {
  Schema revised;
  for (const auto family :
       {Family::Task, Family::Model, Family::Data, Family::Optimizer, Family::Schedule,
        Family::Train, Family::Seeds, Family::Intervention, Family::Metric}) {
    for (const auto* component : test_schema().all(family)) {
      auto copy = *component;
      if (copy.name == "lenet5" || copy.name == "perturb-weights") ++copy.revision;
      revised.add(copy);
    }
  }
  const auto hash = [](const Schema& schema, const std::string& model, std::size_t alternative) {
    const auto text = "[model]\nkind = '" + model +
                      "'\n[data]\nkind = 'mnist'\n[[interventions]]\n"
                      "kind = 'perturb-weights'\nepsilon = 1\n";
    return Experiment::parse({"t", text}, "/", {}, schema, test_data).trial(0, alternative).id;
  };
  CHECK(hash(revised, "lenet5", 0) != hash(test_schema(), "lenet5", 0));
  CHECK(hash(revised, "mlp", 0) == hash(test_schema(), "mlp", 0));
  CHECK(hash(revised, "mlp", 1) != hash(test_schema(), "mlp", 1));
}

TEST_CASE("a plugin's bytes are part of the identity of the trials that use it, and of no others") {
  const auto schema_with = [](const std::string& bytes) {
    Schema schema;
    for (const auto family :
         {Family::Task, Family::Model, Family::Data, Family::Optimizer, Family::Schedule,
          Family::Train, Family::Seeds, Family::Intervention, Family::Metric}) {
      for (const auto* component : test_schema().all(family)) {
        auto copy = *component;
        const bool own =
            copy.name == "lenet5" || copy.name == "perturb-weights" || copy.name == "weight-norm";
        if (own && !bytes.empty()) copy.plugin = Origin{"/some.so", sha256(bytes)};
        schema.add(copy);
      }
    }
    return schema;
  };
  const auto built_in = schema_with("");
  const auto one = schema_with("one build");
  const auto other = schema_with("another build");
  const auto experiment = [](const Schema& schema, const std::string& model) {
    const auto text = "[model]\nkind = '" + model +
                      "'\n[data]\nkind = 'mnist'\n[[interventions]]\n"
                      "kind = 'perturb-weights'\nepsilon = 1\n[[metrics]]\nkind = 'weight-norm'\n";
    return Experiment::parse({"t", text}, "/", {}, schema, test_data);
  };
  const auto hash = [&](const Schema& schema, const std::string& model, std::size_t alternative) {
    return experiment(schema, model).trial(0, alternative).id;
  };
  CHECK(hash(one, "lenet5", 0) != hash(other, "lenet5", 0));
  CHECK(hash(one, "lenet5", 0) != hash(built_in, "lenet5", 0));
  CHECK(hash(one, "mlp", 0) == hash(other, "mlp", 0));
  CHECK(hash(one, "mlp", 0) == hash(built_in, "mlp", 0));
  CHECK(hash(one, "mlp", 1) != hash(other, "mlp", 1));

  const auto with = experiment(one, "lenet5");
  const auto ingredients = with.ingredients(with.trial(0, 1));
  CHECK(ingredients.at("plugin of model lenet5") == sha256("one build").hex());
  CHECK(ingredients.at("plugin of intervention perturb-weights") == sha256("one build").hex());
  CHECK(!ingredients.contains("plugin of data mnist"));

  const auto metric = [&](const Schema& schema, const std::string& kind) {
    const auto declared = experiment(schema, "mlp");
    for (const auto& spec : declared.metrics()) {
      if (spec.kind == kind) return spec.definition();
    }
    return Digest{};
  };
  CHECK(metric(one, "weight-norm") != metric(other, "weight-norm"));
  CHECK(metric(one, "weight-norm") != metric(built_in, "weight-norm"));
  CHECK(metric(one, "loss") == metric(built_in, "loss"));
}
