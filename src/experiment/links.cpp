// What an experiment goes on from: the references in its file, and whether they hold.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "experiment/state.h"
#include "perturb/core/error.h"

namespace perturb {
namespace {

constexpr std::string_view kFrom = "model.from";

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
  if (!problems.any()) check_names(problems);
}

void Experiment::State::open_link(const std::string& reference, const Place& place,
                                  const ExperimentLookup& read, Problems& problems) {
  const auto file = Link::file_of(reference);
  auto known = std::find_if(others.begin(), others.end(),
                            [&](const OtherExperiment& other) { return other.file == file; });
  if (known == others.end()) {
    if (!read) return problems.error(place, "another experiment cannot be read from here");
    try {
      others.push_back({file, read(file)});
    } catch (const InvalidExperiment& invalid) {
      for (const auto& diagnostic : invalid.diagnostics())
        problems.error(diagnostic.place, diagnostic.message, diagnostic.advice);
      return;
    } catch (const Error& error) {
      return problems.error(place, error.what(), error.advice());
    }
    known = std::prev(others.end());
    const auto& unsupported = known->experiment->unsupported();
    declared.unsupported.insert(declared.unsupported.end(), unsupported.begin(), unsupported.end());
  }
  auto link = std::make_unique<Link>(reference, static_cast<std::size_t>(known - others.begin()),
                                     known->experiment);
  if (auto [message, advice] = link->wrong_selection(); !message.empty())
    problems.error(place, std::move(message), std::move(advice));
  links.emplace(reference, std::move(link));
}

void Experiment::State::check_names(Problems& problems) const {
  if (others.empty()) return;
  std::map<std::string, std::set<std::filesystem::path>> by_name;
  gather(others, by_name);
  Place first;
  each_said(std::string(kFrom), [&](const Value&, const Place& place) {
    if (!first.source) first = place;
  });
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
  if (links.empty()) return;
  // What is wrong with one trial mostly is with many.
  std::set<std::string> wrong;
  const auto check = [&](const Value* value, const Place& place, const Condition& own) {
    if (!value || value->as_string().empty() || wrong.contains(value->as_string())) return;
    const auto before = problems.errors.size();
    check_link(value->as_string(), place, own, problems);
    if (problems.errors.size() > before) wrong.insert(value->as_string());
  };
  for (std::size_t v = 0; v < variations; ++v) {
    const auto point = declared.variations.at(v);
    const auto own = condition(point);
    Place place;
    if (const auto base = declared.base.find(std::string(kFrom)); base != declared.base.end())
      place = base->second.place;
    for (const auto* setting : point) {
      if (setting->path == kFrom) place = setting->level.place;
    }
    check(own.find(kFrom), place, own);
    for (const auto& entered : declared.interventions) {
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
  if (const auto why = misfit(*schema, own, control.start()); !why.empty()) {
    problems.error(place,
                   fmt::format("model \"{}\" cannot begin with what \"{}\" trained: {}",
                               own.text("model.kind"), there.name(), why),
                   "both need the same [model]");
  }
}

std::optional<Predecessor> Experiment::State::predecessor(const Condition& variation,
                                                          const Condition& start) const {
  const auto* from = links.empty() ? nullptr : start.find(kFrom);
  if (!from || from->as_string().empty()) return std::nullopt;
  const auto& link = *links.at(from->as_string());
  const auto found = link.variation(variation);
  if (!found) throw Error(ExitCode::Bug, "a trial goes on from one that there is not");
  return link.predecessor(*found);
}

}  // namespace perturb
