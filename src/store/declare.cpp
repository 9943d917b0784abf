#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "store/state.h"
#include "store/views.h"

namespace perturb {

namespace {

// SQLite allows 2,000 columns in a table and in an answer.
constexpr std::size_t kMostFactors = 1500;
constexpr std::size_t kLongestName = 64;

bool is_factor_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") ==
             std::string_view::npos;
}

/// Writes rows of `factors`, and adds columns to it as new names come up.
class FactorWriter {
 public:
  explicit FactorWriter(const Database& database)
      : database_(database), columns_(factor_columns(database)) {}

  void add(std::int64_t member, const std::vector<std::pair<std::string, Value>>& factors) {
    places_.clear();
    for (std::size_t i = 0; i < factors.size(); ++i) {
      // Members mostly have the same names in the same order, so that comparing with the name
      // that the former one had here saves looking it up.
      if (i >= former_.size() || former_[i].first != factors[i].first) learn(factors);
      places_.push_back(former_[i].second);
    }
    // What this member does not have is null, not what the former one had.
    insert_->clear();
    insert_->bind_integer(1, member);
    for (std::size_t i = 0; i < factors.size(); ++i)
      insert_->bind_value(places_[i], factors[i].second);
    insert_->run_bound();
  }

  /// Views show columns that there were when they were made.
  void finish() const {
    if (views_dropped_) create_views(database_);
  }

 private:
  /// Makes `former_` the names of these factors, with columns and places for the new ones.
  void learn(const std::vector<std::pair<std::string, Value>>& factors) {
    add_columns(factors);
    const std::size_t before = inserted_.size();
    former_.clear();
    for (const auto& [name, value] : factors) {
      // Place 1 is the member's.
      const auto [entry, is_new] =
          places_by_name_.try_emplace(name, static_cast<int>(inserted_.size()) + 2);
      if (is_new) inserted_.push_back(name);
      former_.emplace_back(name, entry->second);
    }
    if (inserted_.size() > before || !insert_) prepare();
  }

  void add_columns(const std::vector<std::pair<std::string, Value>>& factors) {
    const std::size_t before = columns_.size();
    for (const auto& [name, value] : factors) {
      if (std::find(columns_.begin(), columns_.end(), name) != columns_.end()) continue;
      if (!is_factor_name(name) || is_view_column(name)) {
        throw Error(ExitCode::Usage, fmt::format("\"{}\" cannot be the name of a factor", name),
                    "names are at most 64 of a-z 0-9 _ . - and none of the views' columns");
      }
      columns_.push_back(name);
    }
    if (columns_.size() == before) return;
    if (columns_.size() > kMostFactors) {
      throw Error(ExitCode::Usage,
                  fmt::format("the store has columns for {} factors, and no room for {} more",
                              before, columns_.size() - before),
                  "keep this experiment in another store (--store)");
    }
    // Every ALTER reads the whole schema again, views and all.
    if (!std::exchange(views_dropped_, true)) drop_views(database_);
    for (std::size_t i = before; i < columns_.size(); ++i) {
      database_.execute(
          fmt::format("ALTER TABLE factors ADD COLUMN {} ANY", sql_name(columns_[i])));
    }
  }

  void prepare() {
    std::string names = "member";
    std::string values = "?";
    for (const std::string& name : inserted_) {
      names += ", " + sql_name(name);
      values += ", ?";
    }
    insert_.emplace(database_, fmt::format("INSERT INTO factors ({}) VALUES ({})", names, values));
  }

  const Database& database_;
  std::vector<std::string> columns_;   // of the table
  std::vector<std::string> inserted_;  // of the statement, in the order of its arguments
  std::unordered_map<std::string, int> places_by_name_;
  std::vector<std::pair<std::string, int>> former_;  // names and places of the former member
  std::vector<int> places_;                          // of the member at hand
  std::optional<Statement> insert_;
  bool views_dropped_ = false;
};

/// Ids of trials, which are made as needed.
class TrialWriter {
 public:
  explicit TrialWriter(const Database& database) : database_(database) {}

  std::int64_t id(const Member& member) {
    const std::optional<Found> found = find(member.trial);
    if (found && found->declared) return found->id;
    const std::int64_t condition = condition_id(member);
    if (found) {
      database_.kept("UPDATE all_trials SET condition = ?, operations = ? WHERE id = ?")
          .run(condition, member.operations, found->id);
      return found->id;
    }
    database_.kept("INSERT INTO all_trials (digest, condition, operations) VALUES (?, ?, ?)")
        .run(member.trial, condition, member.operations);
    return database_.last_row();
  }

 private:
  struct Found {
    std::int64_t id;
    bool declared;
  };
  std::optional<Found> find(const Digest& trial) {
    Cursor row =
        database_.kept("SELECT id, condition FROM all_trials WHERE digest = ?").rows(trial);
    if (!row.next()) return std::nullopt;
    return Found{row.integer(0), !row.null(1)};
  }

  /// A control and its interventions come one after another.
  std::int64_t condition_id(const Member& member) {
    if (condition_ == 0 || json_ != member.condition || ingredients_ != member.ingredients) {
      database_.kept("INSERT INTO conditions (json, ingredients) VALUES (?, ?)")
          .run(member.condition, member.ingredients);
      condition_ = database_.last_row();
      json_ = member.condition;
      ingredients_ = member.ingredients;
    }
    return condition_;
  }

  const Database& database_;
  std::string json_;
  std::string ingredients_;
  std::int64_t condition_ = 0;
};

std::int64_t experiment_id(const Database& database, const ExperimentRow& experiment) {
  database
      .kept(
          "INSERT INTO experiments (name, description, source, digest, members, retention) "
          "VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT (name) DO UPDATE SET "
          "description = excluded.description, source = excluded.source, "
          "digest = excluded.digest, retention = excluded.retention")
      .run(experiment.name, experiment.description, experiment.source, experiment.digest,
           static_cast<std::int64_t>(experiment.retention));
  Cursor row = database.kept("SELECT id FROM experiments WHERE name = ?").rows(experiment.name);
  row.next();
  return row.integer(0);
}

}  // namespace

void Store::State::declare_metrics(std::int64_t experiment, const std::vector<MetricRow>& metrics) {
  database->kept("DELETE FROM experiment_metrics WHERE experiment = ?").run(experiment);
  for (const MetricRow& row : metrics) {
    const std::int64_t id = metric(row.definition);
    database->kept("UPDATE metrics SET name = ?, parameters = ? WHERE id = ?")
        .run(row.name, row.parameters, id);
    database
        ->kept(
            "INSERT INTO experiment_metrics (experiment, name, metric, relative) "
            "VALUES (?, ?, ?, ?) ON CONFLICT (experiment, name, metric) DO NOTHING")
        .run(experiment, row.name, id, static_cast<std::int64_t>(row.relative));
  }
}

void Store::State::declare_needs(std::int64_t experiment, const std::vector<Digest>& needs) {
  database->kept("DELETE FROM needed_states WHERE experiment = ?").run(experiment);
  for (const Digest& digest : needs) {
    database->kept("INSERT INTO needed_states (experiment, state) VALUES (?, ?)")
        .run(experiment, state(digest));
  }
}

void Store::declare(const ExperimentRow& experiment,
                    const std::function<std::optional<Member>()>& next) {
  State& state = *state_;
  const Database& database = *state.database;
  state.check_writable();
  {
    Cursor row =
        database.kept("SELECT digest FROM experiments WHERE name = ?").rows(experiment.name);
    if (row.next() && row.digest(0) == experiment.digest) return;
  }
  state.write([&] {
    const std::int64_t id = experiment_id(database, experiment);
    state.declare_metrics(id, experiment.metrics);
    state.declare_needs(id, experiment.needs);
    database.kept("DELETE FROM members WHERE experiment = ?").run(id);
    TrialWriter trials(database);
    FactorWriter factors(database);
    std::int64_t members = 0;
    while (const std::optional<Member> member = next()) {
      const std::int64_t trial = trials.id(*member);
      database
          .kept(
              "INSERT INTO members (experiment, number, control, variation, intervention, "
              "trial, steps) VALUES (?, ?, ?, ?, ?, ?, ?)")
          .run(id, member->number, member->control, member->variation, member->intervention, trial,
               member->steps);
      const std::int64_t row = database.last_row();
      factors.add(row, member->factors);
      for (const auto& [metric, other] : member->comparisons) {
        database.kept("INSERT INTO comparisons (member, metric, trial) VALUES (?, ?, ?)")
            .run(row, state.metric(metric), state.trial(other));
      }
      ++members;
    }
    factors.finish();
    database.kept("UPDATE experiments SET members = ? WHERE id = ?").run(members, id);
  });
}

}  // namespace perturb
