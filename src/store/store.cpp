#include "perturb/store/store.h"

#include <algorithm>
#include <cassert>
#include <exception>
#include <sys/types.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/error.h"
#include "perturb/store/live.h"
#include "store/folder.h"
#include "store/host.h"
#include "store/migrate.h"
#include "store/state.h"
#include "store/views.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

bool there(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

/// Made under another name first: whoever sees results.db sees all tables.
void create_database(const fs::path& path) {
  check_no_orphaned_log(path);
  fs::path unfinished = path;
  unfinished += ".new";
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    fs::path left_over = unfinished;
    left_over += suffix;
    fs::remove(left_over);
  }
  {
    const Database database(unfinished, Database::Mode::Create);
    create_tables(database);
    // The file's own header says how it is written to. Changed under its final name, a kill in the
    // middle would leave a journal that readers may not roll back.
    database.execute(fmt::format("PRAGMA journal_mode = {}", journal_mode_for(path.parent_path())));
  }
  publish(unfinished, path);
}

std::unique_ptr<Database> open_database(const fs::path& folder) {
  const fs::path path = database_in(folder);
  if (!there(path)) create_database(path);
  auto database = std::make_unique<Database>(path, Database::Mode::Write);
  layout_of(*database);
  const std::string_view mode = journal_mode_for(folder);
  if (database->text(fmt::format("PRAGMA journal_mode = {}", mode)) != mode) {
    // A reader that has the file open in another mode, or a disk without shared memory.
    database->execute("PRAGMA journal_mode = truncate");
  }
  migrate(*database, migrations());
  return database;
}

}  // namespace

Store::State::~State() {
  if (!writable) return;
  try {
    flush();
  } catch (const std::exception&) {
    // What mattered was flushed before; see ~Store.
  }
  batch.reset();
  if (lock) database->checkpoint();
}

void Store::State::check_writable() const {
  assert(writable && "the store was opened to be read");
  if (!broken.empty()) {
    throw Error(ExitCode::Disk, broken, "run again: what was finished before is kept");
  }
}

void Store::State::write(const std::function<void()>& work) {
  check_writable();
  flush();
  try {
    Transaction transaction(*database);
    work();
    transaction.commit();
  } catch (const std::exception& exception) {
    metric_ids.clear();
    const auto* error = dynamic_cast<const Error*>(&exception);
    if (error && error->code() == ExitCode::Disk) broken = error->what();
    throw;
  }
}

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

bool Store::exists(const fs::path& folder) { return there(database_in(folder)); }

Store Store::open(const fs::path& folder, Access access) {
  auto state = std::make_unique<State>();
  state->folder = folder;
  if (access == Access::Read) {
    if (!exists(folder)) {
      throw Error(ExitCode::Usage, fmt::format("there is no store in {}", folder.string()),
                  "`perturb run FILE` makes one; --store names another folder");
    }
    state->database = std::make_unique<Database>(database_in(folder), Database::Mode::Read);
    if (const std::int64_t layout = layout_of(*state->database); layout < kLayout) {
      throw Error(ExitCode::Store,
                  fmt::format("{} was written by an older perturb (layout {} of {})",
                              state->database->path().string(), layout, kLayout),
                  "`perturb run FILE` brings it up to date, and leaves a copy of it");
    }
    state->blobs.emplace(folder);
    return Store(std::move(state));
  }

  prepare_folder(folder);
  state->lock = lock_folder(folder);
  if (access == Access::Remove) give_up_reserve(folder);
  remove_live(folder);  // of a run that was killed
  state->database = open_database(folder);
  state->writable = true;
  state->blobs.emplace(folder);
  // We hold the lock, so whoever has not ended a run never will.
  if (state->database->integer("SELECT count(*) FROM runs WHERE outcome IS NULL") > 0)
    state->database->execute("UPDATE runs SET outcome = 'died' WHERE outcome IS NULL");
  if (access == Access::Write) make_reserve(folder);
  return Store(std::move(state));
}

Store Store::in_memory() {
  auto state = std::make_unique<State>();
  state->database = std::make_unique<Database>(":memory:", Database::Mode::Memory);
  create_tables(*state->database);
  state->writable = true;
  return Store(std::move(state));
}

RunId Store::begin_run(const RunRow& run) {
  RunId id = 0;
  state_->write([&] {
    state_->database
        ->kept(
            "INSERT INTO runs (experiment, command, version, fingerprint, host, pid, started) "
            "VALUES (?, ?, ?, ?, ?, ?, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))")
        .run(run.experiment, run.command, run.version, run.fingerprint, host_name(),
             std::int64_t{::getpid()});
    id = state_->database->last_row();
  });
  return id;
}

void Store::end_run(RunId run, std::string_view outcome) {
  state_->write([&] {
    state_->database
        ->kept(
            "UPDATE runs SET outcome = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') "
            "WHERE id = ?")
        .run(outcome, run);
  });
}

void Store::flush() {
  state_->check_writable();
  state_->flush();
}

void Store::interrupt() const noexcept { state_->database->interrupt(); }

const fs::path& Store::folder() const { return state_->folder; }

const Blobs& Store::blobs() const {
  assert(state_->blobs && "a store in memory has no blobs");
  return *state_->blobs;
}

}  // namespace perturb
