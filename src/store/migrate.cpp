#include "store/migrate.h"

#include <array>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "store/layout_2.sql.h"
#include "store/layout_3.sql.h"
#include "store/layout_4.sql.h"
#include "store/schema.sql.h"
#include "store/views.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

/// Copies the database as one transaction sees it. Never a copy of the file itself: part of a
/// live database is in its log.
fs::path back_up(const Database& database, std::int64_t layout) {
  const fs::path folder = database.path().parent_path();
  fs::path copy = folder / fmt::format("results-v{}.db", layout);
  for (int i = 2; fs::exists(copy); ++i)
    copy = folder / fmt::format("results-v{}-{}.db", layout, i);
  fs::path unfinished = copy;
  unfinished += ".tmp";
  fs::remove(unfinished);
  Statement(database, "VACUUM INTO ?").run(unfinished.string());
  publish(unfinished, copy);
  return copy;
}

void check_references(const Database& database) {
  Statement statement(database, "PRAGMA foreign_key_check");
  if (statement.rows().next()) {
    throw Error(ExitCode::Store,
                fmt::format("{} is damaged: rows refer to rows that are not there",
                            database.path().string()),
                "restore it from a copy, or move the folder away");
  }
}

}  // namespace

std::span<const Migration> migrations() {
  static constexpr std::array<Migration, 3> kAll = {{{2, kLayout2}, {3, kLayout3}, {4, kLayout4}}};
  return kAll;
}

void create_tables(const Database& database) {
  Transaction transaction(database);
  database.execute(kSchema);
  create_views(database);
  database.execute(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, kLayout));
  transaction.commit();
}

std::int64_t layout_of(const Database& database, std::int64_t known) {
  const std::string file = database.path().string();
  if (database.integer("PRAGMA application_id") != kApplicationId) {
    throw Error(ExitCode::Store, file + " is a database, but not one of perturb's",
                "name another folder with --store");
  }
  const std::int64_t layout = database.integer("PRAGMA user_version");
  if (layout > known) {
    throw Error(ExitCode::Store,
                fmt::format("{} has layout {}, and this perturb knows layouts up to {}", file,
                            layout, known),
                "use the newer perturb that wrote it, or name another folder with --store");
  }
  if (layout < 1) {
    throw Error(ExitCode::Store, fmt::format("{} is damaged: it has layout {}", file, layout),
                "restore it from a copy, or move the folder away");
  }
  return layout;
}

fs::path migrate(const Database& database, std::span<const Migration> steps) {
  const std::int64_t target = steps.empty() ? kLayout : steps.back().to;
  const std::int64_t layout = layout_of(database, target);
  if (layout == target) return {};
  const fs::path copy = back_up(database, layout);

  // Tables that are made anew under their old name would take what refers to them along.
  database.execute("PRAGMA foreign_keys = OFF");
  {
    Transaction transaction(database);
    drop_views(database);
    for (const Migration& step : steps) {
      if (step.to > layout) database.execute(step.sql);
    }
    create_views(database);
    check_references(database);
    database.execute(fmt::format("PRAGMA user_version = {}", target));
    transaction.commit();
  }
  database.execute("PRAGMA foreign_keys = ON");
  return copy;
}

}  // namespace perturb
