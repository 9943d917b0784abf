// What every description must have, so that help, validation and documentation can rely on it.
#include "perturb/catalog/catalog.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace perturb;

namespace {

const std::vector<Family> kFamilies = {
    Family::Task,  Family::Model, Family::Data,         Family::Optimizer, Family::Schedule,
    Family::Train, Family::Seeds, Family::Intervention, Family::Metric,    Family::Plot,
};

/// Words of small letters and digits, the first beginning with a letter, joined by `joint`.
bool is_name(const std::string& text, char joint) {
  char last = joint;
  for (const char c : text) {
    const bool letter = c >= 'a' && c <= 'z', digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != joint) return false;
    if (c == joint && last == joint) return false;
    last = c;
  }
  return last != joint && !(text[0] >= '0' && text[0] <= '9');
}

/// "" or what is wrong with `value` as a value of `parameter`.
std::string objection(const Parameter& parameter, const Value& value) {
  const auto within = [&](const Value& v) {
    const double x = v.as_float();
    return (parameter.above_least ? x > parameter.least : x >= parameter.least) &&
           (parameter.below_most ? x < parameter.most : x <= parameter.most);
  };
  switch (parameter.type) {
    case Type::Bool:
      return value.is_bool() ? "" : "not a bool";
    case Type::Int:
      return value.is_int() && within(value) ? "" : "not an integer in range";
    // An integer here would be another value than the float that a file's 0 becomes.
    case Type::Float:
      return value.is_float() && within(value) ? "" : "not a float in range";
    case Type::String:
      if (!value.is_string()) return "not a string";
      if (parameter.choices.empty()) return "";
      return std::count(parameter.choices.begin(), parameter.choices.end(), value.as_string()) == 1
                 ? ""
                 : "not one of the choices";
    case Type::IntList:
      if (!value.is_list()) return "not a list";
      for (const auto& item : value.as_list()) {
        if (!item.is_int() || !within(item)) return "an item that is no integer in range";
      }
      return "";
    case Type::FloatList:
      if (!value.is_list()) return "not a list";
      for (const auto& item : value.as_list()) {
        if (!item.is_float() || !within(item)) return "an item that is no float in range";
      }
      return "";
    case Type::StringList:
      return value.is_list() ? "" : "not a list";
    default:
      return value.is_string() ? "" : "not a string";
  }
}

template <typename Visit>
void for_each_parameter(Visit visit) {
  const Schema schema = builtin_schema();
  for (const auto family : kFamilies) {
    for (const auto* component : schema.all(family)) {
      for (const auto& parameter : component->parameters) {
        const std::string path =
            std::string(name_of(family)) + "/" + component->name + "." + parameter.name;
        CAPTURE(path);
        visit(*component, parameter);
      }
    }
  }
}

std::map<std::string, Value> defaults(const Component& component) {
  std::map<std::string, Value> values;
  for (const auto& parameter : component.parameters) {
    if (parameter.fallback) values[parameter.name] = *parameter.fallback;
  }
  return values;
}

}  // namespace

TEST_CASE("the first release has what its experiments need") {
  const Schema schema = builtin_schema();
  using Names = std::vector<std::string>;
  CHECK(schema.names(Family::Task) == Names{"classification", "flow-matching", "fit-discrete",
                                            "wgan", "fit-density", "transport"});
  CHECK(schema.names(Family::Model) == Names{"mlp", "lenet5", "generator", "normal", "binomial",
                                             "mlp-small", "mlp-medium", "mlp-large", "cnn",
                                             "resnet18", "resnet18-cifar", "resnet20", "resnet32",
                                             "plainnet20", "vit", "vit-lite", "flow"});
  CHECK(schema.names(Family::Data) == Names{"fashion-mnist", "mnist", "cifar10", "iris", "csv",
                                            "gaussian-blobs", "weights", "four-gaussians",
                                            "evidence", "gaussian-mixture", "histogram"});
  CHECK(schema.names(Family::Optimizer) == Names{"sgd", "adam", "adamw", "guarded"});
  CHECK(schema.names(Family::Schedule) == Names{"constant", "step", "cosine"});
  CHECK(schema.names(Family::Intervention) == Names{"set",
                                                    "perturb-weights",
                                                    "weight-noise",
                                                    "prune-weights",
                                                    "flip-signs",
                                                    "quantise-weights",
                                                    "permute-units",
                                                    "reinitialise",
                                                    "interpolate-weights",
                                                    "perturb-gradients",
                                                    "scale-gradients",
                                                    "clip-gradients",
                                                    "sign-gradients",
                                                    "perturb-activations",
                                                    "scale-activations",
                                                    "zero-units",
                                                    "drop-activations",
                                                    "clamp-activations",
                                                    "label-noise",
                                                    "input-noise",
                                                    "subset-examples",
                                                    "drop-classes",
                                                    "reorder-examples"});
  CHECK(schema.names(Family::Metric) == Names{"loss",
                                              "accuracy",
                                              "weight-norm",
                                              "norm-ratio",
                                              "distance",
                                              "cosine-similarity",
                                              "agreement",
                                              "kl-divergence",
                                              "loss-barrier",
                                              "cka",
                                              "gradient-norm",
                                              "hessian-eigenvalue",
                                              "hessian-trace",
                                              "sharpness",
                                              "noisy-loss",
                                              "noisy-accuracy",
                                              "network-accuracy",
                                              "error-overlap",
                                              "rms-ratio",
                                              "novelty",
                                              "parameter",
                                              "loss-at",
                                              "wasserstein",
                                              "sinkhorn-divergence",
                                              "mode-coverage",
                                              "sample-density",
                                              "point",
                                              "critic-steepness",
                                              "traffic-intensity",
                                              "congestion-cost",
                                              "traffic",
                                              "divergence-residual",
                                              "critic-weights"});
  CHECK(schema.names(Family::Plot) == Names{"curves", "contrasts", "heatmap", "dose-response",
                                            "layers", "networks", "histogram", "scatter", "grid",
                                            "robustness", "profile", "distributions", "field"});
}

TEST_CASE("components are named and explained") {
  const Schema schema = builtin_schema();
  for (const auto family : kFamilies) {
    const auto components = schema.all(family);
    const std::string section(name_of(family));
    CAPTURE(section);
    CHECK_FALSE(components.empty());
    const bool has_kinds = family != Family::Train && family != Family::Seeds;
    for (const auto* component : components) {
      CAPTURE(component->name);
      CHECK(is_name(component->name, '-') == has_kinds);
      CHECK(component->help.ends_with("."));
      CHECK(component->revision >= 1);
      CHECK(component->label.empty() == (family != Family::Metric));
    }
  }
}

TEST_CASE("parameters are named and explained") {
  std::set<std::string> seen;
  for_each_parameter([&](const Component& component, const Parameter& parameter) {
    CHECK(is_name(parameter.name, '_'));
    CHECK(parameter.name != "kind");  // taken by the section itself
    CHECK(parameter.help.size() > 10);
    CHECK((parameter.help.ends_with(".") || parameter.help.ends_with("}.") ||
           parameter.help.ends_with("\".")));
    const std::string path =
        std::string(name_of(component.family)) + "/" + component.name + "." + parameter.name;
    CHECK(seen.insert(path).second);
  });
}

TEST_CASE("numbers have a range and counts a unit") {
  for_each_parameter([](const Component& component, const Parameter& parameter) {
    const bool number = parameter.type == Type::Int || parameter.type == Type::Float ||
                        parameter.type == Type::IntList;
    // A factor may be any number.
    if (parameter.type != Type::Float && parameter.type != Type::FloatList)
      CHECK(std::isfinite(parameter.least) == number);
    CHECK(parameter.least <= parameter.most);
    if (!number && parameter.type != Type::FloatList) CHECK(parameter.unit.empty());
    const bool seed = component.family == Family::Seeds || parameter.name.ends_with("seed");
    if (parameter.type == Type::Int) CHECK(parameter.unit.empty() == seed);
    // Counts that are multiplied with each other are bounded so that no product overflows.
    if (parameter.type == Type::Int && !seed) CHECK(parameter.most <= 1e15);
    CHECK((parameter.choices.empty() || parameter.type == Type::String));
  });
}

TEST_CASE("defaults and neutral values are valid") {
  for_each_parameter([](const Component&, const Parameter& parameter) {
    if (parameter.fallback) CHECK(objection(parameter, *parameter.fallback) == "");
    if (parameter.neutral) CHECK(objection(parameter, *parameter.neutral) == "");
    // Without a neutral default, adding the next such parameter would orphan every result.
    if (parameter.neutral) CHECK(parameter.neutral == parameter.fallback);
  });
}

TEST_CASE("every component with all defaults passes its own check") {
  const Schema schema = builtin_schema();
  for (const auto family : kFamilies) {
    for (const auto* component : schema.all(family)) {
      CAPTURE(component->name);
      auto values = defaults(*component);
      for (const auto& parameter : component->parameters) {
        if (!parameter.fallback && parameter.type == Type::Float)
          values[parameter.name] = Value(0.1);
      }
      if (const auto toward = component->find("toward")) values[toward->name] = Value("init");
      if (component->check) CHECK(component->check(values) == "");
      if (component->unsupported) CHECK(component->unsupported(values) == "");
    }
  }
}

TEST_CASE("names in a metric's label are parameters") {
  const Schema schema = builtin_schema();
  for (const auto* metric : schema.all(Family::Metric)) {
    const auto& label = metric->label;
    for (auto open = label.find('{'); open != std::string::npos; open = label.find('{', open + 1)) {
      const auto close = label.find('}', open);
      CHECK(metric->find(label.substr(open + 1, close - open - 1)));
    }
  }
}

TEST_CASE("what does not go together is refused") {
  const Schema schema = builtin_schema();
  const auto verdict = [&](Family family, const char* name, std::map<std::string, Value> changes) {
    const auto* component = schema.find(family, name);
    REQUIRE(component);
    REQUIRE(component->check);
    auto values = defaults(*component);
    for (auto& [key, value] : changes) values[key] = value;
    return component->check(values);
  };
  const auto perturb = [&](const char* mode, const char* relative_to, double epsilon) {
    return verdict(Family::Intervention, "perturb-weights",
                   {{"mode", mode}, {"relative_to", relative_to}, {"epsilon", epsilon}}) == "";
  };
  CHECK(perturb("gaussian", "norm", 5.0));
  CHECK(perturb("gaussian", "std", 5.0));
  CHECK(perturb("rotate", "norm", 2.0));
  CHECK_FALSE(perturb("rotate", "norm", std::nextafter(2.0, 3.0)));
  CHECK_FALSE(perturb("rotate", "std", 0.1));
  CHECK(perturb("rotate", "none", 5.0));

  const auto device = [&](const char* name) {
    return verdict(Family::Train, "", {{"device", name}}) == "";
  };
  for (const char* good : {"cpu", "cuda", "cuda:0", "cuda:11", "mps"}) CHECK(device(good));
  for (const char* bad : {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:1000", "CPU", "cuda 0"}) {
    CHECK_FALSE(device(bad));
  }

  const auto to = [&](const char* name) {
    return verdict(Family::Metric, "distance", {{"to", name}}) == "";
  };
  for (const char* good : {"init", "control", "trial:seeds.init=3"}) CHECK(to(good));
  for (const char* bad : {"", "inti", "trial:", "trial", "trial:3f2a"}) CHECK_FALSE(to(bad));
  const auto per = [&](const char* name) {
    return verdict(Family::Metric, "distance", {{"to", name}, {"per", "initial-distance"}}) == "";
  };
  CHECK(per("control"));
  CHECK_FALSE(per("init"));
  CHECK(verdict(Family::Intervention, "clamp-activations", {{"least", 1.0}, {"most", 0.0}}) != "");

  CHECK(verdict(Family::Data, "gaussian-blobs", {{"examples", 1'000'000'000}}) != "");
  const std::string reference = "{\"experiment\":\"x.toml\"}";
  CHECK(verdict(Family::Model, "mlp", {{"from", reference}}) == "");
  CHECK(verdict(Family::Model, "mlp", {{"from", reference}, {"weights", "x.safetensors"}}) != "");
  CHECK(verdict(Family::Model, "flow", {{"hidden_width", 63}}) != "");
}

TEST_CASE("momentum may be scaled beyond 1, as the momentum experiment does") {
  const Schema schema = builtin_schema();
  const auto* momentum = schema.find(Family::Optimizer, "sgd")->find("momentum");
  CHECK(objection(*momentum, Value(0.999 * 1.1)) == "");
}
