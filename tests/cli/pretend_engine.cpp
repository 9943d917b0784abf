// A training half that only pretends: no LibTorch, no data, values that are a function of state and
// metric. What commands do with results can be tested by it in milliseconds, and in a build
// without training. Loaded through PERTURB_TRAIN.
//
// PERTURB_PRETEND_TEXTS  a JSON list of {name, text, hex}: a trial whose seeds.sample is i > 0
//                        fails with the i-th text (or the bytes that hex gives) as its message
// PERTURB_PRETEND_HOLD   while there is a file of that name, a stage goes no further than half way
// PERTURB_PRETEND_SAVES  if set, checkpoints are left where they are asked for, and have to be
//                        there where a stage begins with one, of the right state; what a trial
//                        begins with or learns from is read
// PERTURB_PRETEND_PAUSE  milliseconds that a step takes, and is said to have taken
// PERTURB_PRETEND_DIE    a folder: a stage for which it has no file yet, by the name of its last
//                        state, makes one half way and ends its process by SIGKILL
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "perturb/core/error.h"
#include "perturb/store/blobs.h"
#include "perturb/train/engine.h"

namespace perturb {
namespace {

std::vector<std::string> texts_of(const char* file) {
  std::vector<std::string> texts;
  if (!file) return texts;
  std::ifstream in(file);
  for (const nlohmann::json& entry : nlohmann::json::parse(in)) {
    std::string text = entry.at("text");
    if (entry.contains("hex")) {
      const std::string hex = entry.at("hex");
      text.clear();
      for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

class PretendEngine final : public Engine {
 public:
  explicit PretendEngine(const EngineOptions& options) {
    if (std::getenv("PERTURB_PRETEND_SAVES") && !options.store.empty())
      blobs_.emplace(options.store);
  }

  Numerics numerics(bool) const override {
    return {.libtorch = "none", .blas = "none", .cpu = "none", .fingerprint = R"({"pretend":1})"};
  }

  Record train(const Assignment& stage, Progress& progress, const Report& report) override {
    Record record;
    record.trial = stage.trial.id;
    record.step = stage.begin;
    if (!begins_rightly(stage, record)) return record;
    const auto sample = static_cast<std::size_t>(stage.trial.start().integer("seeds.sample"));
    if (sample > 0 && sample <= texts_.size()) {
      record.outcome = Outcome::Failed;
      record.message = texts_[sample - 1];
      return record;
    }
    auto save = stage.saves.begin();
    Due due = stage.measurements.begin();
    for (Step step = stage.begin; step < stage.end; ++step) {
      if (2 * (step - stage.begin) >= stage.end - stage.begin) {
        hold(progress);
        die(stage);
      }
      if (progress.stop.load()) {
        measure(stage, due, step, record);
        if (step > stage.begin) keep({step, 0, {}}, {}, record);
        record.outcome = Outcome::Interrupted;
        return record;
      }
      std::this_thread::sleep_for(pause_);
      progress.step.store(step + 1);
      progress.loss.store(1.0F / static_cast<float>(step + 1));
      record.step = step + 1;
      ++record.trained;
      record.seconds += std::chrono::duration<double>(pause_).count();
      for (; blobs_ && save != stage.saves.end() && save->step <= step + 1; ++save) {
        measure(stage, due, step + 1, record);
        keep(*save, save->state, record);
        if (save->step == stage.end) continue;
        record.outcome = Outcome::Done;
        report(std::exchange(record, {.trial = stage.trial.id, .step = step + 1}));
      }
    }
    measure(stage, due, stage.end, record);
    const bool saved = !record.saved.empty() && record.saved.back().step == stage.end;
    if (stage.heirs > 0 && !saved) keep({stage.end, 0, stage.last}, stage.last, record);
    record.outcome = Outcome::Done;
    return record;
  }

 private:
  using Networks = std::vector<TrainedNetworks::Network>;

  /// What is in a checkpoint: the state that it is of. One that was made because it had to stop
  /// does not know that.
  bool begins_rightly(const Assignment& stage, Record& record) const {
    if (!blobs_) return true;
    if (stage.from && !readable(*stage.from->blob)) {
      record.start_lost = true;
      record.message = "what it begins with cannot be read";
      return false;
    }
    for (const auto& [state, blob] : stage.population ? stage.population->networks : Networks{}) {
      if (blob && readable(*blob)) continue;
      record.start_lost = true;
      record.message = "a network that it learns from cannot be read";
      return false;
    }
    if (stage.begin == 0) return true;
    record.start_lost = true;
    record.message = "there is no checkpoint";
    if (!stage.checkpoint || !blobs_->size(*stage.checkpoint)) return false;
    const std::string text = blobs_->get(*stage.checkpoint);
    record.start_lost = false;
    if (text == stage.start.hex() || text == "stopped at " + std::to_string(stage.begin))
      return true;
    record.message = "the checkpoint is of another state: " + text;
    return false;
  }

  bool readable(const Digest& blob) const {
    try {
      blobs_->get(blob);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  void keep(const Save& save, const Digest& state, Record& record) const {
    if (!blobs_) return;
    const std::string text =
        state == Digest{} ? "stopped at " + std::to_string(save.step) : state.hex();
    record.saved.push_back({save.step, save.epoch, save.state, blobs_->put(text),
                            static_cast<std::int64_t>(text.size())});
  }

  using Due = std::vector<Measurement>::const_iterator;

  /// What is due up to a step.
  static void measure(const Assignment& stage, Due& due, Step until, Record& record) {
    for (; due != stage.measurements.end() && due->step <= until; ++due) {
      for (const std::size_t metric : due->metrics) {
        const double of_state = static_cast<double>(due->state.bytes[0]) / 256;
        record.measured.push_back(
            {.step = due->step,
             .epoch = due->epoch,
             .state = due->state,
             .metric = stage.metrics[metric].definition(),
             .value = (1 + of_state + 0.01 * static_cast<double>(metric)) /
                      (1 + static_cast<double>(due->step)),
             .reference = due->reference ? std::optional(due->reference->state) : std::nullopt});
      }
    }
  }

  static void die(const Assignment& stage) {
    const char* folder = std::getenv("PERTURB_PRETEND_DIE");
    if (!folder) return;
    const auto mark = std::filesystem::path(folder) / stage.last.hex();
    if (std::filesystem::exists(mark)) return;
    std::ofstream(mark).close();
    std::raise(SIGKILL);
  }

  static void hold(const Progress& progress) {
    const char* file = std::getenv("PERTURB_PRETEND_HOLD");
    while (file && std::filesystem::exists(file) && !progress.stop.load())
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  static std::chrono::milliseconds pause() {
    const char* text = std::getenv("PERTURB_PRETEND_PAUSE");
    return std::chrono::milliseconds(text ? std::atoi(text) : 0);
  }

  std::optional<Blobs> blobs_;
  std::chrono::milliseconds pause_ = pause();
  std::vector<std::string> texts_ = texts_of(std::getenv("PERTURB_PRETEND_TEXTS"));
};

}  // namespace
}  // namespace perturb

extern "C" perturb::Engine* perturb_engine(int version, const perturb::EngineOptions* options) {
  return version == perturb::kEngineVersion ? new perturb::PretendEngine(*options) : nullptr;
}
