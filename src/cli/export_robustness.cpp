#include "cli/export_robustness.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/summary_view.h"
#include "cli/wording.h"
#include "perturb/core/files.h"
#include "perturb/report/robustness.h"
#include "perturb/report/table.h"

namespace perturb {

namespace {

namespace fs = std::filesystem;

/// A table of a million rows has 100 MB.
constexpr std::size_t kLargest = std::size_t{256} << 20;

/// A file of the folder, and where its text is.
struct Part {
  const char* name;
  std::optional<std::string> RobustnessFiles::* text;
};
constexpr std::array<Part, 3> kParts = {{{"summary.csv", &RobustnessFiles::summary},
                                         {"sweep.csv", &RobustnessFiles::sweep},
                                         {"results.json", &RobustnessFiles::json}}};

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(ExitCode::Disk,
                fmt::format("cannot make the folder {}: {}", folder.string(), error.message()),
                "--robustness names another one");
}

std::optional<std::string> read_if_there(const fs::path& path) {
  std::error_code error;
  const fs::file_type type = fs::symlink_status(path, error).type();
  if (type == fs::file_type::not_found) return std::nullopt;
  if (type != fs::file_type::regular)
    throw Error(ExitCode::Usage, path.string() + " is there already, and is no file",
                "--robustness names another folder");
  return read_file(path, kLargest);
}

/// Removes what has not got its name.
class Staged {
 public:
  explicit Staged(const fs::path& folder) : folder_(folder) {}
  Staged(const Staged&) = delete;
  Staged& operator=(const Staged&) = delete;
  ~Staged() {
    for (const Part& part : kParts) ::unlink(staged(part).c_str());
  }

  /// All of them are written before the first takes the place of a file.
  void write(const RobustnessFiles& files) const {
    for (const Part& part : kParts) write_unsynced(staged(part), *(files.*part.text));
  }
  void publish_all() const {
    std::vector<std::string> done;
    for (const Part& part : kParts) {
      try {
        publish(staged(part), folder_ / part.name);
      } catch (const Error& error) {
        if (done.empty()) throw;
        throw Error(error.code(), error.what(),
                    listed(done) + " have the new rows already; the same command completes them");
      }
      done.emplace_back(part.name);
    }
  }

 private:
  fs::path staged(const Part& part) const { return folder_ / fmt::format(".{}.new", part.name); }

  fs::path folder_;
};

void write_files(const fs::path& folder, const Robustness& robustness) {
  make_folder(folder);
  // Two that read the same files would lose each other's rows.
  const auto lock = FileLock::try_acquire(folder / ".lock");
  if (!lock)
    throw Error(ExitCode::Locked, "another export is writing to " + folder.string(),
                "try again when it has ended");
  RobustnessFiles files;
  for (const Part& part : kParts) files.*part.text = read_if_there(folder / part.name);
  files = merged(files, robustness);
  const Staged staged(folder);
  staged.write(files);
  staged.publish_all();
}

/// "3, 7 and 12 more".
std::string some_of(const std::vector<std::size_t>& trials) {
  constexpr std::size_t kNamed = 12;
  std::vector<std::string> words;
  for (std::size_t i = 0; i < std::min(kNamed, trials.size()); ++i)
    words.push_back(std::to_string(trials[i]));
  if (trials.size() > kNamed) words.push_back(fmt::format("{} more", trials.size() - kNamed));
  return listed(words);
}

void note_left_out(Context& context, const Robustness& robustness) {
  for (const LeftOut& group : robustness.left_out)
    context.err.line(fmt::format("note: {} left out, {}: {}", counted(group.trials.size(), "trial"),
                                 printable(group.why), some_of(group.trials)));
  const auto without = std::ranges::count_if(robustness.networks, [](const NoisyScores& network) {
    return std::ranges::any_of(network.loss, [](double x) { return std::isnan(x); });
  });
  if (without > 0)
    context.err.line(fmt::format(
        "note: {} without every loss, which is empty in the tables; [[metrics]] of kind "
        "\"noisy-loss\" with the parameters of \"noisy-accuracy\" measure it",
        counted(static_cast<std::size_t>(without), "network")));
}

const char* regime(const MeanDrop& drop) { return drop.noisy ? "noisy" : "clean"; }

std::string text_of(const Sample& sample) {
  return fmt::format("{:.4f}", sample.mean) +
         (sample.sd ? fmt::format(" ± {:.4f}", *sample.sd) : "");
}

std::string table_of(const std::vector<MeanDrop>& drops, const Output& out) {
  TextTable table({{"architecture"},
                   {"regime"},
                   {"dataset"},
                   {"alpha_train", Align::Right},
                   {"n", Align::Right},
                   {"accuracy ± sd", Align::Right},
                   {fmt::format("drop at {} ± sd", kDropAt), Align::Right},
                   {"check"}});
  for (const MeanDrop& drop : drops) {
    const auto passes = stands_up(drop, drops);
    table.add({drop.architecture, regime(drop), drop.dataset, fmt::format("{}", drop.alpha_train),
               std::to_string(drop.drop.n), text_of(drop.accuracy), text_of(drop.drop),
               passes ? (*passes ? "pass" : "fail") : ""});
  }
  return table.text({.color = out.color(), .width = out.width()});
}

nlohmann::json json_of(const Sample& sample) {
  return {{"n", sample.n},
          {"mean", sample.mean},
          {"sd", sample.sd ? nlohmann::json(*sample.sd) : nlohmann::json()}};
}

nlohmann::json json_of(const Robustness& robustness, const fs::path& folder) {
  nlohmann::json drops = nlohmann::json::array();
  const std::vector<MeanDrop> all = mean_drops(robustness);
  for (const MeanDrop& drop : all) {
    const auto passes = stands_up(drop, all);
    drops.push_back({{"architecture", drop.architecture},
                     {"regime", regime(drop)},
                     {"dataset", drop.dataset},
                     {"alpha_train", drop.alpha_train},
                     {"acc_0", json_of(drop.accuracy)},
                     {"drop_at_01", json_of(drop.drop)},
                     {"passes", passes ? nlohmann::json(*passes) : nlohmann::json()}});
  }
  nlohmann::json left_out = nlohmann::json::array();
  for (const LeftOut& group : robustness.left_out)
    left_out.push_back({{"why", group.why}, {"trials", group.trials}});
  nlohmann::json files = nlohmann::json::array();
  for (const Part& part : kParts) files.push_back((folder / part.name).string());
  return {{"files", files},
          {"networks", robustness.networks.size()},
          {"strengths", robustness.strengths},
          {"drops", drops},
          {"left_out", left_out}};
}

}  // namespace

ExitCode export_robustness(Context& context, const ExperimentArguments& arguments,
                           const fs::path& folder) {
  if (arguments.file.empty())
    throw Error(ExitCode::Usage, "whose networks? an experiment file is missing",
                "`perturb export FILE --robustness FOLDER`");
  const Loaded loaded = arguments.load(context);
  const Store store = store_to_read(context.store_folder(arguments.file));
  const Plan plan = make_plan(loaded.experiment, store);
  for (const std::string& missing : *loaded.missing_data)
    context.err.line("note: without the data it is not known which results belong to the file: " +
                     printable(missing));
  const Robustness found = robustness(results_of(loaded.experiment, plan, store));
  note_left_out(context, found);
  if (found.networks.empty())
    throw Error(ExitCode::Usage,
                "no network has been trained and measured yet, and nothing was written",
                "`perturb run " + arguments.file.string() + "` trains them");
  write_files(folder, found);
  if (context.json) {
    context.out.line(
        json_of(found, folder).dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    return ExitCode::Done;
  }
  context.out.write(table_of(mean_drops(found), context.out));
  context.out.line(fmt::format("\n{} in {}: summary.csv, sweep.csv, results.json",
                               counted(found.networks.size(), "network"),
                               printable(folder.string())));
  return ExitCode::Done;
}

}  // namespace perturb
