#include "perturb/report/quantity.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "perturb/core/diagnostic.h"
#include "perturb/core/error.h"
#include "perturb/experiment/noise_curve.h"

namespace perturb {

namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::string did_you_mean(const std::string& near) {
  return near.empty() ? "" : "did you mean \"" + near + "\"?";
}

/// The names, or the first of many.
std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 20;
  if (names.size() <= kMost) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + kMost, ", "),
                     names.size() - kMost);
}

/// Metrics that are measured at all, and where they stand in the experiment.
class Labels {
 public:
  explicit Labels(const Experiment& experiment) : metrics_(experiment.metrics()) {
    for (std::size_t i = 0; i < metrics_.size(); ++i) {
      const bool known = std::ranges::find(names_, metrics_[i].label) != names_.end();
      if (metrics_[i].every.kind == Every::Kind::Never || known) continue;
      names_.push_back(metrics_[i].label);
      places_.push_back(i);
    }
  }
  const std::vector<std::string>& names() const { return names_; }

  std::optional<std::size_t> find(std::string_view label) const {
    const auto found = std::ranges::find(names_, label);
    if (found == names_.end()) return {};
    return places_[static_cast<std::size_t>(found - names_.begin())];
  }
  std::size_t at(const std::string& label) const {
    if (const auto place = find(label)) return *place;
    std::string advice = did_you_mean(nearest(label, names_));
    if (advice.empty() && !names_.empty()) advice = "it measures " + listed(names_);
    throw Error(ExitCode::Usage, "the experiment does not measure \"" + label + "\"", advice);
  }

 private:
  const std::vector<MetricSpec>& metrics_;
  std::vector<std::string> names_;
  std::vector<std::size_t> places_;
};

[[noreturn]] void misread(const std::string& word) {
  throw Error(ExitCode::Usage, "cannot read the metric \"" + word + "\"",
              "write LABEL, auc(LABEL), steps_to(LABEL,NUMBER), noise_auc(LABEL) or "
              "noise_half(LABEL,CHANCE), in quotes for the shell: 'steps_to(test.accuracy,0.8)'");
}

/// "LABEL,NUMBER". A label may have a comma in it, the number has none.
struct WithNumber {
  std::string label;
  double number = 0;
};
WithNumber with_number(std::string_view inside, const std::string& word) {
  const std::size_t comma = inside.rfind(',');
  if (comma == std::string_view::npos) misread(word);
  const auto read = number<double>(trimmed(inside.substr(comma + 1)));
  if (!read || !std::isfinite(*read)) misread(word);
  return {std::string(trimmed(inside.substr(0, comma))), *read};
}

NoiseCurve curve_at(const Experiment& experiment, const std::string& name) {
  const std::vector<NoiseCurve> all = noise_curves(experiment.metrics());
  const auto found = std::ranges::find(all, name, &NoiseCurve::name);
  if (found == all.end()) {
    std::vector<std::string> names;
    for (const NoiseCurve& curve : all) names.push_back(curve.name);
    std::string advice = did_you_mean(nearest(name, names));
    if (advice.empty())
      advice = names.empty()
                   ? R"([[metrics]] with kind = "noisy-accuracy", strength = [0, 0.1, 0.5] does)"
                   : "under noise it measures " + listed(names);
    throw Error(ExitCode::Usage, "the experiment does not measure \"" + name + "\" under noise",
                advice);
  }
  if (found->strengths.size() < 2)
    throw Error(ExitCode::Usage,
                fmt::format("\"{}\" is measured at one strength of noise alone", name),
                "more of them make a curve: strength = [0, 0.1, 0.5]");
  return *found;
}

Quantity noise_auc(const std::string& label, const Experiment& experiment) {
  const NoiseCurve curve = curve_at(experiment, label);
  const std::size_t first = curve.metrics.front();
  return {.kind = Quantity::Kind::NoiseAuc,
          .label = "noise_auc(" + label + ")",
          .metric = first,
          .better = experiment.metrics()[first].better};
}

Quantity noise_half(const WithNumber& said, const Experiment& experiment) {
  const NoiseCurve curve = curve_at(experiment, said.label);
  if (curve.strengths.front() != 0)
    throw Error(ExitCode::Usage,
                fmt::format("\"{}\" is not measured without noise, so that nobody knows what half "
                            "of its gain is",
                            said.label),
                "a strength of 0 measures it: strength = [0, 0.1, 0.5]");
  const std::size_t first = curve.metrics.front();
  const bool directed = experiment.metrics()[first].better != Better::Neither;
  return {.kind = Quantity::Kind::NoiseHalf,
          .label = fmt::format("noise_half({},{})", said.label, said.number),
          .metric = first,
          .threshold = said.number,
          .better = directed ? Better::Higher : Better::Neither};
}

Quantity derived(const std::string& word, const Experiment& experiment, const Labels& labels) {
  const std::size_t open = word.find('(');
  if (word.back() != ')') misread(word);
  const std::string name(trimmed(std::string_view(word).substr(0, open)));
  const std::string_view inside =
      trimmed(std::string_view(word).substr(open + 1, word.size() - open - 2));
  if (name == "noise_auc") return noise_auc(std::string(inside), experiment);
  if (name == "noise_half") return noise_half(with_number(inside, word), experiment);
  if (name == "auc") {
    const std::string label(inside);
    const std::size_t metric = labels.at(label);
    return {.kind = Quantity::Kind::Auc,
            .label = "auc(" + label + ")",
            .metric = metric,
            .better = experiment.metrics()[metric].better};
  }
  if (name != "steps_to") {
    const std::string near =
        did_you_mean(nearest(name, {"auc", "steps_to", "noise_auc", "noise_half"}));
    throw Error(ExitCode::Usage, "there is no \"" + name + "\" of a metric",
                near.empty() ? "there are auc(LABEL), steps_to(LABEL,NUMBER), noise_auc(LABEL) and "
                               "noise_half(LABEL,CHANCE)"
                             : near);
  }
  const WithNumber said = with_number(inside, word);
  const std::size_t metric = labels.at(said.label);
  const bool directed = experiment.metrics()[metric].better != Better::Neither;
  return {.kind = Quantity::Kind::StepsTo,
          .label = fmt::format("steps_to({},{})", said.label, said.number),
          .metric = metric,
          .threshold = said.number,
          .better = directed ? Better::Lower : Better::Neither};
}

Quantity read(const std::string& text, const Experiment& experiment, const Labels& labels) {
  const std::string word(trimmed(text));
  const auto metric = labels.find(word);
  if (!metric && word.find('(') != std::string::npos) return derived(word, experiment, labels);
  if (!metric && word.find(')') != std::string::npos) misread(word);
  const std::size_t at = metric ? *metric : labels.at(word);
  return {.label = word, .metric = at, .better = experiment.metrics()[at].better};
}

void check_makes_sense(const Quantity& quantity, const At& place) {
  if (quantity.of_run() && place.kind != At::Kind::Last)
    throw Error(ExitCode::Usage, quantity.label + " is of the whole run, not of one place in it",
                "leave out --at, or ask for the metric itself");
  if (quantity.of_noise() && place.kind == At::Kind::Best)
    throw Error(ExitCode::Usage, quantity.label + " is of one state, and has no best one",
                "--at last, --at STEP or --at epoch:N say where to look");
  if (place.kind == At::Kind::Best && quantity.better == Better::Neither)
    throw Error(ExitCode::Usage,
                "\"" + quantity.label + "\" has no best value: neither higher nor lower is better",
                "--at last, --at STEP or --at epoch:N say where to look, --metric at what");
}

bool is_at(const Measurement& measurement, const At& place) {
  return place.kind == At::Kind::GivenStep ? measurement.step == place.step
                                           : measurement.epoch == place.epoch;
}

/// The measured steps or epochs on both sides of the one that is not.
std::string neighbours(const Experiment& experiment, const Quantity& quantity, const At& place) {
  const bool steps = place.kind == At::Kind::GivenStep;
  const double wanted = steps ? static_cast<double>(place.step) : place.epoch;
  std::optional<double> below;
  std::optional<double> above;
  for (const Measurement& measurement : experiment.measurements(experiment.trial(0))) {
    if (std::ranges::find(measurement.metrics, quantity.metric) == measurement.metrics.end())
      continue;
    const double at = steps ? static_cast<double>(measurement.step) : measurement.epoch;
    if (at < wanted) below = at;
    if (at > wanted && !above) above = at;
  }
  std::string all = below ? fmt::format("{}", *below) : "";
  if (above) all += fmt::format("{}{}", below ? " and " : "", *above);
  return fmt::format("the nearest {} of the first trial: {}", steps ? "steps" : "epochs", all);
}

}  // namespace

At at_from(std::string_view text) {
  const std::string_view word = trimmed(text);
  if (word == "last") return {};
  if (word == "best") return {.kind = At::Kind::Best};
  if (const auto step = number<Step>(word); step && *step >= 0)
    return {.kind = At::Kind::GivenStep, .step = *step};
  constexpr std::string_view kEpoch = "epoch:";
  if (word.starts_with(kEpoch)) {
    const auto epoch = number<double>(word.substr(kEpoch.size()));
    if (epoch && std::isfinite(*epoch) && *epoch >= 0)
      return {.kind = At::Kind::GivenEpoch, .epoch = *epoch};
  }
  const std::string near = nearest(word, {"last", "best"});
  throw Error(ExitCode::Usage, "--at \"" + std::string(text) + "\" is no place in a run",
              near.empty() ? "--at takes a step, epoch:N, last or best" : did_you_mean(near));
}

std::vector<std::string> split_metrics(std::string_view text) {
  std::vector<std::string> all(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '(' ? 1 : c == ')' ? -1 : 0;
    if (c == ',' && depth <= 0)
      all.emplace_back();
    else
      all.back() += c;
  }
  return all;
}

std::vector<Quantity> quantities(const Experiment& experiment,
                                 const std::vector<std::string>& words, const At& place) {
  const Labels labels(experiment);
  std::vector<std::string> chosen = words;
  if (chosen.empty()) {
    for (const char* usual : {"test.accuracy", "test.loss"}) {
      if (labels.find(usual)) chosen.emplace_back(usual);
    }
  }
  if (chosen.empty()) {
    const auto& names = labels.names();
    chosen.assign(names.begin(), names.begin() + std::min<std::ptrdiff_t>(2, std::ssize(names)));
  }
  std::vector<Quantity> all;
  std::set<std::string> seen;  // asked for twice is shown once
  for (const std::string& word : chosen) {
    Quantity quantity = read(word, experiment, labels);
    check_makes_sense(quantity, place);
    if (seen.insert(quantity.label).second) all.push_back(std::move(quantity));
  }
  return all;
}

void check_at(const Experiment& experiment, const std::vector<Quantity>& quantities,
              const At& place) {
  if (place.kind != At::Kind::GivenStep && place.kind != At::Kind::GivenEpoch) return;
  std::vector<const Quantity*> left;
  for (const Quantity& quantity : quantities) left.push_back(&quantity);
  for (std::size_t number = 0; number < experiment.trials() && !left.empty(); ++number) {
    const Trial trial = experiment.trial(number);
    if (experiment.data(trial).train == 0) return;  // nobody knows where its epochs end
    for (const Measurement& measurement : experiment.measurements(trial)) {
      if (!is_at(measurement, place)) continue;
      std::erase_if(left, [&](const Quantity* quantity) {
        return std::ranges::find(measurement.metrics, quantity->metric) !=
               measurement.metrics.end();
      });
    }
  }
  if (left.empty()) return;
  const std::string at = place.kind == At::Kind::GivenStep ? fmt::format("step {}", place.step)
                                                           : fmt::format("epoch {}", place.epoch);
  throw Error(ExitCode::Usage,
              fmt::format("no trial measures \"{}\" at {}", left.front()->label, at),
              neighbours(experiment, *left.front(), place));
}

bool asks_for(const Every& every, Step step, double epoch, Step end) {
  if (step > end) return false;
  switch (every.kind) {
    case Every::Kind::Never:
      return false;
    case Every::Kind::Listed:
      return std::ranges::find(every.steps, step) != every.steps.end();
    case Every::Kind::Epoch:
      return step == end || (epoch > 0 && std::fmod(epoch, static_cast<double>(every.n)) == 0);
    case Every::Kind::Steps:
      return step == end || (step > 0 && step % every.n == 0);
    case Every::Kind::Log: {
      Step power = step;
      while (power > 1 && power % every.n == 0) power /= every.n;
      return step == end || power == 1;
    }
    case Every::Kind::End:
      return step == end;
  }
  return false;
}

std::int64_t states_asked_for(const Every& every, Step end, double epochs) {
  // The multiples of n before the end, and the end.
  const auto multiples = [&](std::int64_t all) {
    return std::max<std::int64_t>(all - 1, 0) / every.n + 1;
  };
  switch (every.kind) {
    case Every::Kind::Never:
      return 0;
    case Every::Kind::Listed: {
      const std::set<Step> steps(every.steps.begin(), every.steps.end());
      return std::distance(steps.begin(), steps.upper_bound(end));
    }
    case Every::Kind::Epoch:
      return multiples(std::llround(epochs));
    case Every::Kind::Steps:
      return multiples(end);
    case Every::Kind::Log: {
      std::int64_t powers = 0;
      for (Step power = 1; power < end; power *= every.n) {
        ++powers;
        if (power > end / every.n) break;
      }
      return powers + 1;
    }
    case Every::Kind::End:
      return 1;
  }
  return 0;
}

std::string where(const Quantity& quantity, const At& place) {
  if (quantity.of_run()) return "over the run";
  switch (place.kind) {
    case At::Kind::Last:
      return "at the end of the run";
    case At::Kind::GivenStep:
      return fmt::format("at step {}", place.step);
    case At::Kind::GivenEpoch:
      return fmt::format("at epoch {}", place.epoch);
    case At::Kind::Best:
      return "at each trial's best";
  }
  return {};
}

}  // namespace perturb
