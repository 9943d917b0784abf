#include "experiment/reading.h"

#include <algorithm>

#include <fmt/format.h>

namespace perturb {

std::string section_of(const std::string& path) { return path.substr(0, path.find('.')); }

std::string key_of(const std::string& path) { return path.substr(path.find('.') + 1); }

const Section* find_section(std::string_view name) {
  for (const auto& section : sections()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

void each_table(const Reading& reading, const Node& root, const std::string& key,
                const std::function<void(const Node&)>& read) {
  const auto* node = root.find(key);
  if (!node) return;
  if (node->kind != Node::Kind::Array) {
    reading.problems.error(node->place, fmt::format("\"{}\" is a list of tables", key),
                           fmt::format("write [[{}]] with two brackets", key));
    return;
  }
  for (const auto& item : node->items) {
    if (item.kind == Node::Kind::Table) {
      read(item);
    } else {
      reading.problems.error(item.place, fmt::format("an entry of \"{}\" must be a table, not {}",
                                                     key, name_of(item.kind)));
    }
  }
}

void each_field(const Reading& reading, const Node& table, const std::string& prefix,
                const std::function<void(const std::string&, const Place&, const Node&)>& leaf) {
  for (const auto& [key, place, value] : table.entries) {
    const auto path = prefix.empty() ? key : prefix + "." + key;
    if (reading.fields.find(path)) {
      leaf(path, place, value);
    } else if (prefix.empty() && find_section(key) && value.kind == Node::Kind::Table) {
      each_field(reading, value, key, leaf);
    } else if (prefix.empty() && find_section(key)) {
      reading.problems.error(
          place, fmt::format("\"{}\" is a section: one of its keys can have levels", key),
          fmt::format("write for instance {}.kind = [...], or any_of = [{{...}}, {{...}}] for "
                      "several keys together",
                      key));
    } else {
      say_unknown(reading, path, place);
    }
  }
}

void say_unknown(const Reading& reading, const std::string& path, const Place& place) {
  // Within a known section only its own keys are near.
  std::vector<std::string> candidates;
  for (const auto& known : reading.fields.paths()) {
    if (section_of(known) == section_of(path)) candidates.push_back(known);
  }
  if (candidates.empty()) {
    candidates = reading.fields.paths();
    for (const auto& section : sections()) candidates.emplace_back(section.name);
  }
  reading.problems.error(place, fmt::format("unknown key \"{}\"", path),
                         suggestion(path, candidates));
}

bool read_zip(const Reading& reading, const Node& entry) {
  const auto* node = entry.find("zip");
  if (!node) return false;
  if (node->kind == Node::Kind::Bool) return node->boolean;
  reading.problems.error(node->place,
                         fmt::format("\"zip\" must be true or false, not {}", name_of(node->kind)));
  return false;
}

void note_varied(Reading& reading, const std::string& path, const Place& place) {
  const auto [at, fresh] = reading.varied.emplace(path, place);
  if (fresh) return;
  reading.problems.error(place, fmt::format("\"{}\" varies twice", path),
                         fmt::format("it already varies in line {} of {}", at->second.line,
                                     at->second.source ? at->second.source->name : ""));
}

}  // namespace perturb
