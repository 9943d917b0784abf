#include "experiment/plot_reader.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "experiment/component_reader.h"
#include "perturb/core/name_pattern.h"
#include "perturb/experiment/noise_curve.h"

namespace perturb {
namespace {

bool check_varies(const Reading& reading, const std::string& factor, const Place& place) {
  std::vector<std::string> vary;
  for (const auto& [path, where] : reading.varied) vary.push_back(path);
  for (const auto& entered : reading.out.interventions) {
    for (const auto& axis : entered.grid.axes) {
      for (const auto& choice : axis.choices) {
        for (const auto& setting : choice) {
          if (setting.path != "when") vary.push_back(factor_name(entered, setting));
        }
      }
    }
  }
  if (std::find(vary.begin(), vary.end(), factor) != vary.end()) return true;
  reading.problems.error(place, fmt::format("\"{}\" does not vary in this experiment", factor),
                         suggestion(factor, vary));
  return false;
}

/// What a plot names must be there.
void check_selected(const Reading& reading, const std::string& text, Selects selects,
                    const Place& place) {
  if (text.empty()) return;
  if (selects == Selects::Factor) {
    check_varies(reading, text, place);
    return;
  }
  std::vector<std::string> labels;
  for (const auto& metric : reading.out.metrics) {
    if (metric.every.kind != Every::Kind::Never) labels.push_back(metric.label);
  }
  const bool there = std::any_of(labels.begin(), labels.end(), [&](const std::string& label) {
    return label == text || (selects == Selects::Metrics && matches(text, label));
  });
  // A noise curve is several metrics under one name, which need be none of theirs.
  const std::vector<NoiseCurve> curves = noise_curves(reading.out.metrics);
  if (selects == Selects::Metrics &&
      std::ranges::find(curves, text, &NoiseCurve::name) != curves.end())
    return;
  if (!there) {
    reading.problems.error(place, fmt::format("no metric \"{}\" is measured", text),
                           suggestion(text, labels));
  }
}

void read_average(Reading& reading, const Node& item, PlotSpec& spec) {
  if (check_varies(reading, item.text, item.place)) spec.average_over.push_back(item.text);
}

}  // namespace

void read_plot(Reading& reading, const Node& entry) {
  const auto* component = component_of(reading, entry, Family::Plot);
  if (!component) return;
  PlotSpec spec;
  spec.kind = component->name;
  if (!read_parameters(reading, entry, *component, {"average_over"}, spec.parameters)) return;
  for (const auto& [name, value] : spec.parameters) {
    const Selects selects = component->find(name)->selects;
    const auto* node = entry.find(name);
    const Place& place = node ? node->place : entry.place;
    if (!value.is_list() && selects != Selects::Nothing)
      check_selected(reading, value.as_string(), selects, place);
    if (!value.is_list() || selects == Selects::Nothing) continue;
    for (std::size_t i = 0; i < value.as_list().size(); ++i)
      check_selected(reading, value.as_list()[i].as_string(), selects,
                     node ? node->items[i].place : place);
  }
  if (const auto* over = entry.find("average_over")) {
    if (over->kind != Node::Kind::Array) {
      reading.problems.error(over->place, "\"average_over\" is a list of keys that vary");
    } else {
      for (const auto& item : over->items) read_average(reading, item, spec);
    }
  }
  reading.out.plots.push_back(std::move(spec));
}

}  // namespace perturb
