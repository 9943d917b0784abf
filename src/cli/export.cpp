#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>
#include <system_error>
#include <unistd.h>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/cells.h"
#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/export_robustness.h"
#include "cli/find_trial.h"
#include "cli/row_writer.h"
#include "cli/wording.h"
#include "perturb/core/files.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

struct Options {
  ExperimentArguments arguments;
  std::string checkpoint;  // a trial
  std::optional<std::int64_t> step;
  std::string table;  // a view; empty: `results`
  std::string format;
  bool spreadsheet = false;
  fs::path robustness;  // a folder
  fs::path to;
  bool force = false;
};

Store open_store(const Context& context, const Options& options) {
  const fs::path folder = context.store_folder(options.arguments.file);
  if (!Store::exists(folder))
    throw Error(ExitCode::Usage, "there is no store in \"" + folder.string() + "\"",
                "name the experiment file beside it, or the store by --store");
  return Store::open(folder, Store::Access::Read);
}

/// Throws unless something may be written there: nothing, or with --force a file.
void check_free(const fs::path& path, bool force) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(path, error).type();
  if (type == fs::file_type::not_found) return;
  if (type != fs::file_type::regular && type != fs::file_type::none)
    throw Error(ExitCode::Usage, path.string() + " is there already, and is no file",
                "name another one with -o");
  if (!force)
    throw Error(ExitCode::Usage, "there is already a file " + path.string(),
                "--force replaces it, -o names another one");
}

// Checkpoints.

/// The trial of that number in the experiment file.
Digest numbered(Context& context, const Options& options) {
  const Loaded loaded = options.arguments.load(context);
  const Experiment& experiment = loaded.experiment;
  std::size_t number = experiment.trials();
  const std::string& word = options.checkpoint;
  std::from_chars(word.data(), word.data() + word.size(), number);
  if (number >= experiment.trials()) {
    throw Error(ExitCode::Usage,
                fmt::format("{} has no trial {}", options.arguments.file.string(), word),
                fmt::format("it has {}, numbered from 0; `perturb plan FILE --all` shows them",
                            counted(experiment.trials(), "trial")));
  }
  const Trial trial = experiment.trial(number);
  for (const std::string& missing : *loaded.missing_data)
    context.err.line("note: without the data it is not known which trial this is: " +
                     printable(missing));
  return trial.id;
}

Digest trial_of(Context& context, const Options& options, const Store& store) {
  const bool digits = options.checkpoint.find_first_not_of("0123456789") == std::string::npos;
  if (digits && !options.arguments.file.empty()) return numbered(context, options);
  return find_trial(store, options.checkpoint).trial;
}

struct Kept {
  std::int64_t step = 0;
  Digest blob;
  std::string state;
};

/// The trial's checkpoints, by step.
std::vector<Kept> checkpoints_of(const Store& store, const Digest& trial) {
  std::vector<Kept> all;
  // By the states that it goes through: another trial may have left the checkpoint.
  const Table rows = store.query(
      "SELECT s.step, c.blob, x.digest FROM all_trials AS t "
      "CROSS JOIN trial_states AS s ON s.trial = t.id "
      "CROSS JOIN checkpoints AS c ON c.state = s.state "
      "CROSS JOIN states AS x ON x.id = s.state WHERE lower(hex(t.digest)) = ? ORDER BY s.step",
      {trial.hex()});
  for (const auto& row : rows.rows) {
    all.push_back(
        {std::get<std::int64_t>(row[0]), *Digest::from_hex(text_of(row[1])), text_of(row[2])});
  }
  return all;
}

const Kept& chosen(const std::vector<Kept>& all, const Digest& trial,
                   std::optional<std::int64_t> step) {
  if (all.empty()) {
    throw Error(ExitCode::Usage, "the store has no checkpoint of trial " + trial.brief(),
                "`checkpoints.keep` and `checkpoints.every` of the experiment say which are made; "
                "`perturb run` makes them");
  }
  if (!step) return all.back();
  const auto found = std::ranges::find(all, *step, &Kept::step);
  if (found != all.end()) return *found;
  constexpr std::size_t kNamed = 20;
  std::vector<std::string> steps;
  for (std::size_t i = 0; i < std::min(all.size(), kNamed); ++i)
    steps.push_back(std::to_string(all[i].step));
  if (all.size() > kNamed) steps.push_back(fmt::format("{} more", all.size() - kNamed));
  throw Error(ExitCode::Usage,
              fmt::format("there is no checkpoint of trial {} at step {}", trial.brief(), *step),
              "there is one at " + listed(steps));
}

/// The bytes of the checkpoint that is chosen, and which it is.
std::string read_checkpoint(const Store& store, const Digest& trial,
                            std::optional<std::int64_t> step, Kept& kept) {
  // A run that goes on may replace it after we have seen its row.
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    kept = chosen(checkpoints_of(store, trial), trial, step);
    try {
      return store.blobs().get(kept.blob);
    } catch (const Error& error) {
      if (error.code() != ExitCode::Store) throw;
      if (attempt < kAttempts && !store.blobs().size(kept.blob)) continue;
      throw Error(ExitCode::Store, error.what(),
                  "`perturb verify --repair` forgets it, and the next run trains it again");
    }
  }
}

ExitCode export_checkpoint(Context& context, const Options& options) {
  const Store store = open_store(context, options);
  const Digest trial = trial_of(context, options, store);
  Kept kept;
  const std::string bytes = read_checkpoint(store, trial, options.step, kept);
  const fs::path to = options.to.empty()
                          ? fs::path(fmt::format("{}-{}.safetensors", trial.brief(), kept.step))
                          : options.to;
  check_free(to, options.force);
  write_atomically(to, bytes);
  if (context.json) {
    const nlohmann::json all = {{"file", to.string()},   {"trial", trial.hex()},
                                {"step", kept.step},     {"state", kept.state},
                                {"bytes", bytes.size()}, {"sha256", kept.blob.hex()}};
    context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return ExitCode::Done;
  }
  context.out.line(fmt::format("{}: trial {} at step {}, {}", printable(to.string()), trial.brief(),
                               kept.step, byte_size(bytes.size())));
  return ExitCode::Done;
}

// Results and contrasts.

/// A file that gets its name when it is whole, and goes otherwise.
class Unfinished {
 public:
  explicit Unfinished(fs::path path) : path_(std::move(path)), temporary_(path_) {
    temporary_ += fmt::format(".tmp-{}", ::getpid());
    file_ = std::fopen(temporary_.c_str(), "wxb");
    if (!file_) fail();
  }
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() {
    if (file_) std::fclose(file_);
    if (!done_) ::unlink(temporary_.c_str());
  }

  std::FILE* file() const { return file_; }
  void finish() {
    if (std::fclose(std::exchange(file_, nullptr)) != 0) fail();
    publish(temporary_, path_);
    done_ = true;
  }

 private:
  [[noreturn]] void fail() const {
    throw Error(ExitCode::Disk,
                fmt::format("cannot write {}: {}", path_.string(),
                            std::error_code(errno, std::generic_category()).message()),
                "check the folder, its permissions and the room on the disk");
  }

  fs::path path_;
  fs::path temporary_;
  std::FILE* file_ = nullptr;
  bool done_ = false;
};

void write_rows(const Store& store, const std::string& view, const std::string& experiment,
                RowWriter& writer) {
  store.query(
      "SELECT * FROM " + view + " WHERE experiment = ? ORDER BY experiment, number, step, metric",
      {experiment},
      {.columns = [&](const std::vector<std::string>& names) { writer.columns(names); },
       .row =
           [&](const std::vector<Cell>& cells) {
             writer.row(cells);
             return true;
           }});
}

ExitCode export_rows(Context& context, const Options& options) {
  const std::string table = options.table.empty() ? "results" : options.table;
  if (options.arguments.file.empty())
    throw Error(ExitCode::Usage, fmt::format("whose {}? an experiment file is missing", table),
                fmt::format("`perturb export FILE --table {}`", table));
  const Store store = open_store(context, options);
  const std::string name = options.arguments.load(context).experiment.name();
  if (store.query("SELECT 1 FROM experiments WHERE name = ?", {name}).rows.empty())
    throw Error(ExitCode::Usage, "the store holds no experiment \"" + name + "\"",
                "`perturb run " + options.arguments.file.string() + "` makes its results");
  const CsvReader reader = options.spreadsheet ? CsvReader::Spreadsheet : CsvReader::Program;
  if (options.to.empty()) {
    write_rows(store, table, name, *writer_of(options.format, reader, context.out));
    return ExitCode::Done;
  }
  check_free(options.to, options.force);
  Unfinished file(options.to);
  Output out(file.file());
  write_rows(store, table, name, *writer_of(options.format, reader, out));
  out.flush();
  file.finish();
  return ExitCode::Done;
}

ExitCode run_export(Context& context, const Options& options) {
  if (!options.checkpoint.empty()) return export_checkpoint(context, options);
  if (!options.robustness.empty())
    return export_robustness(context, options.arguments, options.robustness);
  if (!options.table.empty() || !options.format.empty() || options.spreadsheet)
    return export_rows(context, options);
  throw Error(
      ExitCode::Usage, "it is not said what to export",
      "--checkpoint TRIAL, --table results, or --robustness FOLDER; `perturb export --help` "
      "shows examples");
}

}  // namespace

void add_export(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("export", "Copy a checkpoint or results out of the store");
  command->footer(
      "A checkpoint is a safetensors file: named weights and the optimizer's moments. A table has\n"
      "the rows of the view of that name as the file was last run: NaN is empty (CSV) or null, "
      "and\n"
      "every number reads back as the same 64 bits. `perturb show FILE --csv` writes the "
      "statistics.\n"
      "--robustness merges what noise on the weights does to networks trained with and without it\n"
      "into summary.csv, sweep.csv and results.json of a folder (docs/robustness.md).\n\n"
      "Examples:\n"
      "  perturb export momentum.toml --checkpoint 3 -o control.safetensors\n"
      "  perturb export --store results --checkpoint 5f1c20 --step 1200\n"
      "  perturb export momentum.toml --table results -o momentum.csv\n"
      "  perturb export momentum.toml --table contrasts --format jsonl\n"
      "  perturb export mnist.toml --robustness results");
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  command->get_option("FILE")->required(false);
  auto* checkpoint =
      command
          ->add_option("--checkpoint", options->checkpoint,
                       "The trial: its number in FILE, EXPERIMENT:NUMBER, or 4 digits and more of "
                       "its id")
          ->type_name("TRIAL");
  command->add_option("--step", options->step, "Of that step; else the newest")
      ->needs(checkpoint)
      ->type_name("N");
  const std::vector<std::string> tables = {"results", "contrasts"};
  auto* table =
      command
          ->add_option("--table", options->table,
                       "results: every value; contrasts: every value of an intervention beside its "
                       "control's")
          ->excludes(checkpoint)
          ->check(CLI::IsMember(tables))
          ->type_name("TABLE");
  const std::vector<std::string> formats = {"csv", "jsonl"};
  auto* format = command
                     ->add_option("--format", options->format,
                                  "Of the table: csv (default), or jsonl for a JSON object a line")
                     ->excludes(checkpoint)
                     ->check(CLI::IsMember(formats))
                     ->type_name("FORMAT");
  auto* spreadsheet =
      command
          ->add_flag("--spreadsheet", options->spreadsheet,
                     "CSV in which no text is taken for a formula: one that looks like it gets a ' "
                     "before it")
          ->excludes(checkpoint)
          ->excludes(format);
  auto* output = command
                     ->add_option("-o,--output", options->to,
                                  "Where to; else tables go to stdout, and a checkpoint to "
                                  "TRIAL-N.safetensors")
                     ->type_name("OUT");
  auto* force = command->add_flag("--force", options->force, "Replace the file that is there");
  auto* robustness = command
                         ->add_option("--robustness", options->robustness,
                                      "Merge accuracies under noise on the weights into the "
                                      "files of this folder")
                         ->type_name("FOLDER");
  for (CLI::Option* other : {checkpoint, table, format, spreadsheet, output, force})
    robustness->excludes(other);
  context.on(command, [&context, options] { return run_export(context, *options); });
}

}  // namespace perturb
