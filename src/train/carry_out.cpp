#include <chrono>
#include <exception>
#include <new>
#include <optional>
#include <string>

#include <c10/util/Exception.h>

#include "perturb/train/session.h"
#include "train/global_generator.h"

namespace perturb {
namespace {

std::string first_line(const char* text) {
  const std::string all(text);
  return all.substr(0, all.find('\n'));
}

bool is_out_of_memory(const std::string& message) {
  // LibTorch 1.13 has a type for this only on the GPU.
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

void fail(Record& record, Outcome outcome, std::string message) {
  record.outcome = outcome;
  record.message = std::move(message);
}

/// What the exception that is being handled says about the trial.
void explain(Record& record) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    fail(record, Outcome::OutOfMemory, "out of memory");
  } catch (const c10::Error& error) {
    const auto message = first_line(error.what_without_backtrace());
    fail(record, is_out_of_memory(message) ? Outcome::OutOfMemory : Outcome::Failed, message);
  } catch (const std::exception& error) {
    fail(record, Outcome::Failed, first_line(error.what()));
  } catch (...) {
    fail(record, Outcome::Failed, "an exception of an unknown kind");
  }
}

/// Trains from one measurement to the next.
Outcome train(Session& session, const Assignment& assignment, Record& record, Progress& progress) {
  for (const auto& measurement : assignment.measurements) {
    const auto outcome = session.advance(measurement.step, progress);
    if (outcome != Outcome::Done) return outcome;
    const auto values = session.measure(measurement.metrics);
    for (std::size_t i = 0; i < values.size(); ++i) {
      record.measured.push_back({
          .step = measurement.step,
          .epoch = measurement.epoch,
          .state = measurement.state,
          .metric = assignment.metrics[measurement.metrics[i]].definition(),
          .value = values[i],
      });
    }
  }
  return session.advance(assignment.end, progress);
}

}  // namespace

Record carry_out(const Assignment& assignment, const Registries& registries, const Dataset& data,
                 Progress& progress) {
  const auto begin = std::chrono::steady_clock::now();
  Record record;
  record.trial = assignment.trial.id;
  std::optional<Session> session;
  try {
    const auto generator = global_generator_digest();
    session.emplace(assignment, registries, data);
    record.outcome = train(*session, assignment, record, progress);
    if (record.outcome == Outcome::Diverged) {
      record.message = "a loss or parameter is not finite";
    }
    if (global_generator_digest() != generator) {
      // Then the results depend on what else ran in this process: worse than none.
      fail(record, Outcome::Failed, "a bug: something drew from LibTorch's global generator");
    }
  } catch (...) {
    explain(record);
  }
  if (session) record.step = record.trained = session->step();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  record.seconds = elapsed.count();
  return record;
}

}  // namespace perturb
