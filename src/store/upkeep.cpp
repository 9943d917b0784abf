#include "perturb/store/upkeep.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <iterator>
#include <map>
#include <optional>
#include <system_error>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/core/safetensors.h"
#include "store/folder.h"
#include "store/state.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

struct Row {
  Digest state;
  Digest blob;
  std::int64_t bytes = 0;
  std::int64_t step = 0;
};

/// Of those with the same blob, one after the other.
std::vector<Row> rows_of(const Database& database) {
  std::vector<Row> rows;
  Cursor row = database
                   .kept(
                       "SELECT s.digest, c.blob, c.bytes, c.step FROM checkpoints AS c "
                       "JOIN states AS s ON s.id = c.state ORDER BY c.blob, c.state")
                   .rows();
  while (row.next()) rows.push_back({row.digest(0), row.digest(1), row.integer(2), row.integer(3)});
  return rows;
}

Finding database_finding(std::string message) {
  return {.kind = Finding::Kind::Database,
          .subject = "results.db",
          .message = std::move(message),
          .advice =
              "restore results.db from a copy; or save what can be read by `sqlite3 results.db "
              "\"VACUUM INTO 'saved.db'\"`, and move the folder away",
          .repairable = false,
          .state = {}};
}

Finding unused_file(std::string name, std::string_view message) {
  return {.kind = Finding::Kind::Unused,
          .subject = std::move(name),
          .message = std::string(message),
          .advice = "",
          .repairable = false,
          .state = {}};
}

/// Whether the row is still as it was: a writer may have replaced it meanwhile.
bool still_there(const Database& database, const Row& row) {
  Cursor found = database
                     .kept(
                         "SELECT 1 FROM states AS s JOIN checkpoints AS c ON c.state = s.id "
                         "WHERE s.digest = ? AND c.blob = ? AND c.bytes = ?")
                     .rows(row.state, row.blob, row.bytes);
  return found.next();
}

/// Named by a trial that goes through it, as a member of an experiment if it is one.
std::string subject_of(const Database& database, const Digest& state, std::int64_t step) {
  Cursor row = database
                   .kept(
                       "SELECT t.digest, e.name, m.number FROM states AS s "
                       "CROSS JOIN checkpoint_trials AS c ON c.state = s.id "
                       "CROSS JOIN all_trials AS t ON t.id = c.trial "
                       "LEFT JOIN members AS m ON m.trial = t.id "
                       "LEFT JOIN experiments AS e ON e.id = m.experiment "
                       "WHERE s.digest = ? ORDER BY e.name IS NULL, e.name, m.number LIMIT 1")
                   .rows(state);
  if (!row.next()) return fmt::format("checkpoint of state {} at step {}", state.brief(), step);
  if (row.null(1))
    return fmt::format("checkpoint of trial {} at step {}", row.digest(0).brief(), step);
  return fmt::format("checkpoint of {} {} at step {}", row.text(1), row.integer(2), step);
}

/// What is wrong with a blob, whoever refers to it.
struct Defect {
  Finding::Kind kind;
  std::string message;
};

std::optional<Defect> defect_of(const Blobs& blobs, const Digest& blob, std::uintmax_t size) {
  std::string bytes;
  try {
    bytes = blobs.get(blob, size);
  } catch (const Error& error) {
    if (error.code() == ExitCode::Disk) return Defect{Finding::Kind::Unreadable, error.what()};
    if (!blobs.size(blob)) return Defect{Finding::Kind::Missing, "its blob is missing"};
    return Defect{Finding::Kind::Bytes, "its blob is damaged: the bytes are not those of its name"};
  }
  try {
    read_safetensors(bytes);
  } catch (const Error& error) {
    return Defect{Finding::Kind::Format,
                  fmt::format("its blob is no safetensors: {}", error.what())};
  }
  return std::nullopt;
}

std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

/// The name that files.h gives what it is about to rename to `stem`.
bool is_temporary(const std::string& name, std::string_view stem) {
  return name.starts_with(stem) && name.substr(stem.size()).starts_with(".tmp-");
}

bool is_regular(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::regular;
}

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() == fs::file_type::directory;
}

std::uintmax_t size_of(const fs::path& file) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(file, error);
  return error ? 0 : size;
}

std::uintmax_t size_of_folder(const fs::path& folder) {
  std::error_code error;
  std::uintmax_t bytes = 0;
  for (fs::recursive_directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error)) {
    if (is_regular(next->path())) bytes += size_of(next->path());
  }
  return bytes;
}

/// A temporary file of one of ours that lies in the store's folder itself.
bool is_left_in_store(const std::string& name) {
  for (const char* unfinished :
       {"results.db.new", "results.db.new-journal", "results.db.new-wal", "results.db.new-shm"}) {
    if (name == unfinished) return true;
  }
  // A copy before a migration that was cut short: results-v1.db.tmp, and its journal.
  if (name.starts_with("results-v") && name.find(".db.tmp") != std::string::npos) return true;
  return is_temporary(name, "reserve") || is_temporary(name, ".gitignore") ||
         is_temporary(name, kLiveFile);
}

bool is_left_in_blobs(const fs::path& path) {
  constexpr std::size_t kDigits = 64;
  const std::string name = path.filename().string();
  return Digest::from_hex(name.substr(0, kDigits)) && is_temporary(name, name.substr(0, kDigits)) &&
         is_regular(path);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator next(folder, error), end; !error && next != end;
       next.increment(error))
    entries.push_back(next->path());
  if (error) {
    throw Error(ExitCode::Disk, fmt::format("cannot list {}: {}", folder.string(), error.message()),
                "check the disk and its permissions");
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

void remove_path(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) {
    throw Error(ExitCode::Disk, fmt::format("cannot remove {}: {}", path.string(), error.message()),
                "check the disk and its permissions");
  }
}

}  // namespace

bool is_left_work(const fs::path& path) {
  // One that holds anything else is somebody's own, whatever its name.
  if (!path.filename().string().starts_with("work-") || !is_folder(path)) return false;
  constexpr std::array<std::string_view, 3> kParts = {"stages", "records", "logs"};
  std::error_code error;
  for (fs::directory_iterator next(path, error), end; !error && next != end;
       next.increment(error)) {
    const std::string name = next->path().filename().string();
    if (std::find(kParts.begin(), kParts.end(), name) == kParts.end()) return false;
  }
  return !error;
}

std::string_view name_of(Finding::Kind kind) {
  switch (kind) {
    case Finding::Kind::Database:
      return "database";
    case Finding::Kind::Missing:
      return "missing";
    case Finding::Kind::Size:
      return "size";
    case Finding::Kind::Bytes:
      return "bytes";
    case Finding::Kind::Format:
      return "format";
    case Finding::Kind::Unreadable:
      return "unreadable";
    case Finding::Kind::Unused:
      break;
  }
  return "unused";
}

std::string_view name_of(Garbage::Kind kind) {
  switch (kind) {
    case Garbage::Kind::Temporary:
      return "temporary";
    case Garbage::Kind::Work:
      return "work";
    case Garbage::Kind::Blob:
      return "blob";
    case Garbage::Kind::Checkpoint:
      break;
  }
  return "checkpoint";
}

Upkeep::Upkeep(Store& store) : store_(&store) {}

Inspection Upkeep::inspect(const Meter& meter) const {
  Inspection inspection;
  // A damaged database ends a question about it, but says nothing of the blobs.
  for (const auto& part : std::array<std::function<void()>, 3>{
           [&] { examine_database(inspection); },
           [&] { examine_checkpoints(inspection, meter); },
           [&] { examine_files(inspection); },
       }) {
    try {
      part();
    } catch (const Error& error) {
      if (error.code() != ExitCode::Store) throw;
      inspection.findings.push_back(database_finding(error.what()));
    }
  }
  return inspection;
}

void Upkeep::examine_database(Inspection& inspection) const {
  const Database& database = *store_->state_->database;
  const auto report = [&](std::string message) {
    inspection.findings.push_back(database_finding(std::move(message)));
  };
  {
    Statement check(database, "PRAGMA integrity_check");
    Cursor row = check.rows();
    std::string first;
    std::size_t more = 0;
    while (row.next()) {
      if (row.text(0) == "ok") continue;
      if (first.empty())
        first = one_line(row.text(0));
      else
        ++more;
    }
    if (!first.empty()) report(more > 0 ? fmt::format("{} (and {} more)", first, more) : first);
  }
  {
    Statement check(database, "PRAGMA foreign_key_check");
    Cursor row = check.rows();
    std::map<std::pair<std::string, std::string>, std::size_t> dangling;
    while (row.next()) ++dangling[{std::string(row.text(0)), std::string(row.text(2))}];
    for (const auto& [tables, count] : dangling) {
      report(fmt::format("{} row(s) of {} refer to rows of {} that are not there", count,
                         tables.first, tables.second));
    }
  }
  // They use every table and most columns.
  for (const char* view : {"trials", "results", "contrasts"})
    Statement(database, fmt::format("SELECT * FROM {}", view));
}

void Upkeep::examine_checkpoints(Inspection& inspection, const Meter& meter) const {
  if (!store_->state_->blobs) return;
  const Database& database = *store_->state_->database;
  const Blobs& blobs = *store_->state_->blobs;
  const std::vector<Row> rows = rows_of(database);
  inspection.checkpoints = rows.size();
  const auto is_first = [&](std::size_t i) { return i == 0 || rows[i - 1].blob != rows[i].blob; };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (is_first(i)) inspection.bytes += static_cast<std::uintmax_t>(rows[i].bytes);
  }

  std::uintmax_t done = 0;
  std::optional<Defect> shared;  // what is wrong with the blob, found once for all its rows
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const auto size = blobs.size(row.blob);
    if (is_first(i)) {
      shared = size ? defect_of(blobs, row.blob, *size)
                    : Defect{Finding::Kind::Missing, "its blob is missing"};
      done += static_cast<std::uintmax_t>(row.bytes);
    }
    std::optional<Defect> defect = shared;
    if (size && *size != static_cast<std::uintmax_t>(row.bytes) &&
        (!defect || defect->kind == Finding::Kind::Bytes)) {
      defect = Defect{Finding::Kind::Size,
                      fmt::format("its blob is {} bytes long and should be {}", *size, row.bytes)};
    }
    if (meter) meter(done, inspection.bytes);
    if (!defect || !still_there(database, row)) continue;
    // Or it has gone and come again.
    if (defect->kind == Finding::Kind::Missing && blobs.size(row.blob)) continue;
    const bool unreadable = defect->kind == Finding::Kind::Unreadable;
    inspection.findings.push_back(
        {.kind = defect->kind,
         .subject = subject_of(database, row.state, row.step),
         .message = fmt::format("{} ({})", defect->message,
                                blobs.path(row.blob).lexically_relative(store_->folder()).string()),
         .advice = unreadable ? "check the disk and the permissions; once the file is away, "
                                "`perturb verify --repair` forgets the checkpoint"
                              : "",
         .repairable = !unreadable,
         .state = row.state});
  }
}

void Upkeep::examine_files(Inspection& inspection) const {
  if (!store_->state_->blobs) return;
  const auto report = [&](const fs::path& path, std::string_view message) {
    inspection.findings.push_back(
        unused_file(path.lexically_relative(store_->folder()).string(), message));
  };
  for (const Garbage& file : files()) {
    report(file.path, file.kind == Garbage::Kind::Blob   ? "no checkpoint refers to it"
                      : file.kind == Garbage::Kind::Work ? "left by a run that was killed"
                                                         : "left half written");
  }
  for (const fs::path& path : store_->blobs().list().leftovers) {
    if (!is_left_in_blobs(path)) report(path, "none of perturb's: `perturb gc` leaves it alone");
  }
}

std::vector<Finding> Upkeep::repair(const std::vector<Finding>& findings) {
  assert(store_->state_->writable);
  const bool sound = std::ranges::none_of(
      findings, [](const Finding& one) { return one.kind == Finding::Kind::Database; });
  std::vector<Finding> repaired;
  for (const Finding& finding : findings) {
    if (!finding.repairable || !sound) continue;
    store_->forget(finding.state);
    repaired.push_back(finding);
  }
  store_->flush();
  make_reserve(store_->folder());
  return repaired;
}

std::vector<Garbage> Upkeep::garbage() const {
  if (!store_->state_->blobs) return {};
  std::vector<Garbage> all = files();
  std::ranges::move(checkpoints(), std::back_inserter(all));
  return all;
}

std::vector<Garbage> Upkeep::files() const {
  std::vector<Garbage> found;
  const auto add = [&](Garbage::Kind kind, const fs::path& path, std::uintmax_t bytes) {
    found.push_back({.kind = kind, .path = path, .bytes = bytes, .subject = "", .state = {}});
  };
  for (const fs::path& path : entries_of(store_->folder())) {
    if (is_regular(path) && is_left_in_store(path.filename().string()))
      add(Garbage::Kind::Temporary, path, size_of(path));
    if (is_left_work(path)) add(Garbage::Kind::Work, path, size_of_folder(path));
  }
  // The folder before the rows: a blob whose row comes between the two is in use.
  const Blobs& blobs = *store_->state_->blobs;
  const Blobs::Listing listing = blobs.list();
  for (const fs::path& path : listing.leftovers) {
    if (is_left_in_blobs(path)) add(Garbage::Kind::Temporary, path, size_of(path));
  }
  for (const Digest& blob : listing.blobs) {
    Cursor row =
        store_->state_->database->kept("SELECT 1 FROM checkpoints WHERE blob = ?").rows(blob);
    if (!row.next()) add(Garbage::Kind::Blob, blobs.path(blob), blobs.size(blob).value_or(0));
  }
  return found;
}

std::vector<Garbage> Upkeep::checkpoints() const {
  const Store::State& state = *store_->state_;
  const Database& database = *state.database;
  const Snapshot snapshot(database);
  std::vector<Row> unwanted;
  std::unordered_set<Digest> kept;  // blobs
  for (const Row& row : rows_of(database)) {
    std::int64_t id = 0;
    {
      Cursor found = database.kept("SELECT id FROM states WHERE digest = ?").rows(row.state);
      if (found.next()) id = found.integer(0);
    }
    if (state.wanted(id) || state.held.contains(row.state))
      kept.insert(row.blob);
    else
      unwanted.push_back(row);
  }
  std::vector<Garbage> found;
  for (const Row& row : unwanted) {
    const bool frees = kept.insert(row.blob).second;  // the first of those that share it
    found.push_back({.kind = Garbage::Kind::Checkpoint,
                     .path = state.blobs->path(row.blob),
                     .bytes = frees ? state.blobs->size(row.blob).value_or(0) : 0,
                     .subject = subject_of(database, row.state, row.step),
                     .state = row.state});
  }
  return found;
}

void Upkeep::remove(const std::vector<Garbage>& garbage) {
  assert(store_->state_->writable);
  // Files first: they need no room in the log. Then a few rows at a time, for the same reason:
  // once these are committed their blobs go.
  constexpr std::size_t kRows = 64;
  for (const Garbage& one : garbage) {
    if (one.kind != Garbage::Kind::Checkpoint) remove_path(one.path);
  }
  std::size_t rows = 0;
  for (const Garbage& one : garbage) {
    if (one.kind != Garbage::Kind::Checkpoint) continue;
    store_->forget(one.state);
    if (++rows % kRows == 0) store_->flush();
  }
  store_->flush();
  make_reserve(store_->folder());
}

}  // namespace perturb
