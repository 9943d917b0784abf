#include "perturb/plugin/plugin.h"

#include <string>
#include <utility>

#include <fmt/format.h>

namespace perturb {

namespace {

[[noreturn]] void refuse(const Component& component, const std::string& what,
                         const std::string& advice) {
  throw Error(ExitCode::Usage,
              fmt::format("the {} \"{}\" {}", name_of(component.family), component.name, what),
              advice);
}

bool is_name(std::string_view text, std::string_view more) {
  const auto fits = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || more.find(c) != more.npos;
  };
  return !text.empty() && text.size() <= 60 && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), fits);
}

bool all_of(const Value& value, bool (Value::*is)() const) {
  return value.is_list() && std::all_of(value.as_list().begin(), value.as_list().end(),
                                        [&](const Value& item) { return (item.*is)(); });
}

bool fits(const Value& value, Type type) {
  switch (type) {
    case Type::Bool:
      return value.is_bool();
    case Type::Int:
      return value.is_int();
    case Type::Float:
      return value.is_number();
    case Type::IntList:
      return all_of(value, &Value::is_int);
    case Type::FloatList:
      return all_of(value, &Value::is_number);
    case Type::StringList:
      return all_of(value, &Value::is_string);
    case Type::String:
    case Type::File:
    case Type::Selection:
    case Type::Reference:
    case Type::At:
      return value.is_string();
  }
  return false;
}

/// 1 and 1.0 are one value of a float, and so have to be one here: identity tells them apart.
void make_floats(Value& value) {
  if (value.is_int()) value = Value(value.as_float());
  if (!value.is_list()) return;
  List items = value.as_list();
  for (Value& item : items) make_floats(item);
  value = Value(std::move(items));
}

/// Keys that an entry of the file has whatever its kind.
bool is_taken(Family family, std::string_view name) {
  if (name == "kind") return true;
  if (family == Family::Metric) return name == "every";
  if (family == Family::Plot) return name == "average_over";
  if (family == Family::Intervention)
    return name == "when" || name == "set" || name == "zip" || name == "alone" ||
           name == "together";
  return false;
}

void settle(Component& component) {
  std::vector<std::string> names;
  for (Parameter& parameter : component.parameters) {
    const std::string& name = parameter.name;
    if (!is_name(name, "_"))
      refuse(component, fmt::format("has a parameter called \"{}\"", name),
             "names of parameters are lower case letters, digits and underscores");
    if (is_taken(component.family, name) ||
        std::find(names.begin(), names.end(), name) != names.end())
      refuse(component, fmt::format("has a parameter \"{}\" that is there already", name),
             "give it another name");
    names.push_back(name);
    if (parameter.help.empty())
      refuse(component, fmt::format("has a parameter \"{}\" without help", name),
             "say in a sentence what it does: .help = \"...\"");
    for (auto* value : {&parameter.fallback, &parameter.neutral}) {
      if (!*value) continue;
      if (!fits(**value, parameter.type))
        refuse(component,
               fmt::format("has a parameter \"{}\" whose default or neutral value is "
                           "of another type than it",
                           name),
               "mend .fallback, .neutral or .type");
      if (parameter.type == Type::Float || parameter.type == Type::FloatList) make_floats(**value);
    }
  }
}

template <class Factory>
void copy(const Registry<Factory>& from, Registry<Factory>& to) {
  for (const std::string& name : from.names()) to.add(name, from.at(name));
}

}  // namespace

template <class Factory>
void Plugin::add(Family family, Component&& description, Registry<Factory>& factories,
                 Factory&& factory) {
  description.family = family;
  if (!is_name(description.name, "-"))
    refuse(description, "cannot be named so in a file",
           "names are lower case letters, digits and hyphens: .name = \"largest-weight\"");
  if (description.help.empty())
    refuse(description, "has no help", "say in a sentence what it is: .help = \"...\"");
  if (!factory)
    refuse(description, "is described, but has no factory",
           "give a function that makes it beside the description");
  for (const Component& other : components_) {
    if (other.family == family && other.name == description.name)
      refuse(description, "is described twice", "give one of them another name");
  }
  settle(description);
  factories.add(description.name, std::move(factory));
  components_.push_back(std::move(description));
}

void Plugin::task(Component description, TaskFactory factory) {
  add(Family::Task, std::move(description), factories_.tasks, std::move(factory));
}

void Plugin::model(Component description, ModelFactory factory) {
  add(Family::Model, std::move(description), factories_.models, std::move(factory));
}

void Plugin::data_set(Component description, DatasetFactory factory) {
  description.family = Family::Data;
  if (!description.facts)
    refuse(description, "does not say how many examples it has",
           "planning counts steps without loading data: .facts = [](const Condition&, const "
           "auto& folders) { return DataFacts{.train = ..., .test = ...}; }");
  description.parameters = data_parameters(std::move(description.parameters));
  add(Family::Data, std::move(description), factories_.data_sets, std::move(factory));
}

void Plugin::optimizer(Component description, OptimizerFactory factory) {
  add(Family::Optimizer, std::move(description), factories_.optimizers, std::move(factory));
}

void Plugin::schedule(Component description, ScheduleFactory factory) {
  add(Family::Schedule, std::move(description), factories_.schedules, std::move(factory));
}

void Plugin::intervention(Component description, InterventionFactory factory) {
  add(Family::Intervention, std::move(description), factories_.interventions, std::move(factory));
}

void Plugin::metric(Component description, MetricFactory factory) {
  add(Family::Metric, std::move(description), factories_.metrics, std::move(factory));
}

void Plugin::plot(Component description, Plotter plotter) {
  add(Family::Plot, std::move(description), plotters_, std::move(plotter));
}

bool Plugin::trains() const {
  return std::any_of(components_.begin(), components_.end(),
                     [](const Component& component) { return component.family != Family::Plot; });
}

void Plugin::add_to(Schema& schema, const std::optional<Origin>& origin) const {
  for (const Component& component : components_) {
    const Component* taken = schema.find(component.family, component.name);
    if (!taken) continue;
    refuse(component,
           taken->plugin ? fmt::format("is that of {} already", taken->plugin->file)
                         : std::string("is built in already"),
           "give it another name in the plugin");
  }
  for (Component component : components_) {
    component.plugin = origin;
    schema.add(std::move(component));
  }
}

void Plugin::add_to(Registries& registries) const {
  copy(factories_.tasks, registries.tasks);
  copy(factories_.models, registries.models);
  copy(factories_.data_sets, registries.data_sets);
  copy(factories_.optimizers, registries.optimizers);
  copy(factories_.schedules, registries.schedules);
  copy(factories_.interventions, registries.interventions);
  copy(factories_.metrics, registries.metrics);
}

void Plugin::add_to(Registry<Plotter>& plotters) const { copy(plotters_, plotters); }

}  // namespace perturb
