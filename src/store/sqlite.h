// A thin layer over SQLite: who owns what, prepared statements that are kept, and errors as
// perturb::Error. Knows nothing of the store's tables. Nothing outside src/store sees SQLite.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "perturb/core/digest.h"
#include "perturb/core/value.h"

struct sqlite3;
struct sqlite3_stmt;

namespace perturb {

class Database;

/// A statement under way. Ends, and with it its hold on the database, when destroyed.
class Cursor {
 public:
  Cursor(Cursor&& other) noexcept;
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor();

  /// Moves to the next row; false when there is none.
  bool next();

  /// Columns of the row, counted from 0. Text lives until the next call of `next`.
  bool null(int column) const;
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string_view text(int column) const;
  /// Throws Error(Store) when the column does not hold 32 bytes.
  Digest digest(int column) const;

 private:
  friend class Statement;
  Cursor(const Database& database, sqlite3_stmt* statement)
      : database_(&database), statement_(statement) {}
  const Database* database_;
  sqlite3_stmt* statement_;
};

class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  /// Takes over what was prepared elsewhere.
  Statement(const Database& database, sqlite3_stmt* prepared)
      : database_(&database), statement_(prepared) {}
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  /// Starts with these arguments, which are copied.
  template <typename... Arguments>
  Cursor rows(const Arguments&... arguments) {
    int place = 0;
    (bind(++place, arguments, Lifetime::Copied), ...);
    return start(place);
  }

  /// Carries out a statement that gives no rows. Arguments are not copied.
  template <typename... Arguments>
  void run(const Arguments&... arguments) {
    int place = 0;
    (bind(++place, arguments, Lifetime::Borrowed), ...);
    Cursor cursor = start(place);
    cursor.next();
  }

  /// For statements whose number of arguments is not known when this is compiled. Text has to
  /// live until `run_bound`.
  void bind_value(int place, const Value& value);
  void bind_integer(int place, std::int64_t value) { bind(place, value, Lifetime::Borrowed); }
  void clear();
  void run_bound();

  sqlite3_stmt* get() const { return statement_; }

 private:
  enum class Lifetime { Copied, Borrowed };
  void bind(int place, std::int64_t value, Lifetime);
  void bind(int place, double value, Lifetime);
  void bind(int place, std::string_view value, Lifetime lifetime);
  void bind(int place, const Digest& value, Lifetime lifetime);
  template <typename T>
  void bind(int place, const std::optional<T>& value, Lifetime lifetime) {
    value ? bind(place, *value, lifetime) : bind_null(place);
  }
  void bind_null(int place);
  void check(int result) const;
  Cursor start(int arguments);

  const Database* database_;
  sqlite3_stmt* statement_ = nullptr;
};

class Database {
 public:
  enum class Mode {
    Read,    ///< never writes, not even a checkpoint
    Write,   ///< the file exists
    Create,  ///< it does not
    Memory,
  };

  /// Errors name `path`; nothing is read yet, so that a damaged file shows at the first use.
  Database(std::filesystem::path path, Mode mode);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  /// Any number of statements, without arguments.
  void execute(const std::string& sql) const;
  /// The first cell of the first row; 0 when it is null or there is none.
  std::int64_t integer(std::string_view sql) const;
  std::string text(std::string_view sql) const;
  /// A statement that is kept prepared. `sql` must be a literal: it is the key.
  Statement& kept(std::string_view sql) const;

  std::int64_t last_row() const;
  std::int64_t changes() const;
  bool in_transaction() const;
  /// From any thread: what is under way ends with Error(Interrupted).
  void interrupt() const noexcept;
  /// Moves everything from the log into the file. False while a reader is in the way.
  bool checkpoint() const noexcept;

  const std::filesystem::path& path() const { return path_; }
  sqlite3* get() const { return handle_.get(); }
  /// What `result` (not OK) of the last call means to the user.
  [[noreturn]] void fail(int result) const;

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };
  void configure(Mode mode) const;

  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
  mutable std::unordered_map<std::string_view, Statement> kept_;  // gone before the handle
};

/// BEGIN IMMEDIATE: the right to write is taken first, not in the middle. Rolled back by the
/// destructor unless committed.
class Transaction {
 public:
  explicit Transaction(const Database& database);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();
  void commit();

 private:
  const Database& database_;
  bool open_ = true;
};

/// A part of a transaction that can be taken back alone.
class Savepoint {
 public:
  explicit Savepoint(const Database& database);
  Savepoint(const Savepoint&) = delete;
  Savepoint& operator=(const Savepoint&) = delete;
  ~Savepoint();
  void release();

 private:
  const Database& database_;
  bool open_ = true;
};

/// Several statements that see one state of the database, whatever is written meanwhile.
class Snapshot {
 public:
  explicit Snapshot(const Database& database);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

 private:
  const Database& database_;
  bool open_;
};

/// A name as SQL has it: "optimizer.lr", quotes doubled.
std::string sql_name(std::string_view name);

}  // namespace perturb
