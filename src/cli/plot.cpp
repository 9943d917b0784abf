#include "perturb/report/plot.h"

#include <cctype>
#include <filesystem>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/experiment_arguments.h"
#include "cli/node_renderer.h"
#include "cli/plugins.h"
#include "cli/summary_view.h"
#include "perturb/core/files.h"
#include "perturb/report/report.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

struct Options {
  ExperimentArguments arguments;
  std::string kind;
  std::string metric;
  std::vector<std::string> settings;
  fs::path folder = ".";
};

/// What is asked for: a plot of the command line, those of the file, or the usual ones.
std::vector<PlotSpec> wanted(const Experiment& experiment, const Options& options) {
  if (options.kind.empty()) {
    if (!options.metric.empty() || !options.settings.empty())
      throw Error(ExitCode::Usage, "--metric and --set are of a plot that --kind names",
                  "`perturb list plot` says which kinds there are");
    return experiment.plots().empty() ? default_plots(experiment) : experiment.plots();
  }
  std::vector<std::string> settings = {"kind=" + options.kind};
  if (!options.metric.empty()) settings.push_back("metric=" + options.metric);
  settings.insert(settings.end(), options.settings.begin(), options.settings.end());
  return {experiment.plot(settings)};
}

/// A name for files, whatever the experiment is called.
std::string file_name(const std::string& experiment, std::size_t number, const std::string& kind) {
  constexpr std::size_t kLongest = 80;
  std::string name;
  for (const char c : experiment.substr(0, kLongest)) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' ||
                       (c == '.' && !name.empty());
    name += plain ? c : '_';
  }
  return fmt::format("{}-{}-{}", name, number, kind);
}

fs::path with_ending(fs::path stem, const char* ending) { return stem += ending; }

/// Writes files beside each other: the specification, a page, and what Node can draw.
class Files {
 public:
  explicit Files(Context& context) : node_(NodeRenderer::find(missing_)) {
    if (!node_) context.err.line("note: no .svg and .png: " + missing_);
  }

  /// `stem` is their path without an ending. Pictures are there after `draw`.
  std::vector<fs::path> write(const Figure& figure, const fs::path& stem) {
    nlohmann::json spec = figure.spec;
    spec["config"] = plot_config(/*dark=*/false);
    std::vector<fs::path> files = {with_ending(stem, ".vl.json"), with_ending(stem, ".html")};
    write_atomically(files[0],
                     spec.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    write_atomically(files[1], figures_page(figure.title, {figure}));
    if (!node_) return files;
    pictures_.push_back({.spec = std::move(spec),
                         .svg = with_ending(stem, ".svg"),
                         .png = with_ending(stem, ".png")});
    files.insert(files.end(), {pictures_.back().svg, pictures_.back().png});
    return files;
  }

  void draw() {
    if (!pictures_.empty()) node_->draw(pictures_);
  }

 private:
  std::string missing_;
  std::optional<NodeRenderer> node_;
  std::vector<Picture> pictures_;
};

nlohmann::json json_of(const PlotSpec& spec, const Figure& figure,
                       const std::vector<fs::path>& files) {
  nlohmann::json paths = nlohmann::json::array();
  for (const fs::path& path : files) paths.push_back(path.string());
  return {{"kind", spec.kind},
          {"title", figure.title},
          {"caption", figure.caption},
          {"query", figure.query},
          {"files", std::move(paths)}};
}

ExitCode plot(Context& context, const Options& options) {
  const Loaded loaded = options.arguments.load(context);
  const Store store = store_to_read(context.store_folder(options.arguments.file));
  const Plan plan = make_plan(loaded.experiment, store);
  for (const std::string& missing : *loaded.missing_data)
    context.err.line("note: without the data it is not known which results belong to the file: " +
                     missing);
  const Results results = results_of(loaded.experiment, plan, store);
  const std::vector<PlotSpec> specs = wanted(loaded.experiment, options);
  const Registry<Plotter> kinds = all_plotters(context);

  std::error_code error;
  fs::create_directories(options.folder, error);
  if (error)
    throw Error(
        ExitCode::Disk,
        fmt::format("cannot make the folder {}: {}", options.folder.string(), error.message()),
        "name another one with --out");
  Files writer(context);
  nlohmann::json all = nlohmann::json::array();
  std::vector<fs::path> written;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const Figure figure = kinds.at(specs[i].kind)(specs[i], results);
    std::vector<fs::path> files;
    if (figure.spec.is_null()) {
      context.err.line(fmt::format("note: {}, {}: {}", specs[i].kind, printable(figure.title),
                                   printable(figure.caption)));
    } else {
      files = writer.write(
          figure, options.folder / file_name(loaded.experiment.name(), i + 1, specs[i].kind));
    }
    all.push_back(json_of(specs[i], figure, files));
    written.insert(written.end(), files.begin(), files.end());
  }
  writer.draw();
  if (context.json)
    context.out.line(all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  else
    for (const fs::path& path : written) context.out.line(printable(path.string()));
  note_fingerprints(context, loaded.experiment.name(), store);
  return ExitCode::Done;
}

}  // namespace

void add_plot(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("plot", "Draw results, from the store");
  command->footer(
      "Draws what [[plots]] of the file ask for; without any, curves, contrasts and responses to\n"
      "doses of what `show` shows. Trains nothing; what is missing is counted in the captions.\n"
      "Every plot is a Vega-Lite specification (.vl.json) and a page (.html), which offers SVG "
      "and\n"
      "PNG; where Node is found these are written, too. docs/plots.md has an example of every\n"
      "kind.\n\n"
      "Examples:\n"
      "  perturb plot momentum.toml --out plots\n"
      "  perturb plot momentum.toml --kind contrasts --metric test.accuracy --set at=epoch:5\n"
      "  perturb plot momentum.toml --kind heatmap --metric test.loss --set x=optimizer.lr \\\n"
      "      --set y=optimizer.momentum");
  auto options = std::make_shared<Options>();
  options->arguments.add_to(*command);
  command->add_option("--kind", options->kind, "Draw one plot of this kind, not the file's")
      ->type_name("KIND");
  command->add_option("--metric", options->metric, "Its metric, by label")->type_name("NAME");
  command
      ->add_option("--set", options->settings,
                   "Another parameter of it, as under [[plots]]; repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  command->add_option("--out", options->folder, "Folder of the files; else the current one")
      ->type_name("FOLDER");
  context.on(command, [&context, options] { return plot(context, *options); });
}

}  // namespace perturb
