#include "experiment/override_reader.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "experiment/base_reader.h"

namespace perturb {

void read_overrides(Reading& reading, const std::vector<std::string>& texts) {
  for (const auto& each : texts) {
    auto one = parse_override(each, reading.problems.errors);
    if (one.values.empty()) continue;
    if (!reading.fields.find(one.path)) {
      say_unknown(reading, one.path, one.place);
      continue;
    }
    const bool twice = std::any_of(reading.overrides.begin(), reading.overrides.end(),
                                   [&](const Override& other) { return other.path == one.path; });
    if (twice)
      reading.problems.error(one.place, fmt::format("\"{}\" is overridden twice", one.path));
    reading.overrides.push_back(std::move(one));
  }
}

Node levels_node(const Override& one) {
  if (one.values.size() == 1) return one.values.front();
  Node each;
  each.kind = Node::Kind::Array;
  each.place = one.values.front().place;
  each.items = one.values;
  Node table;
  table.place = each.place;
  table.entries.push_back({"each", each.place, std::move(each)});
  return table;
}

void finish_overrides(Reading& reading) {
  for (const auto& one : reading.overrides) {
    if (reading.overridden.contains(one.path)) continue;
    const auto* parameter = reading.fields.find(one.path);
    const auto& first = one.values.front();
    const bool levels =
        one.values.size() > 1 || (first.kind == Node::Kind::Table && !is_table(parameter->type));
    if (levels) {
      Key key{
          one.path, one.place,
          read_levels(levels_node(one), *parameter, one.path, reading.folder, reading.problems)};
      note_varied(reading, one.path, one.place);
      for (auto& axis : axes_of({std::move(key)}, false, one.place, reading.problems)) {
        reading.out.variations.axes.push_back(std::move(axis));
      }
    } else if (auto value = coerce(first, *parameter, one.path, reading.folder, reading.problems)) {
      if (const auto* section = find_section(section_of(one.path))) {
        note_unsupported(reading, *section, nullptr, key_of(one.path), *value, first.place);
      }
      reading.out.base[one.path] = {std::move(*value), one.place};
    }
  }
}

}  // namespace perturb
