#include "store/views.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace perturb {

namespace {

// CROSS JOIN tells SQLite to nest the loops as written. So rows come by experiment, number,
// step and metric, in whatever order the trials were carried out, and an ORDER BY of just that
// costs nothing. An ORDER BY in the view itself would keep SQLite from merging the view into a
// query that groups.
constexpr std::string_view kTrials = R"sql(
CREATE VIEW trials AS
SELECT e.name AS experiment, m.number AS number, lower(hex(t.digest)) AS trial,
       m.control AS control, m.variation AS variation, m.intervention AS intervention,
       m.steps AS steps, t.outcome AS outcome, t.step AS step, t.done AS done,
       t.message AS message, t.seconds AS seconds, t.trained AS trained, t.run AS run,
       c.json AS condition, t.operations AS operations, c.ingredients AS ingredients{factors}
FROM experiments AS e CROSS JOIN members AS m CROSS JOIN all_trials AS t CROSS JOIN factors AS f
     LEFT JOIN conditions AS c ON c.id = t.condition
WHERE m.experiment = e.id AND t.id = m.trial AND f.member = m.id)sql";

constexpr std::string_view kResults = R"sql(
CREATE VIEW results AS
SELECT e.name AS experiment, m.number AS number, lower(hex(t.digest)) AS trial,
       m.variation AS variation, m.intervention AS intervention, s.step AS step,
       s.epoch AS epoch, q.name AS metric, v.value AS value{factors}
FROM experiments AS e CROSS JOIN members AS m CROSS JOIN all_trials AS t CROSS JOIN factors AS f
     CROSS JOIN trial_states AS s CROSS JOIN experiment_metrics AS q CROSS JOIN measurements AS v
WHERE m.experiment = e.id AND t.id = m.trial AND f.member = m.id
  AND s.trial = m.trial AND s.step <= ifnull(m.steps, 9223372036854775807)
  AND q.experiment = e.id AND v.state = s.state AND v.metric = q.metric
  AND v.reference = {compared})sql";

// The + keeps SQLite from finding the control's state by its step, of which there may be
// thousands, instead of by its epoch, of which there is one.
constexpr std::string_view kContrasts = R"sql(
CREATE VIEW contrasts AS
SELECT e.name AS experiment, m.number AS number, lower(hex(t.digest)) AS trial,
       m.control AS control, m.variation AS variation, m.intervention AS intervention,
       s.step AS step, s.epoch AS epoch, q.name AS metric, v.value AS value,
       cv.value AS control_value, v.value - cv.value AS difference{factors}
FROM experiments AS e CROSS JOIN members AS m CROSS JOIN members AS c
     CROSS JOIN all_trials AS t CROSS JOIN factors AS f
     CROSS JOIN trial_states AS s CROSS JOIN trial_states AS cs
     CROSS JOIN experiment_metrics AS q
     CROSS JOIN measurements AS v CROSS JOIN measurements AS cv
WHERE m.experiment = e.id AND m.number <> m.control
  AND c.experiment = e.id AND c.number = m.control
  AND t.id = m.trial AND f.member = m.id
  AND s.trial = m.trial AND s.step <= ifnull(m.steps, 9223372036854775807)
  AND cs.trial = c.trial AND cs.epoch = s.epoch
  AND +cs.step <= ifnull(c.steps, 9223372036854775807)
  AND q.experiment = e.id AND v.state = s.state AND v.metric = q.metric
  AND v.reference = {compared}
  AND cv.state = cs.state AND cv.metric = q.metric AND cv.reference = {control_compared})sql";

// The state that a value has to be compared with: none, or the other trial's at the same epoch.
constexpr std::string_view kCompared = R"sql(CASE q.relative WHEN 0 THEN 0 ELSE
    ifnull((SELECT rs.state FROM comparisons AS x CROSS JOIN trial_states AS rs
            WHERE x.member = {member} AND x.metric = q.metric AND rs.trial = x.trial
              AND rs.epoch = s.epoch), -1) END)sql";

constexpr std::array<std::string_view, 22> kColumns = {
    "experiment", "number",  "trial",         "control",    "variation",   "intervention",
    "steps",      "outcome", "step",          "done",       "message",     "seconds",
    "trained",    "run",     "condition",     "operations", "ingredients", "epoch",
    "metric",     "value",   "control_value", "difference"};

}  // namespace

std::vector<std::string> factor_columns(const Database& database) {
  Statement statement(database,
                      "SELECT name FROM pragma_table_info('factors') WHERE cid > 0 ORDER BY cid");
  Cursor rows = statement.rows();
  std::vector<std::string> names;
  while (rows.next()) names.emplace_back(rows.text(0));
  return names;
}

bool is_view_column(std::string_view name) {
  return name == "member" || std::find(kColumns.begin(), kColumns.end(), name) != kColumns.end();
}

void drop_views(const Database& database) {
  database.execute(
      "DROP VIEW IF EXISTS trials; DROP VIEW IF EXISTS results; DROP VIEW IF EXISTS contrasts");
}

void create_views(const Database& database) {
  std::vector<std::string> names = factor_columns(database);
  std::sort(names.begin(), names.end());
  std::string factors;
  for (const std::string& name : names) {
    const std::string column = sql_name(name);
    factors += ",\n       f." + column + " AS " + column;
  }
  const auto compared = [](std::string_view member) {
    return fmt::format(fmt::runtime(kCompared), fmt::arg("member", member));
  };
  for (const std::string_view view : {kTrials, kResults, kContrasts}) {
    database.execute(fmt::format(fmt::runtime(view), fmt::arg("factors", factors),
                                 fmt::arg("compared", compared("m.id")),
                                 fmt::arg("control_compared", compared("c.id"))));
  }
}

}  // namespace perturb
