#include "cli/descriptions.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/wording.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string type_name(Type type) {
  switch (type) {
    case Type::Bool:
      return "true or false";
    case Type::Int:
      return "integer";
    case Type::Float:
      return "float";
    case Type::String:
      return "string";
    case Type::IntList:
      return "list of integers";
    case Type::FloatList:
      return "list of floats";
    case Type::StringList:
      return "list of strings";
    case Type::File:
      return "path of a file";
    case Type::Selection:
      return "table of condition keys";
    case Type::Reference:
      return "reference to an experiment";
    case Type::At:
      return "end, step or epochs";
  }
  return {};
}

/// "0 < x <= 1", ">= 0", or nothing.
std::string range_text(const Parameter& parameter) {
  const bool low = std::isfinite(parameter.least);
  const bool high = std::isfinite(parameter.most);
  const std::string above = parameter.above_least ? "<" : "<=";
  const std::string below = parameter.below_most ? "<" : "<=";
  if (low && high)
    return fmt::format("{:g} {} x {} {:g}", parameter.least, above, below, parameter.most);
  if (low) return fmt::format("{} {:g}", parameter.above_least ? ">" : ">=", parameter.least);
  if (high) return fmt::format("{} {:g}", below, parameter.most);
  return {};
}

/// TOML's notation, with quotes.
std::string toml(const Value& value) {
  if (value.is_string()) return to_json(value);
  if (!value.is_list()) return display(value);
  std::string all;
  for (const Value& item : value.as_list()) all += (all.empty() ? "" : ", ") + toml(item);
  return "[" + all + "]";
}

/// A cell of a Markdown table.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

std::string heading(const Component& component) {
  return component.name.empty() ? "" : fmt::format("\n### `{}`\n", component.name);
}

/// Choices are shown once, with their default among them.
std::string code(const std::string& text) { return text.empty() ? "" : "`" + text + "`"; }

}  // namespace

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      Family::Task,  Family::Model, Family::Data,         Family::Optimizer, Family::Schedule,
      Family::Train, Family::Seeds, Family::Intervention, Family::Metric,    Family::Plot};
  return all;
}

std::optional<Family> family_from(std::string_view name) {
  std::string wanted = lower(name);
  for (const Family family : families()) {
    const std::string known = lower(name_of(family));
    if (wanted == known || wanted == known + "s") return family;
  }
  return std::nullopt;
}

std::string written_as(const Component& component) {
  switch (component.family) {
    case Family::Intervention:
      return fmt::format("[[interventions]] kind = \"{}\"", component.name);
    case Family::Metric:
      return fmt::format("[[metrics]] kind = \"{}\"", component.name);
    case Family::Plot:
      return fmt::format("[[plots]] kind = \"{}\"", component.name);
    default:
      break;
  }
  for (const Section& section : sections()) {
    if (section.family != component.family) continue;
    return section.has_kind ? fmt::format("[{}] kind = \"{}\"", section.name, component.name)
                            : fmt::format("[{}]", section.name);
  }
  return component.name;
}

std::string type_text(const Parameter& parameter) {
  std::string text = type_name(parameter.type);
  if (!parameter.choices.empty()) {
    text = "one of ";
    for (std::size_t i = 0; i < parameter.choices.size(); ++i)
      text += (i > 0 ? ", " : "") + parameter.choices[i];
  }
  if (const std::string range = range_text(parameter); !range.empty()) text += ", " + range;
  if (!parameter.unit.empty()) text += ", in " + parameter.unit;
  return text;
}

std::string default_text(const Parameter& parameter) {
  return parameter.fallback ? toml(*parameter.fallback) : "needed";
}

std::string describe(const Component& component, bool color, std::size_t width) {
  const std::size_t columns = width == 0 ? 100 : std::max<std::size_t>(width, 40);
  std::string all =
      inked(component.name.empty() ? name_of(component.family) : component.name, Ink::Bold, color) +
      fmt::format("  {}\n", inked(written_as(component), Ink::Faint, color));
  for (const std::string& line : wrapped(component.help, columns - 2)) all += "  " + line + "\n";
  if (component.plugin)
    all += fmt::format("  from plugin {} (sha256 {})\n", printable(component.plugin->file),
                       component.plugin->digest.brief());
  for (const Parameter& parameter : component.parameters) {
    all += fmt::format("\n  {} = {}   {}\n", inked(parameter.name, Ink::Bold, color),
                       default_text(parameter), inked(type_text(parameter), Ink::Faint, color));
    for (const std::string& line : wrapped(parameter.help, columns - 6))
      all += "      " + line + "\n";
  }
  return all;
}

std::string markdown(const Schema& schema, Family family) {
  std::string all;
  for (const Component* component : schema.all(family)) {
    all += heading(*component) + "\n" + component->help + "\n";
    if (component->parameters.empty()) continue;
    all += "\n| key | type | default | meaning |\n|---|---|---|---|\n";
    for (const Parameter& parameter : component->parameters) {
      const std::string fallback = parameter.fallback ? code(default_text(parameter)) : "needed";
      all += fmt::format("| `{}` | {} | {} | {} |\n", parameter.name, cell(type_text(parameter)),
                         cell(fallback), cell(parameter.help));
    }
  }
  return all;
}

std::string to_json(const Component& component) {
  nlohmann::json parameters = nlohmann::json::array();
  for (const Parameter& parameter : component.parameters) {
    nlohmann::json one = {{"name", parameter.name},
                          {"type", type_text(parameter)},
                          {"help", parameter.help},
                          {"unit", parameter.unit},
                          {"needed", !parameter.fallback}};
    if (parameter.fallback) one["default"] = nlohmann::json::parse(to_json(*parameter.fallback));
    if (!parameter.choices.empty()) one["choices"] = parameter.choices;
    parameters.push_back(std::move(one));
  }
  nlohmann::json all = {{"family", name_of(component.family)},
                        {"name", component.name},
                        {"help", component.help},
                        {"revision", component.revision},
                        {"written", written_as(component)},
                        {"plugin", nullptr},
                        {"parameters", parameters}};
  if (component.plugin)
    all["plugin"] = {{"file", component.plugin->file}, {"sha256", component.plugin->digest.hex()}};
  return all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace perturb
