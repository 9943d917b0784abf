#include "experiment/component_reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace perturb {

const Component* component_of(const Reading& reading, const Node& entry, Family family) {
  const auto* kind = entry.find("kind");
  if (!kind || kind->kind != Node::Kind::String) {
    reading.problems.error(kind ? kind->place : entry.place,
                           fmt::format("a {} needs a kind", name_of(family)),
                           suggestion("", reading.fields.schema().names(family)));
    return nullptr;
  }
  const auto* component = reading.fields.schema().find(family, kind->text);
  if (!component) {
    reading.problems.error(kind->place,
                           fmt::format("there is no {} \"{}\"", name_of(family), kind->text),
                           suggestion(kind->text, reading.fields.schema().names(family)));
  }
  return component;
}

bool read_parameters(Reading& reading, const Node& entry, const Component& component,
                     const std::vector<std::string>& extra,
                     std::map<std::string, Value>& parameters) {
  const auto before = reading.problems.errors.size();
  for (const auto& p : component.parameters) {
    if (p.fallback) parameters[p.name] = *p.fallback;
  }
  for (const auto& [key, place, value] : entry.entries) {
    if (key == "kind" || std::find(extra.begin(), extra.end(), key) != extra.end()) continue;
    if (const auto* p = component.find(key)) {
      if (auto typed = coerce(value, *p, key, reading.folder, reading.problems))
        parameters[key] = std::move(*typed);
    } else {
      auto own = extra;
      own.push_back("kind");
      for (const auto& each : component.parameters) own.push_back(each.name);
      reading.problems.error(place,
                             fmt::format("{} \"{}\" has no parameter \"{}\"",
                                         name_of(component.family), component.name, key),
                             suggestion(key, own));
    }
  }
  for (const auto& p : component.parameters) {
    if (!parameters.contains(p.name) && reading.problems.errors.size() == before) {
      reading.problems.error(
          entry.place,
          fmt::format("{} \"{}\" needs \"{}\"", name_of(component.family), component.name, p.name),
          p.help);
    }
  }
  if (reading.problems.errors.size() != before) return false;
  if (component.check) {
    if (const auto wrong = component.check(parameters); !wrong.empty()) {
      reading.problems.error(entry.place, wrong);
      return false;
    }
  }
  if (component.unsupported) {
    if (const auto reason = component.unsupported(parameters); !reason.empty()) {
      // A plot that is not drawn costs no result; anything else would.
      const bool harmless = component.family == Family::Plot;
      if (harmless) {
        reading.problems.warning(entry.place, reason);
      } else {
        reading.out.unsupported.push_back({entry.place, reason, {}, false});
      }
    }
  }
  return true;
}

}  // namespace perturb
