// What there is of batches without a run that watches them: records to take, jobs to look at or to
// end.
#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "execute/slurm_batch.h"
#include "execute/slurm_commands.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"
#include "perturb/execute/slurm.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

/// Of each attempt the latest record; those that end a stage last.
std::vector<RecordName> latest(std::vector<RecordName> names) {
  const auto place = [](const RecordName& name) {
    return std::tie(name.stage, name.attempt, name.n);
  };
  std::sort(names.begin(), names.end(),
            [&](const auto& a, const auto& b) { return place(a) < place(b); });
  std::vector<RecordName> out;
  for (const RecordName& name : names) {
    const bool same =
        !out.empty() && out.back().stage == name.stage && out.back().attempt == name.attempt;
    if (same) out.pop_back();
    out.push_back(name);
  }
  std::stable_partition(out.begin(), out.end(), [](const RecordName& name) { return !name.last; });
  return out;
}

std::vector<std::string> names_of(const std::vector<BatchFolder>& batches) {
  std::vector<std::string> names;
  for (const BatchFolder& batch : batches) {
    if (const auto facts = batch.facts()) names.push_back(facts->name);
  }
  return names;
}

}  // namespace

SlurmLeft::SlurmLeft(fs::path store) : store_(std::move(store)) {}

std::vector<Digest> SlurmLeft::states() const {
  std::vector<Digest> all;
  std::error_code ignored;
  for (fs::directory_iterator entry(slurm_folder(store_) / "states", ignored), end;
       !ignored && entry != end; entry.increment(ignored)) {
    if (const auto state = Digest::from_hex(entry->path().filename().string()))
      all.push_back(*state);
  }
  return all;
}

std::size_t SlurmLeft::each(const Keep& keep) {
  std::size_t count = 0;
  for (const BatchFolder& batch : batches_of(store_)) {
    const auto names = latest(batch.list());
    if (names.empty()) continue;
    std::map<std::size_t, std::vector<Passing>> trials;  // by stage
    const auto facts = batch.facts();
    for (std::size_t task = 0; facts && task < facts->tasks; ++task) {
      const auto stages = batch.stages(task);
      if (!stages) continue;
      for (const TaskStage& stage : *stages) trials[stage.number] = stage.trials;
    }
    Credits credits = batch.credits();
    bool news = false;
    for (const RecordName& name : names) {
      Credit& credit = credits[credit_name(name)];
      const auto passing = trials.find(name.stage);
      if (credit.taken > name.n || passing == trials.end()) continue;
      const auto left = batch.read(name);
      if (!left) continue;
      if (left->record.start_lost) {
        // Nothing was done. Whoever plans anew sees what is to be had.
        credit.taken = name.n + 1;
        news = true;
        continue;
      }
      const Record record = uncredited(*left, name.last, credit);
      const bool empty = record.measured.empty() && record.saved.empty();
      if (empty && !name.last) continue;
      keep(record, shares_of(passing->second, record), left->fingerprint);
      credit = {left->record.trained, left->record.seconds, name.n + 1};
      news = true;
      ++count;
    }
    if (news) taken_.push_back({batch.credited(), sealed(to_text(credits))});
  }
  return count;
}

void SlurmLeft::taken() const {
  for (const auto& [file, text] : taken_) write_atomically(file, text);
}

bool slurm_has_batches(const fs::path& store) { return !batches_of(store).empty(); }

SlurmQueue slurm_queue(const fs::path& store) {
  SlurmQueue out;
  const auto batches = batches_of(store);
  if (batches.empty()) return out;
  const auto queue = queue_of(names_of(batches), &out.trouble);
  for (const BatchFolder& batch : batches) {
    const auto facts = batch.facts();
    if (!facts) continue;
    out.stages += facts->stages;
    std::set<std::size_t> over;
    for (const RecordName& name : batch.list()) {
      if (name.last) over.insert(name.stage);
    }
    out.over += over.size();
    const auto job = batch.job();
    if (!job) continue;
    out.jobs.push_back(*job);
    for (std::size_t task = 0; task < facts->tasks; ++task) {
      const auto found = queue ? queue->find({*job, task}) : Queue::const_iterator{};
      if (!queue) {
        ++out.unknown;
      } else if (found == queue->end() || found->second.ended()) {
        ++out.ended;
      } else if (found->second.waits()) {
        ++out.pending;
      } else {
        ++out.running;
      }
    }
  }
  return out;
}

std::vector<std::string> slurm_cancel(const fs::path& store) {
  std::vector<std::string> jobs;
  std::vector<std::string> command = {"scancel"};
  for (const BatchFolder& batch : batches_of(store)) {
    if (batch.cancelled()) continue;
    // First the word that nobody is to try again, then the deed.
    batch.cancel();
    if (const auto job = batch.job()) {
      jobs.push_back(*job);
      command.push_back(*job);
    } else if (const auto facts = batch.facts()) {
      // Perhaps it was submitted by somebody who did not live to write down its number.
      ask({"scancel", "--name=" + facts->name});
    }
  }
  if (jobs.empty()) return jobs;
  const Answer answer = ask(command);
  // Those that are over already are no reason to complain.
  if (!answer.ok && answer.err.find("Invalid job id") == std::string::npos)
    throw Error(ExitCode::Disk, "Slurm does not end the jobs: " + answer.err,
                "`scancel` followed by " + fmt::format("{}", fmt::join(jobs, " ")) +
                    " does the same by hand");
  return jobs;
}

}  // namespace perturb
