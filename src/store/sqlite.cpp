#include "store/sqlite.h"

#include <cassert>
#include <climits>
#include <cstring>
#include <new>
#include <utility>

#include <fmt/format.h>
#include <sqlite3.h>

#include "perturb/core/error.h"

namespace perturb {

namespace {

constexpr int kBusyMilliseconds = 10'000;
// Nothing that we store is near it, and a damaged size must not make us allocate a gigabyte.
constexpr int kLongestCell = 64 << 20;
// A declaration of 100,000 members changes pages all over the indices: with SQLite's 2 MB they
// would be written many times. Taken only when needed.
constexpr int kCacheKilobytes = 32 * 1024;

constexpr const char* kDamaged =
    "restore results.db from a copy, or move the folder away: the next `perturb run` then makes "
    "a new one";

Error error(int result, const std::string& what, const std::filesystem::path& path) {
  const std::string file = path.string();
  switch (result & 0xFF) {
    case SQLITE_CORRUPT:
    case SQLITE_FORMAT:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      return {ExitCode::Store, fmt::format("{} is damaged: {}", file, what), kDamaged};
    case SQLITE_ERROR:
      // Our own statements are tested: what is wrong is the tables that they find.
      return {ExitCode::Store, fmt::format("{} is not as it should be: {}", file, what), kDamaged};
    case SQLITE_NOTADB:
      return {ExitCode::Store, fmt::format("{} is not a database, or is damaged", file), kDamaged};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ExitCode::Locked, fmt::format("{} is being written to by another program", file),
              "close what else has it open for writing, then try again"};
    case SQLITE_FULL:
      return {ExitCode::Disk, fmt::format("cannot write {}: {}", file, what),
              "make room on the disk, then run again: what was finished is kept"};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return {ExitCode::Disk, fmt::format("cannot open {}: {}", file, what),
              "check the permissions of the file and of its folder; reading, too, may have to "
              "create results.db-wal and results.db-shm beside it"};
    case SQLITE_IOERR:
      return {ExitCode::Disk, fmt::format("cannot read or write {}: {}", file, what),
              "check the disk, then run again: what was finished is kept"};
    case SQLITE_INTERRUPT:
      return {ExitCode::Interrupted, "interrupted", ""};
    default:
      return {ExitCode::Store, fmt::format("{}: {}", file, what), ""};
  }
}

}  // namespace

Cursor::Cursor(Cursor&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Cursor::~Cursor() {
  // The result of reset repeats an error that `next` has reported already.
  if (statement_) ::sqlite3_reset(statement_);
}

bool Cursor::next() {
  const int result = ::sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) database_->fail(result);
  return false;
}

bool Cursor::null(int column) const {
  return ::sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::int64_t Cursor::integer(int column) const {
  return ::sqlite3_column_int64(statement_, column);
}

double Cursor::real(int column) const { return ::sqlite3_column_double(statement_, column); }

std::string_view Cursor::text(int column) const {
  const auto* bytes = ::sqlite3_column_text(statement_, column);
  if (!bytes) return {};
  return {reinterpret_cast<const char*>(bytes),
          static_cast<std::size_t>(::sqlite3_column_bytes(statement_, column))};
}

Digest Cursor::digest(int column) const {
  Digest digest;
  const void* bytes = ::sqlite3_column_blob(statement_, column);
  if (!bytes ||
      ::sqlite3_column_bytes(statement_, column) != static_cast<int>(digest.bytes.size())) {
    throw Error(
        ExitCode::Store,
        fmt::format("{} is damaged: an id is not 32 bytes long", database_->path().string()),
        kDamaged);
  }
  std::memcpy(digest.bytes.data(), bytes, digest.bytes.size());
  return digest;
}

Statement::Statement(const Database& database, std::string_view sql) : database_(&database) {
  check(::sqlite3_prepare_v3(database.get(), sql.data(), static_cast<int>(sql.size()),
                             SQLITE_PREPARE_PERSISTENT, &statement_, nullptr));
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), statement_(std::exchange(other.statement_, nullptr)) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  std::swap(database_, other.database_);
  std::swap(statement_, other.statement_);
  return *this;
}

Statement::~Statement() { ::sqlite3_finalize(statement_); }

void Statement::check(int result) const {
  if (result != SQLITE_OK) database_->fail(result);
}

void Statement::bind(int place, std::int64_t value, Lifetime) {
  check(::sqlite3_bind_int64(statement_, place, value));
}

void Statement::bind(int place, double value, Lifetime) {
  check(::sqlite3_bind_double(statement_, place, value));
}

void Statement::bind(int place, std::string_view value, Lifetime lifetime) {
  check(::sqlite3_bind_text64(statement_, place, value.data() ? value.data() : "", value.size(),
                              lifetime == Lifetime::Copied ? SQLITE_TRANSIENT : SQLITE_STATIC,
                              SQLITE_UTF8));
}

void Statement::bind(int place, const Digest& value, Lifetime lifetime) {
  check(::sqlite3_bind_blob(statement_, place, value.bytes.data(),
                            static_cast<int>(value.bytes.size()),
                            lifetime == Lifetime::Copied ? SQLITE_TRANSIENT : SQLITE_STATIC));
}

void Statement::bind_null(int place) { check(::sqlite3_bind_null(statement_, place)); }

void Statement::bind_value(int place, const Value& value) {
  if (value.is_bool()) {
    bind(place, std::int64_t{value.as_bool()}, Lifetime::Borrowed);
  } else if (value.is_int()) {
    bind(place, value.as_int(), Lifetime::Borrowed);
  } else if (value.is_float()) {
    bind(place, value.as_float(), Lifetime::Borrowed);
  } else if (value.is_string()) {
    bind(place, std::string_view(value.as_string()), Lifetime::Borrowed);
  } else {
    bind(place, std::string_view(to_json(value)), Lifetime::Copied);
  }
}

void Statement::clear() { ::sqlite3_clear_bindings(statement_); }

void Statement::run_bound() {
  Cursor cursor(*database_, statement_);
  cursor.next();
}

Cursor Statement::start(int arguments) {
  assert(!::sqlite3_stmt_busy(statement_) && "a kept statement is used by one cursor at a time");
  assert(arguments == ::sqlite3_bind_parameter_count(statement_));
  (void)arguments;
  return {*database_, statement_};
}

void Database::Close::operator()(sqlite3* handle) const noexcept { ::sqlite3_close_v2(handle); }

Database::Database(std::filesystem::path path, Mode mode) : path_(std::move(path)) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (mode) {
    case Mode::Read:
      flags |= SQLITE_OPEN_READONLY;
      break;
    case Mode::Write:
      flags |= SQLITE_OPEN_READWRITE;
      break;
    case Mode::Create:
    case Mode::Memory:
      flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
      break;
  }
  // Absolute, so that no folder's name is taken for a URI or for ":memory:".
  const std::string name =
      mode == Mode::Memory ? ":memory:" : std::filesystem::absolute(path_).string();
  sqlite3* handle = nullptr;
  const int result = ::sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  handle_.reset(handle);
  if (!handle) throw std::bad_alloc();
  if (result != SQLITE_OK) fail(result);
  configure(mode);
}

Database::~Database() = default;

void Database::configure(Mode mode) const {
  sqlite3* handle = handle_.get();
  ::sqlite3_busy_timeout(handle, kBusyMilliseconds);
  ::sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kLongestCell);
  // The file may come from anywhere: nothing in it may act.
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_FKEY, 1, nullptr);
  // Otherwise a misspelt "optimizer.lrr" would be a string, not an error.
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  execute(fmt::format("PRAGMA cell_size_check = ON; PRAGMA cache_size = {}", -kCacheKilobytes));
  if (mode == Mode::Read) {
    ::sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    execute("PRAGMA query_only = ON");
  } else {
    // An empty log stays beside the closed database, so that whoever may read the folder but
    // not write to it can open the store.
    int keep = 1;
    ::sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    execute("PRAGMA synchronous = FULL");
  }
}

void Database::execute(const std::string& sql) const {
  const int result = ::sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) fail(result);
}

std::int64_t Database::integer(std::string_view sql) const {
  Statement statement(*this, sql);
  Cursor cursor = statement.rows();
  return cursor.next() ? cursor.integer(0) : 0;
}

std::string Database::text(std::string_view sql) const {
  Statement statement(*this, sql);
  Cursor cursor = statement.rows();
  return cursor.next() ? std::string(cursor.text(0)) : std::string();
}

Statement& Database::kept(std::string_view sql) const {
  const auto found = kept_.find(sql);
  if (found != kept_.end()) return found->second;
  return kept_.emplace(sql, Statement(*this, sql)).first->second;
}

std::int64_t Database::last_row() const { return ::sqlite3_last_insert_rowid(handle_.get()); }

std::int64_t Database::changes() const { return ::sqlite3_changes64(handle_.get()); }

bool Database::in_transaction() const { return ::sqlite3_get_autocommit(handle_.get()) == 0; }

void Database::interrupt() const noexcept { ::sqlite3_interrupt(handle_.get()); }

bool Database::checkpoint() const noexcept {
  // Whoever reads now keeps the log from being emptied; that is no reason to wait.
  ::sqlite3_busy_timeout(handle_.get(), 0);
  const int result = ::sqlite3_wal_checkpoint_v2(handle_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE,
                                                 nullptr, nullptr);
  ::sqlite3_busy_timeout(handle_.get(), kBusyMilliseconds);
  return result == SQLITE_OK;
}

void Database::fail(int result) const {
  if ((result & 0xFF) == SQLITE_NOMEM) throw std::bad_alloc();
  throw error(result, ::sqlite3_errmsg(handle_.get()), path_);
}

Transaction::Transaction(const Database& database) : database_(database) {
  database_.kept("BEGIN IMMEDIATE").run();
}

Transaction::~Transaction() {
  // After some errors SQLite has rolled back on its own.
  if (open_ && database_.in_transaction())
    ::sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.kept("COMMIT").run();
  open_ = false;
}

Savepoint::Savepoint(const Database& database) : database_(database) {
  database_.kept("SAVEPOINT part").run();
}

Savepoint::~Savepoint() {
  if (open_ && database_.in_transaction())
    ::sqlite3_exec(database_.get(), "ROLLBACK TO part; RELEASE part", nullptr, nullptr, nullptr);
}

void Savepoint::release() {
  database_.kept("RELEASE part").run();
  open_ = false;
}

Snapshot::Snapshot(const Database& database)
    : database_(database), open_(!database.in_transaction()) {
  if (open_) database_.kept("BEGIN").run();
}

Snapshot::~Snapshot() {
  if (open_ && database_.in_transaction())
    ::sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

std::string sql_name(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + "\"";
}

}  // namespace perturb
