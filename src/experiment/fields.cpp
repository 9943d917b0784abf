#include "experiment/fields.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "experiment/missing_experiment.h"

namespace perturb {

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  if (const auto best = nearest(word, candidates); !best.empty()) {
    return fmt::format("did you mean \"{}\"?", best);
  }
  if (candidates.empty() || candidates.size() > 24) return {};
  return fmt::format("there are: {}", fmt::join(candidates, ", "));
}

namespace {

Parameter kind_parameter(const Schema& schema, const Section& section) {
  Parameter p;
  p.name = "kind";
  p.type = Type::String;
  p.choices = schema.names(section.family);
  p.live = section.family == Family::Optimizer || section.family == Family::Schedule;
  p.help = fmt::format("which {}", section.name);
  return p;
}

}  // namespace

Fields::Fields(const Schema& schema) : schema_(&schema) {
  for (const auto& section : sections()) {
    const auto add = [&](const Parameter& parameter) {
      auto path = fmt::format("{}.{}", section.name, parameter.name);
      if (std::find(paths_.begin(), paths_.end(), path) != paths_.end()) return;
      paths_.push_back(std::move(path));
      parameters_.push_back(parameter);
    };
    if (section.has_kind) add(kind_parameter(schema, section));
    for (const auto* component : schema.all(section.family)) {
      for (const auto& parameter : component->parameters) add(parameter);
    }
  }
}

const Parameter* Fields::find(std::string_view path) const {
  const auto found = std::find(paths_.begin(), paths_.end(), path);
  return found == paths_.end() ? nullptr
                               : &parameters_[static_cast<std::size_t>(found - paths_.begin())];
}

std::string Fields::kinds_with(std::string_view path) const {
  std::vector<std::string> kinds;
  const auto dot = path.find('.');
  for (const auto& section : sections()) {
    if (section.name != path.substr(0, dot)) continue;
    for (const auto* component : schema_->all(section.family)) {
      if (component->find(path.substr(dot + 1))) kinds.push_back(component->name);
    }
  }
  return fmt::format("{}", fmt::join(kinds, ", "));
}

std::string_view default_kind(Family family) {
  switch (family) {
    case Family::Task:
      return "classification";
    case Family::Optimizer:
      return "sgd";
    case Family::Schedule:
      return "constant";
    default:
      return {};
  }
}

std::string_view name_of(Type type) {
  switch (type) {
    case Type::Bool:
      return "true or false";
    case Type::Int:
      return "an integer";
    case Type::Float:
      return "a number";
    case Type::String:
      return "a string";
    case Type::IntList:
      return "a list of integers";
    case Type::FloatList:
      return "a list of numbers";
    case Type::StringList:
      return "a list of strings";
    case Type::File:
      return "a file name";
    case Type::Selection:
      return "a table of keys and values";
    case Type::Reference:
      return "a table such as { experiment = \"other.toml\" }";
    case Type::At:
      return "\"end\", a step, or { epochs = n }";
  }
  return "";
}

namespace {

std::string bounds(const Parameter& p) {
  std::string text;
  if (std::isfinite(p.least)) {
    text += fmt::format("{} {}", p.above_least ? "above" : "at least", p.least);
  }
  if (std::isfinite(p.most)) {
    text += fmt::format("{}{} {}", text.empty() ? "" : " and ", p.below_most ? "below" : "at most",
                        p.most);
  }
  return text;
}

bool within(double x, const Parameter& p) {
  return std::isfinite(x) && (p.above_least ? x > p.least : x >= p.least) &&
         (p.below_most ? x < p.most : x <= p.most);
}

}  // namespace

std::string out_of_range(const Value& value, const Parameter& p) {
  if (value.is_list()) {
    for (const auto& item : value.as_list()) {
      if (auto wrong = out_of_range(item, p); !wrong.empty()) return wrong;
    }
    return {};
  }
  if (value.is_string()) {
    if (p.choices.empty() || p.type != Type::String) return {};
    if (std::find(p.choices.begin(), p.choices.end(), value.as_string()) != p.choices.end())
      return {};
    return fmt::format("\"{}\" is not one of its values", value.as_string());
  }
  if (!value.is_number()) return {};
  const auto x = value.as_float();
  if (within(x, p)) return {};
  if (!std::isfinite(x)) return fmt::format("{} is not a finite number", x);
  return fmt::format("{} is out of range: it must be {}", display(value), bounds(p));
}

namespace {

using Json = nlohmann::json;

/// Scalars, lists and tables of them as JSON, whose objects are sorted: one text a content.
std::optional<Json> to_json(const Node& node, Problems& problems) {
  switch (node.kind) {
    case Node::Kind::Bool:
      return Json(node.boolean);
    case Node::Kind::Int:
      return Json(node.integer);
    case Node::Kind::Float:
      if (std::isfinite(node.number)) return Json(node.number);
      break;
    case Node::Kind::String:
      return Json(node.text);
    case Node::Kind::Array: {
      Json out = Json::array();
      for (const auto& item : node.items) {
        auto value = to_json(item, problems);
        if (!value) return std::nullopt;
        out.push_back(std::move(*value));
      }
      return out;
    }
    case Node::Kind::Table: {
      Json out = Json::object();
      for (const auto& entry : node.entries) {
        auto value = to_json(entry.value, problems);
        if (!value) return std::nullopt;
        out[entry.key] = std::move(*value);
      }
      return out;
    }
    case Node::Kind::Date:
      break;
  }
  problems.error(node.place, "this value has no place in a selection",
                 "use booleans, finite numbers, strings, lists and tables");
  return std::nullopt;
}

/// Tables within a selection are dotted keys written otherwise.
void flatten(const Json& table, const std::string& before, Json& out) {
  for (const auto& [key, value] : table.items()) {
    if (value.is_object()) {
      flatten(value, before + key + ".", out);
    } else {
      out[before + key] = value;
    }
  }
}

std::optional<Json> selection(const Node& node, Problems& problems) {
  const auto json = to_json(node, problems);
  if (!json) return std::nullopt;
  Json out = Json::object();
  flatten(*json, "", out);
  return out;
}

/// "end", a step, or { epochs = n }: after so many.
std::optional<Json> moment(const Node& node) {
  if (node.kind == Node::Kind::String && node.text == "end") return Json("end");
  if (node.kind == Node::Kind::Int && node.integer >= 0) return Json(node.integer);
  const auto* epochs = node.kind == Node::Kind::Table ? node.find("epochs") : nullptr;
  const bool good =
      epochs && node.entries.size() == 1 && epochs->kind == Node::Kind::Int && epochs->integer >= 0;
  return good ? std::optional(Json{{"epochs", epochs->integer}}) : std::nullopt;
}

bool has_nul(const std::string& text) { return text.find('\0') != std::string::npos; }

std::optional<Value> file(const Node& node, const std::string& path,
                          const std::filesystem::path& folder, Problems& problems) {
  if (node.text.empty() || has_nul(node.text)) {
    problems.error(node.place, fmt::format("\"{}\" needs the name of a file", path));
    return std::nullopt;
  }
  // Complete, so that what reads it need not know where the experiment lies.
  return Value((folder / node.text).lexically_normal().string());
}

std::optional<Value> reference(const Node& node, const std::string& path,
                               const std::filesystem::path& folder, Problems& problems) {
  Json out = Json::object();
  bool good = true;
  const auto wrong = [&](const Place& place, const std::string& message,
                         const std::string& advice) {
    problems.error(place, message, advice);
    good = false;
  };
  for (const auto& [key, place, value] : node.entries) {
    if (key == "experiment" && value.kind == Node::Kind::String) {
      const auto name = file(value, path + ".experiment", folder, problems);
      std::error_code ignored;
      if (!name) {
        good = false;
      } else if (!std::filesystem::is_regular_file(name->as_string(), ignored)) {
        wrong(value.place, fmt::format("there is no experiment \"{}\"", value.text),
              advice_on_missing(value.text, folder));
      } else {
        out["experiment"] = name->as_string();
      }
    } else if (const auto at = key == "at" ? moment(value) : std::nullopt) {
      out["at"] = *at;
    } else if (key == "select" && value.kind == Node::Kind::Table) {
      if (auto json = selection(value, problems)) {
        out["select"] = std::move(*json);
      } else {
        good = false;
      }
    } else if (key == "generated" && value.kind == Node::Kind::Bool) {
      if (value.boolean) out["generated"] = true;
    } else if (key == "experiment" || key == "at" || key == "select" || key == "generated") {
      wrong(value.place, fmt::format("\"{}.{}\" cannot be {}", path, key, name_of(value.kind)),
            key == "at"          ? "it is \"end\", a step, or { epochs = n }"
            : key == "select"    ? "it is a table of condition keys and values"
            : key == "generated" ? "it is true or false: which network is what seeds.init says"
                                 : "it is the name of an experiment file");
    } else {
      wrong(place, fmt::format("unknown key \"{}.{}\"", path, key),
            suggestion(key, {"experiment", "at", "select", "generated"}));
    }
  }
  if (good && !out.contains("experiment")) {
    wrong(node.place, fmt::format("\"{}\" does not say which experiment", path),
          "write { experiment = \"other.toml\" }");
  }
  if (!good) return std::nullopt;
  if (!out.contains("at")) out["at"] = "end";
  return Value(out.dump());
}

std::optional<Value> number(const Node& node, Type type) {
  if (type == Type::Int && node.kind == Node::Kind::Int) return Value(node.integer);
  if (type == Type::Float && node.kind == Node::Kind::Int) {
    return Value(static_cast<double>(node.integer));
  }
  if (type == Type::Float && node.kind == Node::Kind::Float) return Value(node.number);
  return std::nullopt;
}

std::optional<Value> number_list(const Node& node, Type type) {
  List list;
  for (const auto& item : node.items) {
    auto value = number(item, type == Type::IntList ? Type::Int : Type::Float);
    if (!value) return std::nullopt;
    list.push_back(std::move(*value));
  }
  return Value(std::move(list));
}

std::optional<Value> string_list(const Node& node) {
  List list;
  for (const auto& item : node.items) {
    if (item.kind != Node::Kind::String) return std::nullopt;
    list.emplace_back(item.text);
  }
  return Value(std::move(list));
}

/// The value if the node has the parameter's type.
std::optional<Value> typed(const Node& node, const Parameter& p) {
  switch (p.type) {
    case Type::Bool:
      if (node.kind == Node::Kind::Bool) return Value(node.boolean);
      break;
    case Type::Int:
    case Type::Float:
      return number(node, p.type);
    case Type::String:
      if (node.kind == Node::Kind::String) return Value(node.text);
      break;
    case Type::IntList:
    case Type::FloatList:
      if (node.kind == Node::Kind::Array) return number_list(node, p.type);
      break;
    case Type::StringList:
      if (node.kind == Node::Kind::Array) return string_list(node);
      break;
    case Type::File:
    case Type::Selection:
    case Type::Reference:
      break;
    case Type::At:
      if (const auto at = moment(node))
        return Value(at->is_string() ? at->get<std::string>() : at->dump());
      break;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Value> coerce(const Node& node, const Parameter& p, const std::string& path,
                            const std::filesystem::path& folder, Problems& problems) {
  if (p.type == Type::File && node.kind == Node::Kind::String) {
    return file(node, path, folder, problems);
  }
  // Where references vary, one of them may be none.
  if (p.type == Type::Reference && node.kind == Node::Kind::String && node.text.empty())
    return Value("");
  if (p.type == Type::Reference && node.kind == Node::Kind::Table) {
    return reference(node, path, folder, problems);
  }
  if (p.type == Type::Selection && node.kind == Node::Kind::Table) {
    const auto json = selection(node, problems);
    return json ? std::optional<Value>(json->dump()) : std::nullopt;
  }
  auto value = typed(node, p);
  if (!value) {
    problems.error(node.place, fmt::format("\"{}\" must be {}, not {}", path, name_of(p.type),
                                           name_of(node.kind)));
    return std::nullopt;
  }
  if (const auto wrong = out_of_range(*value, p); !wrong.empty()) {
    problems.error(node.place, fmt::format("\"{}\": {}", path, wrong),
                   p.choices.empty() || !value->is_string()
                       ? std::string()
                       : suggestion(value->as_string(), p.choices));
    return std::nullopt;
  }
  return value;
}

}  // namespace perturb
