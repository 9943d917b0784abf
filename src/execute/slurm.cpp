#include "perturb/execute/slurm.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <limits>
#include <set>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "execute/log_end.h"
#include "execute/slurm_commands.h"
#include "execute/slurm_former.h"
#include "execute/slurm_layout.h"
#include "execute/slurm_policy.h"
#include "execute/slurm_submit.h"
#include "execute/slurm_watch.h"
#include "perturb/core/error.h"
#include "perturb/core/files.h"

namespace perturb {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNobody = WatchedBatch::kNobody;
/// A stage that comes back so often without having begun, though all that it waits for is done, has
/// nothing to begin from.
constexpr std::size_t kMostPostponed = 3;
/// Seconds between two looks into a folder, at most: results come while the queue is left in peace.
constexpr double kLooking = 2;
constexpr double kLongestPause = 600;

/// Seconds of a clock that nobody sets.
double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string counted(std::size_t n, const std::string& what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

/// A stage that was started.
struct Started {
  enum class Is {
    Waiting,  ///< to be submitted
    Queued,
    Over,
  };
  Is is = Is::Waiting;
  std::size_t place = 0;  ///< in the order of starting: what it waits for has a smaller one
  Job job;                ///< while it is queued, without its assignment: the batch has that
  Digest trial;
  Spot spot;                       ///< of the queued
  std::vector<std::size_t> heirs;  ///< numbers of stages that go on from it
  std::shared_ptr<Progress> progress = std::make_shared<Progress>();
  bool begun = false;  ///< by its present task
  bool well = false;   ///< it is over, and ended well
  Step came_to = 0;    ///< by the end of the task before
  Troubles troubles;
  std::size_t postponed = 0;
  std::optional<LeftRecord> before;  ///< what another batch has done of it
  bool alone = false;                ///< see Unsubmitted
};

class Slurm final : public Executor {
 public:
  explicit Slurm(SlurmOptions options) : options_(std::move(options)) {
    const Answer config = ask({"scontrol", "show", "config"});
    if (!config.found)
      throw Error(ExitCode::Usage, "there is no Slurm here: " + config.err,
                  "--executor slurm is for a host from which jobs are submitted to Slurm");
    if (!config.ok) say("warning: Slurm does not say its limits: " + config.err);
    limits_ = layout_limits(options_, limits_from(config.out));
    for (const BatchFolder& folder : batches_of(options_.store)) {
      if (const auto facts = folder.facts()) former_.add(folder, add_batch(folder, *facts));
    }
  }

  ~Slurm() override {
    // Where something went wrong nobody knows what is durable: the next run takes it again.
    if (std::uncaught_exceptions() > 0) return;
    try {
      write_credits();
      remove_unwanted();
    } catch (const std::exception&) {
      // What is left over, the next run finds.
    }
  }

  Slurm(const Slurm&) = delete;
  Slurm& operator=(const Slurm&) = delete;

  std::size_t room() const override { return std::numeric_limits<std::size_t>::max(); }
  bool ahead() const override { return true; }

  void start(Job job) override {
    const std::size_t number = job.number;
    const std::size_t place = stages_.size();
    Started& stage = stages_[number];
    stage.place = place;
    stage.trial = job.assignment.trial.id;
    stage.came_to = job.assignment.begin;
    stage.progress->step.store(job.assignment.begin);
    stage.job = std::move(job);
    if (stage.job.parent) stages_.at(*stage.job.parent).heirs.push_back(number);
    if (const auto spot = former_.take(stage.job.assignment)) {
      put(number, *spot);
      ++taken_over_;
    } else {
      waiting_.push_back(number);
    }
  }

  bool wait(int milliseconds, Event& event) override {
    // Whoever was told that there is nothing has made durable what there was.
    if (std::exchange(idle_, false)) write_credits();
    const double until = now() + milliseconds / 1e3;
    while (true) {
      if (!stopped_) tend();
      if (!events_.empty()) break;
      const double left = until - now();
      idle_ = left <= 0;
      if (idle_) return false;
      std::this_thread::sleep_for(std::chrono::duration<double>(std::min(left, 0.02)));
    }
    auto& [next, fingerprint] = events_.front();
    if (!fingerprint.empty() && fingerprint != fingerprint_ && options_.numerics)
      options_.numerics(fingerprint_ = fingerprint);
    event = std::move(next);
    events_.pop_front();
    return true;
  }

  std::vector<Running> running() const override {
    std::vector<Running> all;
    for (const auto& [number, stage] : stages_) {
      if (stage.is == Started::Is::Queued && stage.begun) all.push_back({number, stage.progress});
    }
    std::sort(all.begin(), all.end(),
              [](const Running& a, const Running& b) { return a.number < b.number; });
    return all;
  }

  /// What is queued goes on; what is not stays away from the queue.
  void stop() override {
    if (std::exchange(stopped_, true)) return;
    for (auto& [number, stage] : stages_) {
      if (stage.is == Started::Is::Over) continue;
      stage.is = Started::Is::Over;
      events_.push_back({{.number = number, .left = true}, {}});
    }
  }

 private:
  void say(const std::string& text) const {
    if (options_.say) options_.say(text);
  }

  std::size_t add_batch(const BatchFolder& folder, const BatchFacts& facts) {
    batches_.push_back(std::make_unique<WatchedBatch>(folder, facts));
    return batches_.size() - 1;
  }

  void put(std::size_t number, const Spot& spot) {
    batches_[spot.batch]->wait_for(spot.task, spot.place, number);
    Started& stage = stages_.at(number);
    stage.is = Started::Is::Queued;
    stage.spot = spot;
    stage.begun = false;
    stage.job.assignment = {};
  }

  void let_go(Started& stage) {
    if (stage.is == Started::Is::Queued) batches_[stage.spot.batch]->let_go(stage.spot.place);
  }

  /// Batches of which nobody waits for any stage, with the jobs that are left of them.
  void remove_unwanted() {
    std::vector<std::string> command = {"scancel"};
    for (auto& batch : batches_) {
      if (!batch || batch->is_awaited()) continue;
      const auto& tasks = batch->tasks();
      const bool ended = std::all_of(tasks.begin(), tasks.end(),
                                     [](const auto& task) { return task.how.ended(); });
      if (batch->job() && !ended) command.push_back(*batch->job());
      if (!batch->job()) ask({"scancel", "--name=" + batch->job_name()});
      std::error_code ignored;
      fs::remove_all(batch->folder().path(), ignored);
      batch.reset();
    }
    if (command.size() > 1) ask(command);  // those that are over by now are no matter
    std::error_code ignored;
    if (batches_of(options_.store).empty()) fs::remove_all(slurm_folder(options_.store), ignored);
  }

  void write_credits() {
    for (const auto& batch : batches_) {
      if (batch) batch->write_credits();
    }
  }

  /// Calls `visit` with every batch that has stages somebody waits for.
  template <class Visit>
  void each_awaited(const Visit& visit) {
    for (std::size_t number = 0; number < batches_.size(); ++number) {
      if (batches_[number] && batches_[number]->is_awaited()) visit(*batches_[number]);
    }
  }

  /// What has to be done from time to time.
  void tend() {
    if (!std::exchange(tended_, true)) {
      // Now it is known what is wanted of what former runs have submitted.
      former_.clear();
      if (taken_over_ > 0)
        say(fmt::format("{} in the queue since a former run, taken over",
                        counted(taken_over_, "stage")));
      remove_unwanted();
    }
    if (!waiting_.empty() && now() >= submit_at_) submit_waiting();
    if (now() >= look_at_) look_at_records();
    if (now() < ask_at_) return;
    ask_queue();
    look_at_records();
    each_awaited([&](WatchedBatch& batch) { settle(batch); });
    ask_at_ = now() + options_.poll;
  }

  void submit_waiting() {
    std::vector<std::size_t> numbers;
    for (const std::size_t number : std::exchange(waiting_, {})) {
      if (stages_.at(number).is == Started::Is::Waiting) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end(), [&](std::size_t a, std::size_t b) {
      return stages_.at(a).place < stages_.at(b).place;
    });
    const auto arrays = lay_out(unsubmitted(numbers), limits_);
    std::vector<ArrayLayout> accepted;
    std::vector<std::string> jobs;  // by array; "" where there is none
    std::string trouble;
    for (const ArrayLayout& array : arrays) {
      Submission done;
      if (trouble.empty()) done = submit_array(array, numbers, jobs);
      if (done.is == Submission::Is::Later) {
        if (trouble.empty()) trouble = done.trouble;
        for (const auto& task : array.tasks) {
          for (const std::size_t stage : task) waiting_.push_back(numbers[stage]);
        }
      }
      if (done.is == Submission::Is::Accepted) accepted.push_back(array);
      jobs.push_back(done.job);
    }
    if (!accepted.empty()) {
      std::erase(jobs, "");
      say(fmt::format("submitted {} ({} {})", size_text(accepted),
                      jobs.size() == 1 ? "job" : "jobs", fmt::join(jobs, ", ")));
    }
    if (trouble.empty()) {
      pause_ = 0;
    } else {
      say(fmt::format("Slurm does not take more now ({}); it is asked again", trouble));
      pause_ = std::min(std::max(2 * pause_, options_.poll), kLongestPause);
    }
    submit_at_ = now() + std::max(pause_, options_.poll);
    ask_at_ = now() + options_.poll;
  }

  std::vector<Unsubmitted> unsubmitted(const std::vector<std::size_t>& numbers) const {
    std::unordered_map<std::size_t, std::size_t> places;
    std::vector<Unsubmitted> all;
    for (const std::size_t number : numbers) {
      const Started& stage = stages_.at(number);
      Unsubmitted one;
      one.steps = stage.job.assignment.end - stage.job.assignment.begin;
      one.alone = stage.alone;
      const auto job_of = [&](std::size_t other) {
        const Started& its = stages_.at(other);
        if (its.is != Started::Is::Queued) return;
        if (const auto& job = batches_[its.spot.batch]->job()) one.jobs.push_back(*job);
      };
      for (const std::size_t other : stage.job.after) {
        if (const auto place = places.find(other); place != places.end())
          one.after.push_back(place->second);
        else
          job_of(other);
      }
      if (const auto parent = stage.job.parent) {
        if (const auto place = places.find(*parent); place != places.end())
          one.parent = place->second;
        else
          job_of(*parent);
      }
      places[number] = all.size();
      all.push_back(std::move(one));
    }
    return all;
  }

  Submission submit_array(const ArrayLayout& array, const std::vector<std::size_t>& numbers,
                          const std::vector<std::string>& jobs) {
    std::vector<std::vector<TaskStage>> tasks;
    std::vector<Spot> spots;
    std::vector<std::size_t> order;  // numbers of stages, by place
    for (const auto& task : array.tasks) {
      auto& stages = tasks.emplace_back();
      for (const std::size_t at : task) {
        stages.push_back(task_stage(order.size(), numbers[at]));
        spots.push_back({batches_.size(), tasks.size() - 1, order.size()});
        order.push_back(numbers[at]);
      }
    }
    std::vector<std::string> after = array.jobs;
    for (const std::size_t other : array.after) {
      if (!jobs[other].empty()) after.push_back(jobs[other]);
    }
    const BatchFolder folder = write_batch(options_, tasks, after);
    const Submission done = submit(folder);
    if (done.is == Submission::Is::Later) {
      std::error_code ignored;
      fs::remove_all(folder.path(), ignored);
      return done;
    }
    WatchedBatch& batch = *batches_[add_batch(folder, folder.facts().value())];
    if (done.is == Submission::Is::Accepted)
      batch.set_job(done.job);
    else
      say("Slurm did not say whether it took a job (" + done.trouble + "); it is looked for");
    for (std::size_t place = 0; place < order.size(); ++place) put(order[place], spots[place]);
    return done;
  }

  TaskStage task_stage(std::size_t place, std::size_t number) const {
    const Started& stage = stages_.at(number);
    TaskStage out{place, stage.job.assignment, stage.job.trials, {}, stage.before};
    // One in the same array is in the same task, and over before this one begins.
    each_before(stage, [&](const Started& other) {
      if (other.is != Started::Is::Queued && !other.well) return;
      const std::string batch = batches_[other.spot.batch]->folder().name();
      out.after.push_back(fmt::format("{}/{}", batch, other.spot.place));
    });
    return out;
  }

  /// Calls `visit` with every stage that this one waits for.
  template <class Visit>
  void each_before(const Started& stage, const Visit& visit) const {
    if (stage.job.parent) visit(stages_.at(*stage.job.parent));
    for (const std::size_t other : stage.job.after) visit(stages_.at(other));
  }

  void look_at_records() {
    each_awaited([&](WatchedBatch& batch) {
      for (const RecordName& name : batch.folder().list()) look_at(batch, name);
    });
    look_at_ = now() + std::min(options_.poll, kLooking);
  }

  void look_at(WatchedBatch& batch, const RecordName& name) {
    const std::size_t number = batch.number_of(name.stage);
    if (number == kNobody || name.attempt == kBefore) return;
    Started& stage = stages_.at(number);
    stage.begun = true;
    auto news = batch.news(name, stage.trial);
    if (!news) return;
    stage.progress->step.store(std::max(stage.progress->step.load(), news->came_to));
    if (news->last)
      end(number, std::move(news->record), news->fingerprint);
    else if (!news->empty())
      events_.push_back({{number, std::move(news->record), /*over=*/false}, news->fingerprint});
  }

  /// The stage is over. Unless it ended well, what would have gone on from it never begins.
  void end(std::size_t number, Record record, const std::string& fingerprint = {}) {
    Started& stage = stages_.at(number);
    let_go(stage);
    stage.is = Started::Is::Over;
    stage.well = record.outcome == Outcome::Done && !record.start_lost;
    events_.push_back({{number, std::move(record), /*over=*/true}, fingerprint});
    if (!stage.well) abandon_heirs(number);
  }

  void abandon(std::size_t number) {
    Started& stage = stages_.at(number);
    if (stage.is == Started::Is::Over) return;
    let_go(stage);
    stage.is = Started::Is::Over;
    events_.push_back({{.number = number, .left = true}, {}});
    abandon_heirs(number);
  }

  void abandon_heirs(std::size_t number) {
    for (const std::size_t heir : stages_.at(number).heirs) abandon(heir);
  }

  void ask_queue() {
    std::vector<std::string> names;
    each_awaited([&](const WatchedBatch& batch) { names.push_back(batch.job_name()); });
    if (names.empty()) return;
    std::string trouble;
    const auto queue = queue_of(names, &trouble);
    if (!queue) {
      if (trouble != trouble_) say("the queue cannot be asked (" + trouble + "); jobs go on");
      trouble_ = trouble;
      return;
    }
    if (!std::exchange(trouble_, {}).empty()) say("the queue answers again");
    each_awaited([&](WatchedBatch& batch) {
      if (batch.job())
        batch.update(*queue, now());
      else
        look_for_job(batch);
    });
  }

  /// Of a batch that may have been submitted: by its name, which no other has.
  void look_for_job(WatchedBatch& batch) {
    const Answer answer = ask({"squeue", "--noheader", "--states=all", "--name=" + batch.job_name(),
                               "--Format=ArrayJobID:|"});
    if (!answer.ok) return;
    const std::string job = answer.out.substr(0, answer.out.find_first_not_of("0123456789"));
    if (!job.empty()) return batch.set_job(job);
    // It may have begun, ended and been forgotten: then there are records, and time for more.
    const bool begun = !batch.folder().list().empty();
    for (auto& task : batch.tasks()) {
      if (begun && !task.ended) task.ended = now();
      if (begun) continue;
      for (const std::size_t place : batch.awaited(task)) submit_again(batch, task, place);
    }
  }

  /// Sees to tasks that ended before their stages did.
  void settle(WatchedBatch& batch) {
    for (std::size_t task = 0; task < batch.tasks().size(); ++task) {
      const auto ended = batch.tasks()[task].ended;
      if (ended && now() - *ended >= options_.patience) settle(batch, task);
    }
  }

  void settle(WatchedBatch& batch, std::size_t number) {
    const WatchedBatch::Task& task = batch.tasks()[number];
    const auto open = batch.awaited(task);
    if (open.empty()) return;
    if (batch.folder().cancelled()) {
      say(fmt::format("task {} was cancelled", batch.task_name(number)));
      for (const std::size_t place : open) {
        if (batch.number_of(place) != kNobody) abandon(batch.number_of(place));
      }
      return;
    }
    std::set<std::size_t> blamed;
    for (const std::size_t place : open) {
      if (stages_.at(batch.number_of(place)).begun) blamed.insert(place);
    }
    // One that ended before it began anything: its first stage stands for whatever is wrong.
    if (blamed.empty() && task.how.state != "COMPLETED") blamed.insert(open.front());
    std::size_t again = 0;
    for (const std::size_t place : open) {
      if (batch.number_of(place) == kNobody) continue;  // it went with what it goes on from
      const bool goes_on =
          blamed.contains(place) ? blame(batch, number, place) : postpone(batch, task, place);
      if (goes_on) submit_again(batch, task, place);
      again += goes_on ? 1 : 0;
    }
    if (again > 0)
      say(fmt::format("task {} ended ({}): {} to the queue again", batch.task_name(number),
                      task.how.state.empty() ? "how is not known" : task.how.state,
                      again == 1 ? "1 stage goes" : fmt::format("{} stages go", again)));
  }

  /// Whether the stage is tried again. Otherwise it is over.
  bool blame(WatchedBatch& batch, std::size_t task_number, std::size_t place) {
    const WatchedBatch::Task& task = batch.tasks()[task_number];
    const std::size_t number = batch.number_of(place);
    Started& stage = stages_.at(number);
    const Step step = stage.progress->step.load();
    const Verdict verdict = judge(task.how, step > stage.came_to, options_.retries, stage.troubles);
    stage.came_to = std::max(stage.came_to, step);
    stage.alone = true;
    if (verdict.again) return true;
    Record record;
    record.trial = stage.trial;
    record.outcome = verdict.outcome;
    record.step = step;
    record.message =
        fmt::format("Slurm's task {} ended {}", batch.task_name(task_number), verdict.cause);
    if (const std::string words = end_of_log(batch, task_number); !words.empty())
      record.message += ": " + words;
    end(number, std::move(record));
    return false;
  }

  /// The same for a stage that did not begin: what it goes on from was not done, or its task ended
  /// before its turn came.
  bool postpone(const WatchedBatch& batch, const WatchedBatch::Task& task, std::size_t place) {
    const std::size_t number = batch.number_of(place);
    Started& stage = stages_.at(number);
    bool could_begin = true;
    each_before(stage, [&](const Started& other) {
      could_begin = could_begin && other.is == Started::Is::Over;
    });
    if (task.how.state != "COMPLETED" || !could_begin || ++stage.postponed <= kMostPostponed)
      return true;
    Record record;
    record.trial = stage.trial;
    record.start_lost = true;
    record.message = "the state to go on from is not there any more";
    end(number, std::move(record));
    return false;
  }

  static std::string end_of_log(const WatchedBatch& batch, std::size_t task) {
    try {
      constexpr std::size_t kMost = std::size_t{16} << 20;
      return quoted_end(read_file(batch.folder().log(task), kMost));
    } catch (const Error&) {
      return {};
    }
  }

  void submit_again(WatchedBatch& batch, const WatchedBatch::Task& task, std::size_t place) {
    const std::size_t number = batch.number_of(place);
    Started& stage = stages_.at(number);
    const auto of_task = static_cast<std::size_t>(&task - batch.tasks().data());
    const auto stages = batch.folder().stages(of_task);
    if (!stages)
      throw Error(ExitCode::Disk,
                  fmt::format("cannot read {}", batch.folder().task(of_task).string()),
                  "the same command goes on without it");
    for (const TaskStage& one : *stages) {
      if (one.number == place) stage.job.assignment = one.assignment;
    }
    if (auto so_far = batch.folder().standing(place).left) {
      // The time was counted where it was spent.
      so_far->record.seconds = 0;
      so_far->record.trained = 0;
      stage.before = std::move(so_far);
    }
    let_go(stage);
    stage.is = Started::Is::Waiting;
    waiting_.push_back(number);
  }

  SlurmOptions options_;
  LayoutLimits limits_;
  FormerStages former_;
  std::unordered_map<std::size_t, Started> stages_;     // by number
  std::vector<std::unique_ptr<WatchedBatch>> batches_;  // null: removed
  std::vector<std::size_t> waiting_;                    // numbers of stages to be submitted
  std::deque<std::pair<Event, std::string>> events_;    // with the fingerprint of its numerics
  std::string fingerprint_;                             // of the latest event that had one
  std::string trouble_;                                 // why the queue could not be asked
  std::size_t taken_over_ = 0;
  double submit_at_ = 0;  ///< by `now`, like the next two
  double look_at_ = 0;
  double ask_at_ = 0;
  double pause_ = 0;
  bool tended_ = false;
  bool stopped_ = false;
  bool idle_ = false;
};

}  // namespace

std::unique_ptr<Executor> slurm(SlurmOptions options) {
  return std::make_unique<Slurm>(std::move(options));
}

}  // namespace perturb
