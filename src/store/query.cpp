#include <algorithm>
#include <new>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sqlite3.h>

#include "perturb/core/diagnostic.h"
#include "perturb/core/error.h"
#include "store/state.h"

namespace perturb {

namespace {

/// What a question may do: read, and call SQLite's functions.
int permit(void*, int action, const char* table, const char* detail, const char*, const char*) {
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_READ:
      return table && std::string_view(table).starts_with("pragma_") ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_FUNCTION:
      return detail && std::string_view(detail) == "load_extension" ? SQLITE_DENY : SQLITE_OK;
    default:
      return SQLITE_DENY;
  }
}

/// The authorizer is asked while a statement is prepared; ours must not be subject to it.
class OnlyReading {
 public:
  explicit OnlyReading(sqlite3* handle) : handle_(handle) {
    ::sqlite3_set_authorizer(handle_, permit, nullptr);
  }
  OnlyReading(const OnlyReading&) = delete;
  OnlyReading& operator=(const OnlyReading&) = delete;
  ~OnlyReading() { ::sqlite3_set_authorizer(handle_, nullptr, nullptr); }

 private:
  sqlite3* handle_;
};

std::vector<std::string> names(const Database& database, std::string_view sql) {
  Statement statement(database, sql);
  Cursor rows = statement.rows();
  std::vector<std::string> all;
  while (rows.next()) all.emplace_back(rows.text(0));
  return all;
}

/// The rest of `message` behind `prefix`; empty when it starts otherwise.
std::string_view after(std::string_view message, std::string_view prefix) {
  return message.starts_with(prefix) ? message.substr(prefix.size()) : std::string_view();
}

std::string advice(const Database& database, std::string_view message) {
  if (const auto column = after(message, "no such column: "); !column.empty()) {
    const auto all = names(database,
                           "SELECT DISTINCT c.name FROM sqlite_schema AS t, "
                           "pragma_table_info(t.name) AS c WHERE t.type IN ('table', 'view')");
    const bool dotted = column.find('.') != std::string_view::npos;
    if (dotted && std::find(all.begin(), all.end(), column) != all.end())
      return fmt::format("a name with a dot in it has to be quoted: \"{}\"", column);
    const std::string near = nearest(column, all);
    if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
    return "docs/store.md lists the columns; `select * from results limit 1` shows them";
  }
  if (const auto table = after(message, "no such table: "); !table.empty()) {
    const auto all = names(database, "SELECT name FROM sqlite_schema WHERE type <> 'index'");
    const std::string near = nearest(table, all);
    if (!near.empty()) return fmt::format("did you mean \"{}\"?", near);
    return "the views are trials, results and contrasts";
  }
  return {};
}

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ExitCode::Usage, why, "ask one SELECT; nothing but `perturb run` writes to a store");
}

/// Throws the error that preparing or stepping ended in.
[[noreturn]] void fail(const Database& database, int result) {
  const int code = result & 0xFF;
  if (code == SQLITE_AUTH) refuse("only questions (SELECT) are answered");
  if (code != SQLITE_ERROR && code != SQLITE_TOOBIG && code != SQLITE_RANGE &&
      code != SQLITE_MISMATCH)
    database.fail(result);
  const std::string message = ::sqlite3_errmsg(database.get());
  const int offset = ::sqlite3_error_offset(database.get());
  throw Error(ExitCode::Usage,
              offset < 0 ? message : fmt::format("{} (at character {})", message, offset + 1),
              advice(database, message));
}

Statement prepare(const Database& database, const std::string& sql) {
  if (sql.find('\0') != std::string::npos) refuse("the question contains a zero byte");
  const char* text = sql.c_str();
  const auto next = [&] {
    sqlite3_stmt* prepared = nullptr;
    const auto left = static_cast<int>(sql.c_str() + sql.size() - text);
    const int result = [&] {
      const OnlyReading only(database.get());
      return ::sqlite3_prepare_v2(database.get(), text, left, &prepared, &text);
    }();
    Statement statement(database, prepared);
    if (result != SQLITE_OK) fail(database, result);
    return statement;
  };
  Statement statement = next();
  if (!statement.get()) refuse("there is no question");
  if (!::sqlite3_stmt_readonly(statement.get())) refuse("only questions (SELECT) are answered");
  // Comments and semicolons may follow, nothing else.
  while (*text != '\0') {
    if (next().get()) refuse("several statements at once are not answered");
  }
  return statement;
}

void bind(Statement& statement, const std::vector<Value>& arguments) {
  const auto wanted = static_cast<std::size_t>(::sqlite3_bind_parameter_count(statement.get()));
  if (arguments.size() != wanted) {
    throw Error(ExitCode::Usage, fmt::format("the question has {} arguments, and {} were given",
                                             wanted, arguments.size()));
  }
  int place = 0;
  for (const Value& value : arguments) statement.bind_value(++place, value);
}

Cell cell(sqlite3_stmt* statement, int column) {
  switch (::sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER:
      return ::sqlite3_column_int64(statement, column);
    case SQLITE_FLOAT:
      return ::sqlite3_column_double(statement, column);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(::sqlite3_column_text(statement, column));
      if (!text) throw std::bad_alloc();
      return std::string(text, static_cast<std::size_t>(::sqlite3_column_bytes(statement, column)));
    }
    case SQLITE_BLOB: {
      const auto* bytes =
          static_cast<const std::uint8_t*>(::sqlite3_column_blob(statement, column));
      const auto size = static_cast<std::size_t>(::sqlite3_column_bytes(statement, column));
      return hexadecimal({reinterpret_cast<const char*>(bytes), size});
    }
    default:
      return std::monostate();
  }
}

}  // namespace

void Store::query(const std::string& sql, const std::vector<Value>& arguments,
                  const RowReader& reader) const {
  const Database& database = *state_->database;
  Statement statement = prepare(database, sql);
  bind(statement, arguments);

  const int count = ::sqlite3_column_count(statement.get());
  std::vector<std::string> columns;
  for (int i = 0; i < count; ++i) {
    const char* name = ::sqlite3_column_name(statement.get(), i);
    columns.emplace_back(name ? name : "");
  }
  reader.columns(columns);

  std::vector<Cell> row(static_cast<std::size_t>(count));
  int result = SQLITE_ROW;
  while ((result = ::sqlite3_step(statement.get())) == SQLITE_ROW) {
    for (int i = 0; i < count; ++i) row[static_cast<std::size_t>(i)] = cell(statement.get(), i);
    if (!reader.row(row)) return;
  }
  if (result != SQLITE_DONE) fail(database, result);
}

Table Store::query(const std::string& sql, const std::vector<Value>& arguments) const {
  Table table;
  query(sql, arguments,
        {.columns = [&](const std::vector<std::string>& columns) { table.columns = columns; },
         .row =
             [&](const std::vector<Cell>& row) {
               table.rows.push_back(row);
               return true;
             }});
  return table;
}

}  // namespace perturb
