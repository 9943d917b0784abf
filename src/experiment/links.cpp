// What an experiment goes on from: the references in its file, and whether they hold.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "experiment/state.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr std::string_view kFrom = "model.from";
constexpr std::string_view kNetworks = "data.experiment";

bool has_networks(const Condition& start) { return start.text("data.kind") == "weights"; }

/// Fields that networks which are examples of one data set have in common: what makes them, and
/// what they are scored on. Where a network starts from may differ.
bool is_common(const Schema& schema, const Condition& start, const std::string& path) {
  if (path.starts_with("task.")) return true;
  const auto* parameter = schema.parameter(start, path);
  if (path.starts_with("data.")) return !parameter || !parameter->live;
  return path.starts_with("model.") && !path.starts_with("model.init") &&
         !path.starts_with("model.weights") && path != kFrom;
}

/// The experiments that one needs, and those that these need, by name.
void gather(const std::vector<OtherExperiment>& others,
            std::map<std::string, std::set<std::filesystem::path>>& by_name) {
  for (const auto& [file, experiment] : others) {
    by_name[experiment->name()].insert(std::filesystem::weakly_canonical(file));
    gather(experiment->others(), by_name);
  }
}

std::string missing_from(const std::vector<std::string>& names,
                         const std::vector<std::string>& others) {
  for (const auto& name : names) {
    if (std::find(others.begin(), others.end(), name) == others.end()) return name;
  }
  return {};
}

/// In what the parts of two models differ; empty where they do not, or nobody can tell yet.
std::string misfit(const Schema& schema, const Condition& own, const Condition& theirs) {
  const auto* model = schema.find(Family::Model, own.text("model.kind"));
  const auto* other = schema.find(Family::Model, theirs.text("model.kind"));
  if (!model || !other || !model->parts || !other->parts) return {};
  const auto here = model->parts(own).parameters;
  const auto there = other->parts(theirs).parameters;
  if (const auto name = missing_from(here, there); !name.empty())
    return fmt::format("its {} has no {}", other->name, name);
  if (const auto name = missing_from(there, here); !name.empty())
    return fmt::format("its {} has {}, which this {} has not", other->name, name, model->name);
  return {};
}

}  // namespace

void Experiment::State::open_links(const ExperimentLookup& read, Problems& problems) {
  each_said(std::string(kFrom), [&](const Value& value, const Place& place) {
    if (!value.as_string().empty() && !links.contains(value.as_string()))
      open_link(value.as_string(), place, read, problems);
  });
  each_said(std::string(kNetworks), [&](const Value& value, const Place& place) {
    open_other(value.as_string(), place, read, problems);
  });
  if (!problems.any()) check_names(problems);
}

std::optional<std::size_t> Experiment::State::open_other(const std::filesystem::path& file,
                                                         const Place& place,
                                                         const ExperimentLookup& read,
                                                         Problems& problems) {
  const auto known = std::find_if(others.begin(), others.end(),
                                  [&](const OtherExperiment& other) { return other.file == file; });
  if (known != others.end()) return static_cast<std::size_t>(known - others.begin());
  if (!read) {
    problems.error(place, "another experiment cannot be read from here");
    return std::nullopt;
  }
  try {
    others.push_back({file, read(file)});
  } catch (const InvalidExperiment& invalid) {
    for (const auto& diagnostic : invalid.diagnostics())
      problems.error(diagnostic.place, diagnostic.message, diagnostic.advice);
    return std::nullopt;
  } catch (const Error& error) {
    problems.error(place, error.what(), error.advice());
    return std::nullopt;
  }
  const auto& unsupported = others.back().experiment->unsupported();
  declared.unsupported.insert(declared.unsupported.end(), unsupported.begin(), unsupported.end());
  return others.size() - 1;
}

void Experiment::State::open_link(const std::string& reference, const Place& place,
                                  const ExperimentLookup& read, Problems& problems) {
  const auto other = open_other(Link::file_of(reference), place, read, problems);
  if (!other) return;
  auto link = std::make_unique<Link>(reference, *other, others[*other].experiment);
  if (auto [message, advice] = link->wrong_selection(); !message.empty())
    problems.error(place, std::move(message), std::move(advice));
  if (link->generated()) {
    // What is generated needs the networks as well that generating was learnt from.
    const auto& theirs = link->experiment().others();
    for (const auto& [file, experiment] : theirs) open_other(file, place, read, problems);
  }
  links.emplace(reference, std::move(link));
}

void Experiment::State::check_names(Problems& problems) const {
  if (others.empty()) return;
  std::map<std::string, std::set<std::filesystem::path>> by_name;
  gather(others, by_name);
  Place first;
  for (const auto path : {kFrom, kNetworks}) {
    each_said(std::string(path), [&](const Value&, const Place& place) {
      if (!first.source) first = place;
    });
  }
  for (const auto& [name, files] : by_name) {
    if (files.size() == 1 && name != declared.name) continue;
    problems.error(
        first,
        files.size() > 1
            ? fmt::format("two experiments that this one needs are called \"{}\"", name)
            : fmt::format("this experiment and one that it needs are both called \"{}\"", name),
        "results are kept by name: give each its own");
  }
}

void Experiment::State::check_links(Problems& problems) const {
  if (others.empty()) return;
  // What is wrong with one trial mostly is with many.
  std::set<std::string> wrong;
  std::set<const Selected*> checked;
  const auto check = [&](const Value* value, const Place& place, const Condition& own) {
    if (!value || value->as_string().empty() || wrong.contains(value->as_string())) return;
    const auto before = problems.errors.size();
    check_link(value->as_string(), place, own, problems);
    if (problems.errors.size() > before) wrong.insert(value->as_string());
  };
  for (std::size_t v = 0; v < variations; ++v) {
    const auto point = declared.variations.at(v);
    const auto own = condition(point);
    const auto place_of = [&](std::string_view path) {
      Place place;
      if (const auto base = declared.base.find(std::string(path)); base != declared.base.end())
        place = base->second.place;
      for (const auto* setting : point) {
        if (setting->path == path) place = setting->level.place;
      }
      return place;
    };
    check(own.find(kFrom), place_of(kFrom), own);
    if (const auto* chosen = selected_by(own); chosen && checked.insert(chosen).second)
      check_networks(*chosen, place_of(kNetworks), problems);
    for (const auto& entered : declared.interventions) {
      if (v == 0) check_set_networks(entered, own, problems);
      for (const auto& axis : entered.grid.axes) {
        for (const auto& choice : axis.choices) {
          for (const auto& setting : choice) {
            if (setting.path == "set." + std::string(kFrom))
              check(&setting.level.value, setting.level.place, own);
          }
        }
      }
    }
  }
}

void Experiment::State::check_link(const std::string& reference, const Place& place,
                                   const Condition& own, Problems& problems) const {
  const auto& link = *links.at(reference);
  const auto variation = link.variation(own);
  if (!variation) {
    auto [message, advice] = link.no_match(own);
    return problems.error(place, std::move(message), std::move(advice));
  }
  const auto& there = link.experiment();
  const auto from = link.predecessor(*variation);
  const auto control = there.trial(from.trial);
  if (const auto end = there.end(control); end > 0 && from.step > end) {
    problems.error(place,
                   fmt::format("trial {} of \"{}\" has no step {}: it ends at step {}", from.trial,
                               there.name(), from.step, end),
                   "choose an earlier one with at, or train it longer there: train.epochs");
  }
  check_fit(link, from, place, own, problems);
}

void Experiment::State::check_fit(const Link& link, const Predecessor& from, const Place& place,
                                  const Condition& own, Problems& problems) const {
  const auto& there = link.experiment();
  auto start = there.trial(from.trial).start();
  const auto* task = schema->find(Family::Task, start.text("task.kind"));
  const bool generates = task && std::ranges::count(task->has, Feature::Networks) > 0;
  if (link.generated()) {
    const auto networks = learnt_from(from);
    if (!generates || !networks)
      return problems.error(place,
                            fmt::format("what \"{}\" trained generates no networks", there.name()),
                            "generated = true is for task \"flow-matching\" over networks");
    start = others[networks->front().other].experiment->trial(networks->front().trial).start();
  }
  const auto why = misfit(*schema, own, start);
  if (why.empty()) return;
  problems.error(
      place,
      fmt::format("model \"{}\" cannot begin with what \"{}\" {}: {}", own.text("model.kind"),
                  there.name(), link.generated() ? "generates" : "trained", why),
      generates && !link.generated()
          ? "with generated = true it begins with a network that was generated"
          : "both need the same [model]");
}

const Experiment::State::Selected* Experiment::State::selected_by(const Condition& start) const {
  if (!has_networks(start)) return nullptr;
  const std::filesystem::path file = start.text(kNetworks);
  const auto reference = Link::reference_of(file, start.text("data.at"), start.text("data.select"));
  const std::lock_guard lock(selected_mutex);
  // What is in the map stays there and is never changed.
  if (const auto known = selected.find(reference); known != selected.end()) return &known->second;
  const auto other = std::find_if(others.begin(), others.end(),
                                  [&](const OtherExperiment& one) { return one.file == file; });
  if (other == others.end()) return nullptr;
  auto link = std::make_unique<Link>(reference, static_cast<std::size_t>(other - others.begin()),
                                     other->experiment);
  auto members = std::make_shared<std::vector<Predecessor>>();
  for (const auto variation : link->selected()) members->push_back(link->predecessor(variation));
  return &selected.emplace(reference, Selected{std::move(link), std::move(members)}).first->second;
}

std::shared_ptr<const std::vector<Predecessor>> Experiment::State::networks(
    const Condition& start) const {
  const auto* chosen = selected_by(start);
  return chosen ? chosen->networks : nullptr;
}

void Experiment::State::check_networks(const Selected& chosen, const Place& place,
                                       Problems& problems) const {
  const auto& link = *chosen.link;
  for (const auto& [message, advice] : {link.wrong_selection(), link.wrong_values()}) {
    if (!message.empty()) return problems.error(place, message, advice);
  }
  const auto& there = link.experiment();
  const auto& members = *chosen.networks;
  const auto first = there.trial(members.front().trial);
  if (has_networks(first.start()))
    return problems.error(
        place, fmt::format("what \"{}\" trained learnt from networks itself", there.name()),
        "data of kind \"weights\" are networks that learnt from examples of another kind");
  for (const auto& network : members) {
    const auto control = there.trial(network.trial);
    if (const auto end = there.end(control); end > 0 && network.step > end)
      return problems.error(
          place,
          fmt::format("trial {} of \"{}\" has no step {}: it ends at step {}", network.trial,
                      there.name(), network.step, end),
          "choose an earlier one with at, or train it longer there: train.epochs");
    for (const auto& [path, value] : control.start()) {
      const auto* other = first.start().find(path);
      if (!is_common(*schema, first.start(), path) || (other && *other == value)) continue;
      return problems.error(
          place,
          fmt::format("networks of \"{}\" differ in {}: {} and {}", there.name(), path,
                      other ? display(*other) : "none", display(value)),
          fmt::format("networks that are one data set are made and scored alike; select = "
                      "{{ {} = ... }} chooses among them",
                      path));
    }
  }
}

void Experiment::State::check_set_networks(const Entered& entered, const Condition& own,
                                           Problems& problems) const {
  for (std::size_t i = 0; i < std::min<std::size_t>(entered.grid.size(), 64); ++i) {
    const auto point = entered.grid.at(i);
    const auto set = std::find_if(point.begin(), point.end(), [](const Setting* one) {
      return one->path.starts_with("set.data.");
    });
    if (set == point.end() || problems.any()) continue;
    const auto start = timeline(own, operations(entered, point, own)).stretches.front().condition;
    if (const auto* chosen = selected_by(start))
      check_networks(*chosen, (*set)->level.place, problems);
  }
}

std::shared_ptr<const std::vector<Predecessor>> Experiment::State::learnt_from(
    const Predecessor& state) const {
  const auto& there = *others[state.other].experiment;
  const auto networks = there.trial(state.trial).networks;
  if (!networks || networks->empty()) return nullptr;
  const std::lock_guard lock(learnt_mutex);
  auto& own = learnt[networks];
  if (own) return own;
  const auto& file = there.others()[networks->front().other].file;
  const auto other = std::find_if(others.begin(), others.end(),
                                  [&](const OtherExperiment& one) { return one.file == file; });
  if (other == others.end()) return nullptr;
  auto among_ours = std::make_shared<std::vector<Predecessor>>(*networks);
  for (auto& network : *among_ours)
    network.other = static_cast<std::size_t>(other - others.begin());
  own = std::move(among_ours);
  return own;
}

std::optional<Beginning> Experiment::State::beginning(const Condition& variation,
                                                      const Condition& start) const {
  const auto* from = links.empty() ? nullptr : start.find(kFrom);
  if (!from || from->as_string().empty()) return std::nullopt;
  const auto& link = *links.at(from->as_string());
  const auto found = link.variation(variation);
  if (!found) throw Error(ExitCode::Bug, "a trial goes on from one that there is not");
  Beginning out{link.predecessor(*found), {}, {}};
  if (!link.generated()) return out;
  out.generated = start.integer("seeds.init");
  out.learnt_from = learnt_from(out);
  return out;
}

}  // namespace perturb
