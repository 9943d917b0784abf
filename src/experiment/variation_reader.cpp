#include "experiment/variation_reader.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "experiment/override_reader.h"

namespace perturb {
namespace {

Axis read_any_of(Reading& reading, const Node& node);

/// The keys of a table multiplied (or zipped), with `any_of` as one more axis.
std::vector<Axis> read_product(Reading& reading, const Node& entry, bool inside_any_of) {
  std::vector<Key> keys;
  Node plain = entry;
  std::erase_if(plain.entries, [](const Entry& e) { return e.key == "zip" || e.key == "any_of"; });
  each_field(
      reading, plain, "", [&](const std::string& path, const Place& place, const Node& node) {
        if (!inside_any_of) note_varied(reading, path, place);
        const auto* parameter = reading.fields.find(path);
        const auto found = std::find_if(reading.overrides.begin(), reading.overrides.end(),
                                        [&](const Override& one) { return one.path == path; });
        if (found == reading.overrides.end()) {
          keys.push_back(
              {path, place, read_levels(node, *parameter, path, reading.folder, reading.problems)});
          return;
        }
        if (inside_any_of) {
          reading.problems.error(
              found->place,
              fmt::format("\"{}\" varies inside any_of, so no single override can replace it",
                          path),
              "change it in the file");
        }
        reading.overridden.insert(path);
        keys.push_back(
            {path, place,
             read_levels(levels_node(*found), *parameter, path, reading.folder, reading.problems)});
      });
  const bool zip = read_zip(reading, entry);
  auto axes = axes_of(std::move(keys), zip, entry.place, reading.problems);
  if (const auto* any_of = entry.find("any_of")) {
    if (inside_any_of) {
      reading.problems.error(any_of->place, "any_of inside any_of",
                             "list the sub-grids side by side");
    } else {
      axes.push_back(read_any_of(reading, *any_of));
    }
  }
  return axes;
}

Axis read_any_of(Reading& reading, const Node& node) {
  Axis axis;
  if (node.kind != Node::Kind::Array || node.items.empty()) {
    reading.problems.error(node.place, "any_of takes a list of tables",
                           "write any_of = [{ ... }, { ... }]");
    return axis;
  }
  std::map<std::string, Place> all;
  for (const auto& item : node.items) {
    if (item.kind != Node::Kind::Table) {
      reading.problems.error(item.place,
                             fmt::format("any_of takes tables, not {}", name_of(item.kind)));
      continue;
    }
    Grid grid{read_product(reading, item, true)};
    if (grid.size() > kGridLimit || axis.choices.size() + grid.size() > kGridLimit) {
      reading.problems.error(item.place, fmt::format("any_of has more than {} points", kGridLimit));
      return axis;
    }
    for (std::size_t i = 0; i < grid.size(); ++i) {
      Choice choice;
      for (const auto* setting : grid.at(i)) choice.push_back(*setting);
      axis.choices.push_back(std::move(choice));
    }
    for (const auto& path : grid.paths()) all.emplace(path, item.place);
  }
  for (const auto& [path, place] : all) note_varied(reading, path, place);
  return axis;
}

}  // namespace

void read_variation(Reading& reading, const Node& entry) {
  const auto axes = read_product(reading, entry, false);
  for (const auto& axis : axes) reading.out.variations.axes.push_back(axis);
}

}  // namespace perturb
