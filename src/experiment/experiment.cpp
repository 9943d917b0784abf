#include "perturb/experiment/experiment.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "experiment/state.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

bool is_seed(std::string_view path) {
  return path == "seed" || path.starts_with("seeds.") || path.starts_with("set.seeds.");
}

std::string described(const When& when) {
  if (when.kind == When::Kind::Init) return "at init";
  if (when.kind == When::Kind::WholeRun) return {};
  if (when.ranges.size() == 1 && when.ranges[0].second == when.ranges[0].first + 1) {
    return fmt::format("at {} {}", when.kind == When::Kind::Epochs ? "epoch" : "step",
                       when.ranges[0].first);
  }
  std::string text = when.kind == When::Kind::Epochs ? "in epochs" : "in";
  for (const auto& [begin, end] : when.ranges) {
    text +=
        end == kForever ? fmt::format(" [{}, end)", begin) : fmt::format(" [{}, {})", begin, end);
  }
  return text;
}

std::string described(const Setting& setting, const std::string& value) {
  const auto& level = setting.level;
  if (level.kind == Level::Kind::When) return described(level.when);
  const auto path = setting.path.starts_with("set.") ? setting.path.substr(4) : setting.path;
  if (level.kind == Level::Kind::Scale) return fmt::format("{} x {}", path, value);
  if (level.kind == Level::Kind::Add) {
    const double x = level.value.as_float();
    return fmt::format("{} {} {}", path, x < 0 ? "-" : "+", display(Value(std::abs(x))));
  }
  return fmt::format("{}={}", path, value);
}

}  // namespace

Digest MetricSpec::definition() const {
  std::string text = "perturb-metric-1" + framed(kind) + framed(std::to_string(revision));
  // A frame of 64 digits can be no parameter's name: without a plugin it is left out.
  if (!plugin.empty()) text += framed(plugin);
  for (const auto& [name, value] : parameters) {
    if (std::find(neutral.begin(), neutral.end(), name) == neutral.end())
      text += framed(name) + framed(canonical(value));
  }
  return sha256(text);
}

bool MetricSpec::relative() const {
  const auto to = parameters.find("to");
  return to != parameters.end() && to->second != Value("init");
}

std::vector<std::pair<std::string, Value>> factors_of(const Trial& trial) {
  std::vector<std::pair<std::string, Value>> out;
  for (const auto& [path, value] : trial.condition) out.emplace_back(path, value);
  for (const auto& operation : trial.operations) {
    for (const auto& [name, value] : operation.parameters) {
      out.emplace_back((operation.kind == "set" ? "set." : operation.kind + ".") + name, value);
    }
  }
  return out;
}

std::string to_json(const std::vector<Operation>& operations) {
  std::string text = "[";
  for (const auto& operation : operations) {
    if (text.size() > 1) text += ", ";
    text += "{\"kind\": " + to_json(Value(operation.kind));
    for (const auto& [name, value] : operation.parameters) {
      text += ", " + to_json(Value(name)) + ": " + to_json(value);
    }
    if (operation.at_init) {
      text += ", \"when\": \"init\"";
    } else {
      text += ", \"when\": [";
      for (std::size_t i = 0; i < operation.windows.size(); ++i) {
        const auto& w = operation.windows[i];
        text += fmt::format("{}[{}, {}]", i > 0 ? ", " : "", w.begin,
                            w.end == kForever ? std::string("\"end\"") : std::to_string(w.end));
      }
      text += "]";
    }
    text += "}";
  }
  return text + "]";
}

Experiment::Experiment(std::unique_ptr<State> state) : state_(std::move(state)) {}
Experiment::Experiment(Experiment&&) noexcept = default;
Experiment& Experiment::operator=(Experiment&&) noexcept = default;
Experiment::~Experiment() = default;

Source read_experiment(const std::filesystem::path& file) {
  std::error_code ignored;
  const auto status = std::filesystem::status(file, ignored);
  if (!std::filesystem::exists(status)) {
    throw Error(ExitCode::Usage, fmt::format("there is no file \"{}\"", file.string()),
                "name an experiment file; experiments/quickstart.toml is a first one");
  }
  if (std::filesystem::is_directory(status)) {
    throw Error(ExitCode::Usage,
                fmt::format("\"{}\" is a folder, not an experiment file", file.string()));
  }
  Source source{file.string(), {}};
  try {
    source.text = read_file(file, kFileLimit);
  } catch (const Error& error) {
    if (error.code() == ExitCode::Usage) {
      const Place whole{std::make_shared<const Source>(source), 0, 0};
      std::vector<Diagnostic> diagnostics;
      diagnostics.push_back(too_large(whole));
      throw InvalidExperiment(std::move(diagnostics));
    }
    throw;
  }
  return source;
}

Experiment Experiment::load(const std::filesystem::path& file,
                            const std::vector<std::string>& overrides, const Schema& schema,
                            const DataLookup& data, const ExperimentLookup& others) {
  return load(read_experiment(file), file, overrides, schema, data, others);
}

Experiment Experiment::load(Source source, const std::filesystem::path& file,
                            const std::vector<std::string>& overrides, const Schema& schema,
                            const DataLookup& data, const ExperimentLookup& others) {
  auto folder = std::filesystem::absolute(file).parent_path();
  auto experiment = parse(std::move(source), folder, overrides, schema, data, others);
  auto& state = *experiment.state_;
  if (!state.declared.name.empty()) return experiment;
  state.declared.name = file.stem().string();
  Problems problems;
  state.check_names(problems);
  if (problems.any()) throw InvalidExperiment(std::move(problems.errors));
  return experiment;
}

Experiment Experiment::parse(Source source, const std::filesystem::path& folder,
                             const std::vector<std::string>& overrides, const Schema& schema,
                             const DataLookup& data, const ExperimentLookup& others) {
  Problems problems;
  auto state = std::make_unique<State>(schema, data);
  const auto shared = std::make_shared<const Source>(std::move(source));
  state->source = shared->text;
  state->declared = read_declaration(shared, folder, overrides, state->fields, problems);
  if (!problems.any()) state->open_links(others, problems);
  if (!problems.any()) state->validate(shared, problems);
  if (problems.any()) throw InvalidExperiment(std::move(problems.errors));
  state->warnings = std::move(problems.warnings);
  return Experiment(std::move(state));
}

const std::string& Experiment::name() const { return state_->declared.name; }
const std::string& Experiment::description() const { return state_->declared.description; }
const std::string& Experiment::source() const { return state_->source; }
const std::vector<MetricSpec>& Experiment::metrics() const { return state_->declared.metrics; }
const std::vector<PlotSpec>& Experiment::plots() const { return state_->declared.plots; }
PlotSpec Experiment::plot(const std::vector<std::string>& settings) const {
  Problems problems;
  Node entry;
  entry.place.source = std::make_shared<const Source>(Source{"command line", {}});
  std::vector<Override> read;
  std::vector<std::string> said;
  for (const auto& text : settings) {
    auto setting = parse_override(text, problems.errors);
    if (setting.values.empty()) continue;
    if (entry.find(setting.path))
      problems.error(setting.place, fmt::format("\"{}\" is said twice", setting.path));
    entry.entries.push_back({setting.path, setting.place, setting.values.front()});
    read.push_back(std::move(setting));
    said.push_back(text.substr(text.find('=') + 1));
  }
  const auto* kind = entry.find("kind");
  const auto* component = kind ? state_->schema->find(Family::Plot, kind->text) : nullptr;
  for (std::size_t i = 0; i < read.size(); ++i) {
    const auto* parameter = component ? component->find(read[i].path) : nullptr;
    const bool list =
        read[i].path == "average_over" || (parameter && parameter->type == Type::StringList);
    Node& value = entry.entries[i].value;
    // at=1200 is a place, which has to be in quotes in a file.
    if (parameter && parameter->type == Type::String && value.kind != Node::Kind::String) {
      value.kind = Node::Kind::String;
      value.text = said[i];
      continue;
    }
    if (read[i].values.size() == 1 && (!list || value.kind == Node::Kind::Array)) continue;
    value = {};
    value.kind = Node::Kind::Array;
    value.place = read[i].values.front().place;
    value.items = std::move(read[i].values);
  }
  std::optional<PlotSpec> spec;
  if (!problems.any()) spec = read_plot(state_->declared, entry, state_->fields, {}, problems);
  if (problems.any() || !spec) throw InvalidExperiment(std::move(problems.errors));
  return std::move(*spec);
}

const std::vector<Diagnostic>& Experiment::warnings() const { return state_->warnings; }
const std::vector<OtherExperiment>& Experiment::others() const { return state_->others; }
std::vector<std::string> Experiment::varied() const { return state_->declared.variations.paths(); }
const std::vector<std::string>& Experiment::factors() const { return state_->factors; }
const std::vector<Diagnostic>& Experiment::unsupported() const {
  return state_->declared.unsupported;
}

std::size_t Experiment::variations() const { return state_->variations; }
std::size_t Experiment::alternatives() const { return state_->first_of_entry.back(); }

Condition Experiment::condition(std::size_t variation) const {
  return state_->condition(state_->declared.variations.at(variation));
}

Trial Experiment::trial(std::size_t variation, std::size_t alternative) const {
  return state_->trial(variation, alternative);
}

std::string Experiment::shown(const Value& level) const {
  if (level.is_string()) {
    const auto link = state_->links.find(level.as_string());
    if (link != state_->links.end()) return link->second->text();
  }
  return display(level);
}

std::string Experiment::label(std::size_t alternative) const {
  return group(alternative, {}, true);
}

std::string Experiment::group(std::size_t alternative, const std::vector<std::string>& factors,
                              bool seeds) const {
  if (alternative == 0) return "control";
  const auto [entered, choice] = state_->alternative(alternative - 1);
  const auto said = [&, entered = entered](const Setting& setting) {
    if (!seeds && is_seed(setting.path)) return false;
    return setting.path == "when" || factors.empty() ||
           std::ranges::find(factors, factor_name(*entered, setting)) == factors.end();
  };
  std::string text;
  for (std::size_t i = 0; i < entered->parts.size(); ++i) {
    const std::string& kind = entered->parts[i].kind;
    std::string part = kind == "set" ? std::string() : kind;
    for (const auto* setting : choice) {
      if (setting->part != i || !said(*setting)) continue;
      const auto words = described(*setting, shown(setting->level.value));
      if (!words.empty()) part += (part.empty() ? "" : " ") + words;
    }
    text += (i > 0 ? " and " : "") + (part.empty() ? kind : part);
  }
  return text;
}

const DataFacts& Experiment::data(const Trial& trial) const {
  return state_->data_facts(trial.start());
}

Step Experiment::end(const Trial& trial) const { return state_->end(trial.timeline); }

std::map<std::string, std::string> Experiment::ingredients(const Trial& trial) const {
  std::map<std::string, std::string> all = {{"content of the data", data(trial).digest.hex()}};
  const auto& schema = *state_->schema;
  const auto& start = trial.start();
  const auto add_version = [&](Family family, const std::string& kind) {
    const auto* component = schema.find(family, kind);
    if (!component) return;
    all[fmt::format("revision of {} {}", name_of(family), kind)] =
        std::to_string(component->revision);
    if (!component->plugin) return;
    all[fmt::format("plugin of {} {}", name_of(family), kind)] = component->plugin->digest.hex();
  };
  for (const auto& section : sections()) {
    const auto* kind = section.has_kind ? start.find(section.kind_path) : nullptr;
    if (kind) add_version(section.family, kind->as_string());
  }
  for (const auto& operation : trial.operations) add_version(Family::Intervention, operation.kind);
  if (trial.from) all["model.from, the state that it begins with"] = trial.from->identity().hex();
  const auto* asked = trial.condition.find("schedule.horizon");
  const auto* resolved = start.find("schedule.horizon");
  if (asked && resolved && *asked != *resolved)
    all["schedule.horizon, the end of the run"] = display(*resolved);
  return all;
}

bool Experiment::matters(const Trial& trial, std::string_view path) const {
  if (path.ends_with(".kind")) return true;
  const auto* parameter = state_->schema->parameter(trial.start(), path);
  // What such a field stands for is an ingredient.
  return parameter && parameter->identity && !is_resolved(parameter->type);
}

const CheckpointPolicy& Experiment::checkpoints() const { return state_->declared.checkpoints; }

namespace {
/// The steps in [0, end] that are meant, sorted.
std::vector<Step> steps_of(const Every& every, const Calendar& calendar, std::int64_t epochs,
                           Step end) {
  std::vector<Step> steps;
  switch (every.kind) {
    case Every::Kind::Never:
      return {};
    case Every::Kind::Listed:
      steps = every.steps;
      std::erase_if(steps, [&](Step step) { return step > end; });
      std::sort(steps.begin(), steps.end());
      steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
      return steps;
    case Every::Kind::Epoch:
      for (std::int64_t e = every.n; e < epochs; e += every.n) steps.push_back(calendar.end_of(e));
      break;
    case Every::Kind::Steps:
      for (Step s = every.n; s < end; s += every.n) steps.push_back(s);
      break;
    case Every::Kind::Log:
      for (Step s = 1; s < end && s <= kForever / every.n; s *= every.n) steps.push_back(s);
      break;
    case Every::Kind::End:
      break;
  }
  steps.push_back(end);
  return steps;
}
}  // namespace

std::optional<std::size_t> Experiment::reference(const MetricSpec& metric,
                                                 std::size_t variation) const {
  if (!metric.relative()) return std::nullopt;
  return state_->reference(metric.parameters.at("to").as_string(), variation);
}

std::vector<Measurement> Experiment::measurements(const Trial& trial) const {
  const auto examples = data(trial).train;
  if (examples == 0) return {};
  const Calendar calendar(trial.timeline, examples);
  const auto epochs = trial.start().integer("train.epochs");
  const auto last = end(trial);
  // By step and by the variation that it is compared with, none first.
  std::map<std::pair<Step, std::optional<std::size_t>>, std::vector<std::size_t>> at;
  for (std::size_t m = 0; m < metrics().size(); ++m) {
    const auto other = reference(metrics()[m], trial.variation);
    for (const auto s : steps_of(metrics()[m].every, calendar, epochs, last))
      at[{s, other}].push_back(m);
  }
  std::vector<Measurement> out;
  std::map<std::size_t, Trial> controls;
  for (auto& [when, which] : at) {
    const auto& [step, other] = when;
    Measurement measurement{step, calendar.epochs_before(step), {}, std::move(which), {}};
    if (other) {
      const auto& control = controls.try_emplace(*other, this->trial(*other, 0)).first->second;
      const auto there =
          Calendar(control.timeline, data(control).train).matching(calendar.batch(step));
      if (!there || *there > end(control)) continue;
      measurement.reference = Reference{*there, {}, {}, control.start(), {}};
    }
    out.push_back(std::move(measurement));
  }
  return out;
}

std::vector<Step> Experiment::saves(const Trial& trial) const {
  const auto examples = data(trial).train;
  if (examples == 0) return {};
  const auto& policy = checkpoints();
  const auto last = end(trial);
  auto steps = steps_of(policy.every, Calendar(trial.timeline, examples),
                        trial.start().integer("train.epochs"), last);
  // Listed steps are as the user wants them, but who lists some wants to go on from the end, too.
  if (policy.every.kind == Every::Kind::Listed && (steps.empty() || steps.back() != last))
    steps.push_back(last);
  // Initialisation makes the state at step 0 faster than any file could be read.
  std::erase(steps, 0);
  return steps;
}

TrainedNetworks Experiment::trained(const std::vector<Predecessor>& networks) const {
  const auto& first = networks.front();
  TrainedNetworks out{others()[first.other].experiment->trial(first.trial).start(), {}};
  for (const auto& network : networks) out.networks.push_back({network.state, {}});
  return out;
}

Ancestor Experiment::ancestor(const Beginning& from) const {
  Ancestor out{.step = from.step,
               .state = from.state,
               .blob = {},
               .start = others()[from.other].experiment->trial(from.trial).start(),
               .generated = from.generated,
               .learnt_from = {}};
  if (from.learnt_from) out.learnt_from = trained(*from.learnt_from);
  return out;
}

Assignment Experiment::assignment(std::size_t number) const {
  Assignment out;
  out.trial = trial(number);
  out.examples = data(out.trial).train;
  out.end = end(out.trial);
  out.start = out.trial.state(0);
  out.last = out.trial.state(out.end);
  if (out.trial.from) out.from = ancestor(*out.trial.from);
  if (out.trial.networks && !out.trial.networks->empty())
    out.population = trained(*out.trial.networks);
  out.metrics = metrics();
  out.measurements = measurements(out.trial);
  for (auto& m : out.measurements) m.state = out.trial.state(m.step);
  for (auto& m : out.measurements) {
    if (m.reference) {
      const auto other = reference(out.metrics[m.metrics.front()], out.trial.variation);
      m.reference->state = trial(*other, 0).state(m.reference->step);
    }
  }
  if (out.trial.toward) {
    const Trial control = trial(*out.trial.toward, 0);
    const Calendar here(out.trial.timeline, out.examples);
    const Calendar there(control.timeline, data(control).train);
    for (const Step step : out.trial.drawn(0, out.end)) {
      if (const auto at = there.matching(here.batch(step)); at && *at <= end(control))
        out.drawn.emplace(step, Reference{*at, control.state(*at), {}, control.start(), {}});
    }
  }
  return out;
}

}  // namespace perturb
