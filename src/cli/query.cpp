#include <cmath>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

std::string text_of(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return {};
}

nlohmann::json json_of(const Cell& cell) {
  if (const auto* integer = std::get_if<std::int64_t>(&cell)) return *integer;
  if (const auto* number = std::get_if<double>(&cell)) {
    // JSON has no infinity; as text it is at least not lost.
    if (std::isfinite(*number)) return *number;
    return fmt::format("{}", *number);
  }
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  return nullptr;
}

void write_json(const Table& table, Output& out) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& row : table.rows) {
    nlohmann::json object = nlohmann::json::object();
    for (std::size_t i = 0; i < row.size(); ++i) object[table.columns[i]] = json_of(row[i]);
    rows.push_back(std::move(object));
  }
  out.line(rows.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void write_csv(const Table& table, CsvReader reader, Output& out) {
  out.write(csv_line(table.columns, reader));
  std::vector<std::string> cells(table.columns.size());
  for (const auto& row : table.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) cells[i] = text_of(row[i]);
    out.write(csv_line(cells, reader));
  }
}

void write_text(const Table& table, Output& out) {
  std::vector<TextTable::Column> columns;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    bool numbers = !table.rows.empty();
    for (const auto& row : table.rows)
      numbers = numbers && !std::holds_alternative<std::string>(row[i]);
    columns.push_back({.title = table.columns[i],
                       .align = numbers ? Align::Right : Align::Left,
                       .flexible = !numbers});
  }
  TextTable text(columns);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (const Cell& cell : row)
      cells.push_back(std::holds_alternative<std::monostate>(cell) ? "null" : text_of(cell));
    text.add(std::move(cells));
  }
  out.write(text.text({.color = out.color(), .width = out.width()}));
}

}  // namespace

void add_query(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("query", "Ask the store in SQL");
  command->footer(
      "The views trials, results and contrasts are made for this; docs/store.md describes them.\n"
      "An aligned table on a terminal, CSV into a pipe. Reads only.\n\n"
      "Examples:\n"
      "  perturb query momentum.toml \"select intervention, avg(value) from results\n"
      "      where metric = 'test.accuracy' group by intervention\"\n"
      "  perturb query --store results --csv \"select * from trials\" > trials.csv");
  struct Options {
    std::vector<std::string> words;
    bool csv = false;
    bool spreadsheet = false;
    bool table = false;
  };
  auto options = std::make_shared<Options>();
  command
      ->add_option("ARGUMENTS", options->words,
                   "The experiment file whose store is asked (else --store), then the SELECT")
      ->required()
      ->expected(1, 2)
      ->type_name("[FILE] SQL");
  auto* csv =
      command->add_flag("--csv", options->csv, "Comma-separated values, even on a terminal");
  auto* spreadsheet =
      command->add_flag("--spreadsheet", options->spreadsheet,
                        "As --csv, but no text is taken for a formula: one that looks like it gets "
                        "a ' before it");
  command->add_flag("--table", options->table, "An aligned table, even into a pipe")
      ->excludes(csv)
      ->excludes(spreadsheet);
  context.on(command, [&context, options] {
    const std::filesystem::path file = options->words.size() == 2 ? options->words.front() : "";
    const std::filesystem::path folder = context.store_folder(file);
    if (!Store::exists(folder))
      throw Error(ExitCode::Usage, "there is no store in \"" + folder.string() + "\"",
                  "name the experiment file before the SELECT, or the store by --store");
    const Table table = Store::open(folder, Store::Access::Read).query(options->words.back());
    if (context.json)
      write_json(table, context.out);
    else if (options->table || (context.out.terminal() && !options->csv && !options->spreadsheet))
      write_text(table, context.out);
    else
      write_csv(table, options->spreadsheet ? CsvReader::Spreadsheet : CsvReader::Program,
                context.out);
    return ExitCode::Done;
  });
}

}  // namespace perturb
