#include "experiment/metric_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "experiment/component_reader.h"
#include "experiment/every_reader.h"

namespace perturb {
namespace {

/// A trial of an experiment is measured by all of its metrics.
constexpr std::size_t kMostMetrics = 1000;

std::string label_of(const Component& component, const std::map<std::string, Value>& parameters) {
  std::string label = component.label.empty() ? component.name : component.label;
  std::string rest;
  for (const auto& [name, value] : parameters) {
    const auto hole = "{" + name + "}";
    if (const auto at = label.find(hole); at != std::string::npos) {
      label.replace(at, hole.size(), display(value));
    } else if (const auto* p = component.find(name); p && p->fallback != value) {
      rest += (rest.empty() ? "" : ",") + name + "=" + display(value);
    }
  }
  return rest.empty() ? label : label + "[" + rest + "]";
}

std::string plugin_of(const Component& component) {
  return component.plugin ? component.plugin->digest.hex() : std::string();
}

/// Whether it can be measured whichever task a trial is of.
bool every_task_has(const Reading& reading, const std::vector<Feature>& needs) {
  std::set<std::string> kinds;
  constexpr auto kTask = "task.kind";
  if (const auto base = reading.out.base.find(kTask); base != reading.out.base.end())
    kinds.insert(base->second.value.as_string());
  for (const auto& axis : reading.out.variations.axes) {
    for (const auto& choice : axis.choices) {
      for (const auto& setting : choice) {
        if (setting.path == kTask && setting.level.kind == Level::Kind::Value)
          kinds.insert(setting.level.value.as_string());
      }
    }
  }
  return std::ranges::all_of(kinds, [&](const std::string& kind) {
    const auto* task = reading.fields.schema().find(Family::Task, kind);
    return !task || std::ranges::all_of(needs, [&](Feature feature) {
      return std::ranges::find(task->has, feature) != task->has.end();
    });
  });
}

Node node_of(const Value& value, const Place& place) {
  Node node;
  node.place = place;
  if (value.is_list()) {
    node.kind = Node::Kind::Array;
    for (const auto& item : value.as_list()) node.items.push_back(node_of(item, place));
  } else if (value.is_bool()) {
    node.kind = Node::Kind::Bool;
    node.boolean = value.as_bool();
  } else if (value.is_int()) {
    node.kind = Node::Kind::Int;
    node.integer = value.as_int();
  } else if (value.is_float()) {
    node.kind = Node::Kind::Float;
    node.number = value.as_float();
  } else {
    node.kind = Node::Kind::String;
    node.text = value.as_string();
  }
  return node;
}

/// The entry once for every combination of its parameters' levels: each is a metric of its own.
std::vector<Node> each_level(const Reading& reading, const Node& entry,
                             const Component& component) {
  std::vector<Node> all = {entry};
  for (std::size_t i = 0; i < entry.entries.size(); ++i) {
    const auto& [key, place, value] = entry.entries[i];
    const auto* p = component.find(key);
    if (!p || (value.kind != Node::Kind::Array && value.kind != Node::Kind::Table)) continue;
    const auto levels = read_levels(value, *p, key, reading.folder, reading.problems);
    std::vector<Node> product;
    for (const auto& one : all) {
      for (const auto& level : levels) {
        product.push_back(one);
        product.back().entries[i].value = node_of(level.value, level.place);
      }
    }
    if (std::any_of(levels.begin(), levels.end(),
                    [](const Level& level) { return level.kind != Level::Kind::Value; })) {
      reading.problems.error(place,
                             fmt::format("\"{}\" of a metric has nothing that its levels could "
                                         "be relative to",
                                         key));
      return {};
    }
    all = std::move(product);
    if (all.size() > kMostMetrics) {
      reading.problems.error(entry.place, fmt::format("more than {} metrics", kMostMetrics));
      return {};
    }
  }
  return all;
}

void read_metric(Reading& reading, const Node& entry, const Component& component) {
  MetricSpec spec;
  spec.kind = component.name;
  spec.revision = component.revision;
  spec.plugin = plugin_of(component);
  spec.better = component.better;
  if (const auto* every = entry.find("every")) read_every(*every, spec.every, reading.problems);
  if (!read_parameters(reading, entry, component, {"every"}, spec.parameters)) return;
  spec.label = label_of(component, spec.parameters);
  for (const auto& p : component.parameters) {
    if (p.neutral && p.neutral == spec.parameters.at(p.name)) spec.neutral.push_back(p.name);
  }
  const bool twice = std::any_of(reading.out.metrics.begin(), reading.out.metrics.end(),
                                 [&](const MetricSpec& m) { return m.label == spec.label; });
  if (twice) {
    reading.problems.error(entry.place, fmt::format("metric \"{}\" is listed twice", spec.label));
    return;
  }
  reading.out.metrics.push_back(std::move(spec));
  reading.out.metric_places.push_back(entry.place);
}

}  // namespace

void read_metrics(Reading& reading, const Node& root) {
  each_table(reading, root, "metrics", [&](const Node& entry) {
    const auto* component = component_of(reading, entry, Family::Metric);
    if (!component) return;
    for (const auto& one : each_level(reading, entry, *component))
      read_metric(reading, one, *component);
  });
  // What everybody looks at first, unless the file says otherwise about the same label.
  for (const auto* on : {"train", "test"}) {
    for (const auto* kind : {"loss", "accuracy"}) {
      const auto* component = reading.fields.schema().find(Family::Metric, kind);
      if (!component || !every_task_has(reading, component->needs)) continue;
      MetricSpec spec = {
          .kind = kind,
          .parameters = {{"on", on}},
          .label = label_of(*component, {{"on", on}}),
          .every = {},
          .revision = component->revision,
          .plugin = plugin_of(*component),
          .better = component->better,
      };
      const bool listed = std::any_of(reading.out.metrics.begin(), reading.out.metrics.end(),
                                      [&](const MetricSpec& m) { return m.label == spec.label; });
      if (listed) continue;
      reading.out.metrics.push_back(std::move(spec));
      reading.out.metric_places.push_back(root.place);
    }
  }
}

}  // namespace perturb
