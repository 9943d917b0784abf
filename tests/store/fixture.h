// A small experiment and its records, as the store's tests need them: two variations, each with
// a control and one intervention, measured at the end of every epoch.
#pragma once

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

#include "perturb/core/digest.h"
#include "perturb/store/store.h"
#include "temporary_folder.h"

namespace perturb::fixture {

/// Runs `work` in a child process, which ends with it, whatever it throws, and with us.
template <typename Work>
pid_t fork_child(const Work& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    work();
  } catch (...) {
    ::_exit(1);
  }
  ::_exit(0);
}

inline const Digest kAccuracy = sha256("test.accuracy");
inline const Digest kLoss = sha256("test.loss");

inline Digest trial(std::int64_t number) { return sha256("trial " + std::to_string(number)); }

inline void add_factor(Member& member, const std::string& name, const Value& value) {
  member.factors.emplace_back(name, value);
}

inline Member member(std::int64_t number) {
  Member member;
  member.number = number;
  member.variation = number / 2;
  member.control = member.variation * 2;
  member.intervention = number % 2 == 0 ? "control" : "momentum x 1.1";
  member.trial = trial(number);
  member.condition = R"({"optimizer.lr":0.1})";
  member.operations = "[]";
  member.factors = {{"optimizer.lr", Value(member.variation == 0 ? 0.1 : 0.01)},
                    {"model.kind", Value("mlp")},
                    {"data.kind", Value("iris")},
                    {"model.widths", Value(List{Value(64), Value(10)})}};
  if (number % 2 == 1) add_factor(member, "set.optimizer.momentum", 0.99);
  return member;
}

inline std::vector<Member> members(std::int64_t count = 4) {
  std::vector<Member> all;
  for (std::int64_t i = 0; i < count; ++i) all.push_back(member(i));
  return all;
}

inline ExperimentRow experiment(const std::string& name = "momentum",
                                const std::string& version = "1") {
  ExperimentRow row;
  row.name = name;
  row.source = "name = \"" + name + "\"";
  row.digest = sha256(name + version);
  row.metrics = {{kLoss, "test.loss", R"({"kind":"loss"})"},
                 {kAccuracy, "test.accuracy", R"({"kind":"accuracy"})"}};
  return row;
}

inline void declare(Store& store, const ExperimentRow& row, const std::vector<Member>& members) {
  std::size_t next = 0;
  store.declare(row, [&]() -> std::optional<Member> {
    if (next == members.size()) return std::nullopt;
    return members[next++];
  });
}

/// The value that `number` has for a metric at `step`: any function will do.
inline double value(std::int64_t number, std::int64_t step, const Digest& metric) {
  return static_cast<double>(number) + static_cast<double>(step) / 1000 +
         (metric == kLoss ? 0.5 : 0.0);
}

/// Done after `epochs` epochs of 100 steps.
inline Record record(std::int64_t number, int epochs = 2) {
  Record record;
  record.trial = trial(number);
  record.outcome = Outcome::Done;
  record.step = 100 * epochs;
  record.seconds = 2;
  record.trained = record.step;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    const std::int64_t step = 100 * epoch;
    const Digest state = sha256("state " + std::to_string(number) + " " + std::to_string(step));
    for (const Digest& metric : {kAccuracy, kLoss})
      record.measured.push_back(
          {step, static_cast<double>(epoch), state, metric, value(number, step, metric)});
  }
  return record;
}

inline RunId begin_run(Store& store) {
  return store.begin_run({.experiment = "momentum",
                          .command = "perturb run momentum.toml",
                          .version = "0.1.0",
                          .fingerprint = "{}"});
}

/// An answer as text: cells joined by '|', rows by newlines; null is "null".
inline std::string text(const Table& table) {
  std::string all;
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) all += '|';
      if (const auto* integer = std::get_if<std::int64_t>(&row[i])) all += std::to_string(*integer);
      if (const auto* real = std::get_if<double>(&row[i])) all += display(Value(*real));
      if (const auto* string = std::get_if<std::string>(&row[i])) all += *string;
      if (std::holds_alternative<std::monostate>(row[i])) all += "null";
    }
    all += '\n';
  }
  return all;
}

inline std::string ask(const Store& store, const std::string& sql) {
  return text(store.query(sql));
}

}  // namespace perturb::fixture
