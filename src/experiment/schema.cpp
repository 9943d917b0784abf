#include "perturb/experiment/schema.h"

#include <algorithm>
#include <cassert>

namespace perturb {

const Parameter* Component::find(std::string_view parameter) const {
  for (const auto& p : parameters) {
    if (p.name == parameter) return &p;
  }
  return nullptr;
}

std::string Component::version() const {
  return std::to_string(revision) + (plugin ? " of plugin " + plugin->digest.hex() : "");
}

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"task", Family::Task, true, "task.kind"},
      {"model", Family::Model, true, "model.kind"},
      {"data", Family::Data, true, "data.kind"},
      {"optimizer", Family::Optimizer, true, "optimizer.kind"},
      {"schedule", Family::Schedule, true, "schedule.kind"},
      {"train", Family::Train, false, ""},
      {"seeds", Family::Seeds, false, ""},
  };
  return all;
}

std::string_view name_of(Feature feature) {
  switch (feature) {
    case Feature::Weights:
      return "weights";
    case Feature::Gradients:
      return "gradients";
    case Feature::Activations:
      return "activations";
    case Feature::Examples:
      return "training examples";
    case Feature::Labels:
      return "labels";
    case Feature::Loss:
      return "a loss of parameters and examples alone";
    case Feature::Predictions:
      return "predictions of classes";
    case Feature::Samples:
      return "samples of a generator";
    case Feature::Critic:
      return "a critic that is carried along";
    case Feature::Networks:
      return "networks that it generates";
  }
  assert(false && "every feature has a name");
  return {};
}

std::string_view name_of(Family family) {
  switch (family) {
    case Family::Task:
      return "task";
    case Family::Model:
      return "model";
    case Family::Data:
      return "data";
    case Family::Optimizer:
      return "optimizer";
    case Family::Schedule:
      return "schedule";
    case Family::Train:
      return "train";
    case Family::Seeds:
      return "seeds";
    case Family::Intervention:
      return "intervention";
    case Family::Metric:
      return "metric";
    case Family::Plot:
      return "plot";
  }
  return "";
}

void Schema::add(Component component) {
  assert(!find(component.family, component.name));
  components_[component.family].push_back(std::move(component));
}

const Component* Schema::find(Family family, std::string_view name) const {
  const auto found = components_.find(family);
  if (found == components_.end()) return nullptr;
  for (const auto& component : found->second) {
    if (component.name == name) return &component;
  }
  return nullptr;
}

std::vector<const Component*> Schema::all(Family family) const {
  std::vector<const Component*> out;
  if (const auto found = components_.find(family); found != components_.end()) {
    for (const auto& component : found->second) out.push_back(&component);
  }
  return out;
}

std::vector<std::string> Schema::names(Family family) const {
  std::vector<std::string> out;
  for (const auto* component : all(family)) out.push_back(component->name);
  return out;
}

const Parameter* Schema::parameter(const Condition& condition, std::string_view path) const {
  const auto dot = path.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const auto section_name = path.substr(0, dot);
  for (const auto& section : sections()) {
    if (section.name != section_name) continue;
    const Component* component = nullptr;
    if (section.has_kind) {
      const auto* kind = condition.find(section.kind_path);
      if (kind) component = find(section.family, kind->as_string());
    } else {
      component = find(section.family, "");
    }
    return component ? component->find(path.substr(dot + 1)) : nullptr;
  }
  return nullptr;
}

}  // namespace perturb
