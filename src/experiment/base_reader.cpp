#include "experiment/base_reader.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace perturb {
namespace {

const Component* own_kind(const Reading& reading, const Section& section, const Node& table) {
  if (!section.has_kind) return reading.fields.schema().find(section.family, "");
  const auto* kind = table.find("kind");
  const auto name = kind && kind->kind == Node::Kind::String
                        ? kind->text
                        : std::string(default_kind(section.family));
  return reading.fields.schema().find(section.family, name);
}

const Component* overriding_kind(const Reading& reading, const Section& section) {
  for (const auto& one : reading.overrides) {
    if (one.path == section.kind_path)
      return reading.fields.schema().find(section.family, one.values.front().text);
  }
  return nullptr;
}

void read_base_field(Reading& reading, const Section& section, const Component* component,
                     const std::string& key, const Place& place, const Node& value) {
  const auto path = fmt::format("{}.{}", section.name, key);
  const auto* parameter = reading.fields.find(path);
  if (!parameter) return say_unknown(reading, path, place);
  if (component && key != "kind" && !component->find(key)) {
    // An override may make the section of a kind that has it.
    if (const auto* other = overriding_kind(reading, section); other && other->find(key))
      component = other;
  }
  if (component && key != "kind" && !component->find(key)) {
    std::vector<std::string> own;
    for (const auto& p : component->parameters) own.push_back(p.name);
    reading.problems.error(
        place, fmt::format("{} \"{}\" has no parameter \"{}\"", section.name, component->name, key),
        nearest(key, own).empty()
            ? fmt::format("it belongs to: {}", reading.fields.kinds_with(path))
            : suggestion(key, own));
    return;
  }
  // The parameter as this kind has it: the same name may have another range elsewhere.
  if (component && key != "kind") parameter = component->find(key);
  if (value.kind == Node::Kind::Table && value.entries.size() == 1 && !is_table(parameter->type)) {
    reading.problems.error(value.place,
                           fmt::format("\"{}\" has one value in the base condition", path),
                           "levels belong under [[variations]] or [[interventions]]");
    return;
  }
  if (auto typed = coerce(value, *parameter, path, reading.folder, reading.problems)) {
    note_unsupported(reading, section, component, key, *typed, value.place);
    reading.out.base[path] = {std::move(*typed), place};
  }
}

}  // namespace

void read_base(Reading& reading, const Node& root) {
  for (const auto& section : sections()) {
    const auto* table = root.find(section.name);
    if (!table) continue;
    if (table->kind != Node::Kind::Table) {
      reading.problems.error(
          table->place,
          fmt::format("\"{}\" must be a table, not {}", section.name, name_of(table->kind)),
          fmt::format("write [{}] on a line of its own", section.name));
      continue;
    }
    const Component* component = own_kind(reading, section, *table);
    for (const auto& [key, place, value] : table->entries) {
      read_base_field(reading, section, component, key, place, value);
    }
  }
}

void note_unsupported(Reading& reading, const Section& section, const Component* component,
                      const std::string& key, const Value& value, const Place& place) {
  if (key == "kind") component = reading.fields.schema().find(section.family, value.as_string());
  if (!component || !component->unsupported) return;
  const auto reason = component->unsupported({{key, value}});
  if (!reason.empty()) reading.out.unsupported.push_back({place, reason, {}, false});
}

}  // namespace perturb
