#include "execute/slurm_watch.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "perturb/core/files.h"

namespace perturb {

namespace {

/// Leaves of a list what comes behind the first `gone`, which then are all.
template <class Item>
void cut(std::vector<Item>& all, std::size_t& gone) {
  const std::size_t size = all.size();
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(std::min(gone, size)));
  gone = size;
}

}  // namespace

WatchedBatch::WatchedBatch(BatchFolder folder, const BatchFacts& facts)
    : folder_(std::move(folder)),
      facts_(facts),
      job_(folder_.job()),
      tasks_(facts.tasks),
      number_of_(facts.stages, kNobody),
      credits_(folder_.credits()) {}

void WatchedBatch::set_job(const std::string& job) {
  folder_.write_job(job);
  job_ = job;
}

std::string WatchedBatch::task_name(std::size_t task) const {
  return fmt::format("{}_{}", job_.value_or("?"), task);
}

void WatchedBatch::wait_for(std::size_t task, std::size_t place, std::size_t number) {
  number_of_[place] = number;
  tasks_[task].places.push_back(place);
}

bool WatchedBatch::is_awaited() const {
  return std::any_of(number_of_.begin(), number_of_.end(),
                     [](std::size_t number) { return number != kNobody; });
}

std::vector<std::size_t> WatchedBatch::awaited(const Task& task) const {
  std::vector<std::size_t> places;
  for (const std::size_t place : task.places) {
    if (number_of_[place] != kNobody) places.push_back(place);
  }
  std::sort(places.begin(), places.end());
  return places;
}

std::optional<News> WatchedBatch::news(const RecordName& name, const Digest& trial) {
  const std::string attempt = credit_name(name);
  Told& told = told_[attempt];
  if (name.n < told.next || foreign_.contains(name.file)) return std::nullopt;
  auto left = folder_.read(name);
  if (!left) return std::nullopt;  // it is looked at again
  if (left->record.trial != trial) {
    foreign_.insert(name.file);
    return std::nullopt;
  }
  Credit& credit = credits_[attempt];
  News news{uncredited(*left, name.last, credit), name.last, left->record.step, left->fingerprint};
  told.next = name.n + 1;
  cut(news.record.measured, told.measured);
  cut(news.record.saved, told.saved);
  if (!news.empty()) {
    credit = {left->record.trained, left->record.seconds, told.next};
    new_credits_ = true;
  }
  return news;
}

void WatchedBatch::write_credits() {
  if (std::exchange(new_credits_, false))
    write_atomically(folder_.credited(), sealed(to_text(credits_)));
}

void WatchedBatch::update(const Queue& queue, double now) {
  std::optional<Queue> details;  // asked for at most once, like the next one
  std::optional<bool> gone;
  for (std::size_t number = 0; number < tasks_.size(); ++number) {
    Task& task = tasks_[number];
    if (awaited(task).empty()) continue;
    const std::pair<std::string, std::size_t> key(*job_, number);
    if (const auto found = queue.find(key); found != queue.end()) {
      task.how = found->second;
    } else {
      // That it is not there proves nothing, unless the controller says how it ended or that there
      // is no such job.
      if (!details) details = details_of(*job_).value_or(Queue{});
      if (const auto detail = details->find(key); detail != details->end()) {
        task.how = detail->second;
      } else {
        if (!gone) gone = details->empty() && forgotten(*job_);
        if (!*gone) continue;
        if (!task.how.ended()) task.how = {};
        if (!task.ended) task.ended = now;
        continue;
      }
    }
    if (!task.how.ended()) {
      task.ended.reset();  // it may have been requeued
    } else if (!task.ended) {
      task.ended = now;
    }
  }
}

}  // namespace perturb
