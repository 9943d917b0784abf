#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/fetch.h"
#include "perturb/catalog/data_files.h"
#include "perturb/catalog/formats.h"
#include "perturb/core/diagnostic.h"
#include "perturb/core/files.h"
#include "perturb/report/table.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Options {
  std::string name;
  fs::path to;
  std::string from;
};

std::string dumped(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

const DataSource& source_of(const Context& context, const std::string& name) {
  if (const auto* source = find_source(name)) return *source;
  if (context.schema.find(Family::Data, name)) {
    throw Error(ExitCode::Usage, "\"" + name + "\" has no files that could be fetched or checked",
                "`perturb describe " + name + "` says where its examples come from");
  }
  std::vector<std::string> names;
  std::string all;
  for (const auto& source : data_sources()) {
    names.emplace_back(source.kind);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  const std::string near = nearest(name, names);
  throw Error(ExitCode::Usage, "there is no data set \"" + name + "\"",
              near.empty() ? "those with files are " + all : "did you mean \"" + near + "\"?");
}

/// Where the examples of a kind without files come from.
std::string origin(const Component& data) {
  if (data.plugin) return "from plugin " + data.plugin->file;
  if (data.name == "iris") return "built in";
  const bool file = data.find("file") || data.find("experiment");
  return file ? "named in the experiment" : "generated";
}

std::string command_for(const DataSource& source) {
  std::string text = "perturb data fetch " + std::string(source.kind);
  if (!source.package.empty()) text += ", or apt install " + std::string(source.package);
  return text;
}

ExitCode list_data(Context& context) {
  const auto folders = data_folders(context.data_options(""));
  TextTable table({{"data set"}, {"state"}, {"where, or how to get it", Align::Left, true}});
  Json rows = Json::array();
  for (const auto* data : context.schema.all(Family::Data)) {
    const DataSource* source = find_source(data->name);
    if (!source) {
      table.add({data->name, "-", origin(*data)});
      rows.push_back({{"name", data->name}, {"state", origin(*data)}});
      continue;
    }
    const Located located = locate(data->name, folders);
    Json row = {{"name", data->name}, {"state", located.complete ? "found" : "missing"}};
    if (located.complete) {
      const std::string folder = located.files.front().parent_path().string();
      table.add({data->name, "found", folder}, Ink::Green);
      row["folder"] = folder;
      for (const auto& file : located.files) row["files"].push_back(file.string());
    } else {
      table.add({data->name, "missing", command_for(*source)}, Ink::Yellow);
      row["fetch"] = "perturb data fetch " + data->name;
      row["package"] = source->package;
      row["remark"] = located.remark;
      if (!located.remark.empty()) table.add({"", "", located.remark});
    }
    rows.push_back(row);
  }
  if (context.json) {
    Json looked = Json::array();
    for (const auto& folder : folders) looked.push_back(folder.string());
    context.out.write(dumped({{"data", rows}, {"looked_in", looked}}));
    return ExitCode::Done;
  }
  context.out.write(
      table.text({.color = context.out.color(), .widest_cell = 200, .width = context.out.width()}));
  context.out.write("\nLooked in:\n");
  for (const auto& folder : folders) context.out.line("  " + printable(folder.string()));
  return ExitCode::Done;
}

struct Verdict {
  std::string state;    ///< ok, other content, damaged
  std::string message;  ///< what is wrong
};

Verdict examine(const DataFile& file, const fs::path& path) {
  try {
    const std::string bytes = read_maybe_gzip(path, kMostDecodedBytes);
    const auto examples = inspect(file, bytes);
    if (sha256(bytes).hex() == file.sha256) return {"ok", ""};
    return {"other content",
            fmt::format("{} examples in the right form, but not the official ones", examples)};
  } catch (const Error& error) {
    return {"damaged", error.what()};
  }
}

ExitCode check_data(Context& context, const std::string& name) {
  const auto folders = data_folders(context.data_options(""));
  TextTable table({{"data set"}, {"file", Align::Left, true}, {"state"}, {"what is wrong"}});
  Json rows = Json::array();
  bool sound = true;
  for (const auto& source : data_sources()) {
    if (!name.empty() && &source != &source_of(context, name)) continue;
    const Located located = locate(source.kind, folders);
    if (!located.complete && !name.empty()) {
      throw Error(ExitCode::Usage, "there is no " + name + " to check",
                  how_to_get(source.kind, located));
    }
    for (std::size_t i = 0; i < located.files.size(); ++i) {
      const std::string path = located.files[i].string();
      const Verdict verdict = examine(source.files[i], located.files[i]);
      const bool fine = verdict.state == "ok";
      sound = sound && fine;
      table.add({std::string(source.kind), path, verdict.state, verdict.message},
                fine ? Ink::Green : Ink::Red);
      rows.push_back({{"name", source.kind},
                      {"file", path},
                      {"state", verdict.state},
                      {"message", verdict.message}});
    }
  }
  if (context.json) {
    context.out.write(dumped(rows));
  } else {
    context.out.write(table.text(
        {.color = context.out.color(), .widest_cell = 200, .width = context.out.width()}));
  }
  if (rows.empty()) context.err.line("no data set was found; `perturb data` says how to get one");
  return sound ? ExitCode::Done : ExitCode::Found;
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

/// A line that is written over on a terminal; elsewhere one line a file, when it has come.
Meter meter_on(Output& err) {
  auto last = std::make_shared<std::string>();
  return [&err, last](const std::string& name, std::int64_t got, std::int64_t all) {
    if (got <= 0) {  // it failed: leave no half line before the message
      if (err.terminal() && !last->empty()) err.write("\r\x1b[K");
      return last->clear();
    }
    const bool whole = got == all;
    const std::string text =
        fmt::format("{}  {}{}", name, megabytes(got), all > got ? " of " + megabytes(all) : "");
    if (text == *last || (!err.terminal() && !whole)) return;
    *last = text;
    err.write(err.terminal() ? "\r\x1b[K" + text + (whole ? "\n" : "") : text + "\n");
    err.flush();
  };
}

ExitCode fetch_data(Context& context, const Options& options) {
  const DataSource& source = source_of(context, options.name);
  const bool asked = !options.to.empty() || !options.from.empty();
  const Located located = locate(source.kind, data_folders(context.data_options("")));
  std::vector<fs::path> files = located.files;
  if (asked || !located.complete) {
    const fs::path base = options.to.empty() ? user_data_folder() : options.to;
    if (base.empty()) {
      throw Error(ExitCode::Usage, "there is no home folder to put data into",
                  "name a folder with --to, and later with --data");
    }
    FetchOptions wanted{
        .folder = base / source.folders.front(), .addresses = {}, .meter = meter_on(context.err)};
    if (!options.from.empty()) wanted.addresses = {options.from};
    files = fetch(source, wanted);
  }
  const std::string folder = files.front().parent_path().string();
  if (!context.json) {
    context.out.line(options.name + " is in " + printable(folder));
    return ExitCode::Done;
  }
  Json listed = Json::array();
  for (const auto& file : files) listed.push_back(file.string());
  context.out.write(dumped({{"name", source.kind}, {"folder", folder}, {"files", listed}}));
  return ExitCode::Done;
}

}  // namespace

void add_data(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("data", "Say where data sets are; fetch and check them");
  command->footer(
      "Examples:\n"
      "  perturb data                      where each data set is, or how to get it\n"
      "  perturb data fetch fashion-mnist\n"
      "  perturb data check                checksums of all that are there");

  CLI::App* fetch =
      command->add_subcommand("fetch", "Download a data set from its official place and check it");
  fetch->add_option("NAME", options->name, "fashion-mnist, mnist or cifar10")->required();
  fetch
      ->add_option("--to", options->to,
                   "Data folder; the files go into its subfolder NAME (default: your data folder)")
      ->type_name("FOLDER");
  fetch->add_option("--from", options->from, "Folder on the web to take the files from instead")
      ->type_name("URL");

  CLI::App* check = command->add_subcommand(
      "check", "Check form and checksums; ends with 6 if a file is not the official one");
  check->add_option("NAME", options->name, "Only this data set");

  // One action for the three: CLI11 calls a command's callback after its subcommand's.
  context.on(command, [&context, options, fetch, check] {
    if (fetch->parsed()) return fetch_data(context, *options);
    if (check->parsed()) return check_data(context, options->name);
    return list_data(context);
  });
}

}  // namespace perturb
