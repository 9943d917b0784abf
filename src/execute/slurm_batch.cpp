#include "execute/slurm_batch.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <system_error>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kMost = std::size_t{1} << 30;
constexpr std::size_t kDigits = 64;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Digest digest_of(const Json& json) {
  const auto digest = Digest::from_hex(json.get<std::string>());
  if (!digest) throw Error(ExitCode::Usage, "a file of a batch has a digest that is none");
  return *digest;
}

std::optional<std::size_t> number_of(std::string_view text) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(at, begin), text.size());
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// The first line of a text that has two a piece, and the rest.
std::pair<std::string_view, std::string_view> first_line(std::string_view text) {
  const auto end = std::min(text.find('\n'), text.size());
  return {text.substr(0, end), end < text.size() ? text.substr(end + 1) : std::string_view{}};
}

/// Whatever is wrong with a text that bears its own digest is none of ours to mend.
template <class Read>
auto read_or_nothing(const std::optional<std::string>& text, const Read& read)
    -> std::optional<decltype(read(std::string_view{}))> {
  if (!text) return std::nullopt;
  try {
    return read(std::string_view(*text));
  } catch (const Json::exception&) {
    return std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

TaskStage task_stage(std::string_view facts, std::string_view assignment) {
  const Json json = Json::parse(facts);
  TaskStage stage;
  stage.number = json.at("number");
  stage.after = json.at("after").get<std::vector<std::string>>();
  for (const Json& trial : json.at("trials"))
    stage.trials.push_back({digest_of(trial.at(0)), trial.at(1).get<Step>()});
  stage.assignment = assignment_from_json(assignment);
  stage.assignment.trial.past.before = json.at("before");
  stage.assignment.trial.past.within = json.at("within").get<std::vector<std::string>>();
  return stage;
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error)
    throw Error(ExitCode::Disk, fmt::format("cannot make {}: {}", folder.string(), error.message()),
                "the store's folder must be one that this host and all nodes can write to");
}

}  // namespace

std::string sealed(std::string_view text) {
  return fmt::format("{}\n{}", sha256(text).hex(), text);
}

std::optional<std::string> read_sealed(const fs::path& file) {
  std::string text;
  try {
    text = read_file(file, kMost);
  } catch (const Error&) {
    return std::nullopt;
  }
  if (text.size() <= kDigits || text[kDigits] != '\n') return std::nullopt;
  const auto digest = Digest::from_hex(std::string_view(text).substr(0, kDigits));
  text.erase(0, kDigits + 1);
  if (!digest || *digest != sha256(text)) return std::nullopt;
  return text;
}

std::string to_text(const TaskStage& stage) {
  Json trials = Json::array();
  for (const Passing& passing : stage.trials) trials.push_back({passing.trial.hex(), passing.end});
  const Past& past = stage.assignment.trial.past;
  const Json facts = {{"number", stage.number},
                      {"after", stage.after},
                      {"trials", std::move(trials)},
                      {"before", past.before},
                      {"within", past.within}};
  return fmt::format("{}\n{}\n", dumped(facts), to_json(stage.assignment));
}

std::string file_name(const RecordName& name) {
  return fmt::format("{}.{}.{}{}.rec", name.stage, name.attempt, name.n, name.last ? ".last" : "");
}

std::optional<RecordName> record_name(const std::string& file) {
  const auto parts = split(file, '.');
  if (parts.size() < 4 || parts.size() > 5 || parts.back() != "rec") return std::nullopt;
  if (parts.size() == 5 && parts[3] != "last") return std::nullopt;
  const auto stage = number_of(parts[0]);
  const auto n = number_of(parts[2]);
  if (!stage || !n || parts[1].empty()) return std::nullopt;
  return RecordName{file, *stage, parts[1], *n, parts.size() == 5};
}

std::string to_text(const LeftRecord& left) {
  const Json facts = {{"fingerprint", left.fingerprint}, {"host", left.host}};
  return fmt::format("{}\n{}", dumped(facts), to_json(left.record));
}

std::string credit_name(const RecordName& name) {
  return fmt::format("{}.{}", name.stage, name.attempt);
}

std::string to_text(const Credits& credits) {
  Json all = Json::object();
  for (const auto& [name, credit] : credits)
    all[name] = {credit.trained, credit.seconds, credit.taken};
  return dumped(all);
}

Record uncredited(const LeftRecord& left, bool last, const Credit& credit) {
  Record record = left.record;
  // Half way, what was done is done; how the stage ends is not known yet.
  if (!last) record.outcome = Outcome::Done;
  record.trained = std::max<std::int64_t>(0, record.trained - credit.trained);
  record.seconds = std::max(0.0, record.seconds - credit.seconds);
  return record;
}

std::vector<Share> shares_of(const std::vector<Passing>& trials, const Record& record) {
  std::vector<Share> shares;
  shares.reserve(trials.size());
  for (const Passing& passing : trials) {
    const bool over = record.outcome != Outcome::Done || record.step == passing.end;
    shares.push_back({passing.trial, over});
  }
  return shares;
}

fs::path BatchFolder::log(std::size_t task) const {
  return folder_ / "logs" / fmt::format("{}.txt", task);
}

fs::path BatchFolder::task(std::size_t number) const {
  return folder_ / "tasks" / fmt::format("{}.task", number);
}

std::optional<BatchFacts> BatchFolder::facts() const {
  return read_or_nothing(read_sealed(folder_ / "batch.json"), [](std::string_view text) {
    const Json json = Json::parse(text);
    return BatchFacts{json.at("name"), json.at("tasks"), json.at("stages")};
  });
}

void BatchFolder::write(const BatchFacts& facts) const {
  const Json json = {{"name", facts.name}, {"tasks", facts.tasks}, {"stages", facts.stages}};
  write_atomically(folder_ / "batch.json", sealed(dumped(json)));
}

std::optional<std::string> BatchFolder::job() const {
  try {
    std::string job = read_file(folder_ / "job", 100);
    std::erase_if(job, [](char c) { return c < '0' || c > '9'; });
    if (!job.empty()) return job;
  } catch (const Error&) {
    // Not there: it was never submitted, or whoever did so was ended before it knew the number.
  }
  return std::nullopt;
}

void BatchFolder::write_job(const std::string& job) const {
  write_atomically(folder_ / "job", job + "\n");
}

bool BatchFolder::cancelled() const {
  std::error_code ignored;
  return fs::exists(folder_ / "cancelled", ignored);
}

void BatchFolder::cancel() const { write_atomically(folder_ / "cancelled", "\n"); }

Credits BatchFolder::credits() const {
  const auto read = read_or_nothing(read_sealed(credited()), [](std::string_view text) {
    Credits all;
    const Json json = Json::parse(text);
    for (const auto& [name, credit] : json.items())
      all[name] = {credit.at(0).get<std::int64_t>(), credit.at(1).get<double>(),
                   credit.at(2).get<std::size_t>()};
    return all;
  });
  return read.value_or(Credits{});
}

std::optional<std::vector<TaskStage>> BatchFolder::stages(std::size_t number) const {
  return read_or_nothing(read_sealed(task(number)), [](std::string_view text) {
    std::vector<TaskStage> all;
    while (!text.empty()) {
      const auto [facts, more] = first_line(text);
      const auto [assignment, rest] = first_line(more);
      all.push_back(task_stage(facts, assignment));
      text = rest;
    }
    return all;
  });
}

std::vector<RecordName> BatchFolder::list() const {
  std::vector<RecordName> all;
  std::error_code ignored;
  for (fs::directory_iterator entry(records(), ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    if (auto name = record_name(entry->path().filename().string())) all.push_back(std::move(*name));
  }
  return all;
}

std::optional<LeftRecord> BatchFolder::read(const RecordName& name) const {
  return read_or_nothing(read_sealed(records() / name.file), [](std::string_view text) {
    const auto [facts, record] = first_line(text);
    const Json json = Json::parse(facts);
    return LeftRecord{record_from_json(record), json.at("fingerprint"), json.at("host")};
  });
}

Standing BatchFolder::standing(std::size_t stage) const {
  Standing best;
  for (const RecordName& name : list()) {
    if (name.stage != stage) continue;
    auto left = read(name);
    if (!left) continue;
    if (name.last) return {std::move(left), true};
    if (!best.left || left->record.step > best.left->record.step) best.left = std::move(left);
  }
  return best;
}

fs::path slurm_folder(const fs::path& store) { return store / "slurm"; }

std::vector<BatchFolder> batches_of(const fs::path& store) {
  std::vector<BatchFolder> all;
  std::error_code ignored;
  for (fs::directory_iterator entry(slurm_folder(store), ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    const BatchFolder batch(entry->path());
    if (batch.facts()) all.push_back(batch);
  }
  std::sort(all.begin(), all.end(),
            [](const BatchFolder& a, const BatchFolder& b) { return a.path() < b.path(); });
  return all;
}

BatchFolder make_batch(const fs::path& store) {
  make_folder(slurm_folder(store) / "states");
  while (true) {
    // A name that no batch ever had: a worker that outlived the batch it belongs to must not leave
    // its records in another one.
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const fs::path folder =
        slurm_folder(store) /
        fmt::format("{:016x}", std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
    std::error_code error;
    if (!fs::create_directory(folder, error)) {
      if (!error) continue;
      throw Error(ExitCode::Disk,
                  fmt::format("cannot make {}: {}", folder.string(), error.message()));
    }
    for (const char* part : {"tasks", "records", "logs"}) make_folder(folder / part);
    return BatchFolder(folder);
  }
}

std::optional<Digest> saved_blob(const fs::path& store, const Digest& state) {
  const auto text = read_sealed(slurm_folder(store) / "states" / state.hex());
  return text ? Digest::from_hex(*text) : std::nullopt;
}

void note_saved(const fs::path& store, const Saved& saved) {
  if (saved.state == Digest{}) return;
  write_atomically(slurm_folder(store) / "states" / saved.state.hex(), sealed(saved.blob.hex()));
}

}  // namespace perturb
