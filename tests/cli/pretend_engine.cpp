// A training half that only pretends: no LibTorch, no data, values that are a function of state and
// metric. What commands do with results can be tested by it in milliseconds, and in a build
// without training. Loaded through PERTURB_TRAIN.
//
// PERTURB_PRETEND_TEXTS  a JSON list of {name, text, hex}: a trial whose seeds.sample is i > 0
// fails
//                        with the i-th text (or the bytes that hex gives) as its message
// PERTURB_PRETEND_SAVES  checkpoints are made, of a few bytes each, and what a trial begins with
//                        is read
// PERTURB_PRETEND_HOLD   while there is a file of that name, a stage goes no further than half way
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
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
    if (std::getenv("PERTURB_PRETEND_SAVES")) blobs_.emplace(options.store);
  }

  Numerics numerics(bool) const override {
    return {.libtorch = "none", .blas = "none", .cpu = "none", .fingerprint = R"({"pretend":1})"};
  }

  Record train(const Assignment& stage, Progress& progress, const Report&) override {
    Record record;
    record.trial = stage.trial.id;
    record.step = stage.begin;
    const auto sample = static_cast<std::size_t>(stage.trial.start().integer("seeds.sample"));
    if (sample > 0 && sample <= texts_.size()) {
      record.outcome = Outcome::Failed;
      record.message = texts_[sample - 1];
      return record;
    }
    if (blobs_ && stage.from) {
      try {
        blobs_->get(stage.from->blob.value());
      } catch (const Error&) {
        record.start_lost = true;
        return record;
      }
    }
    for (Step step = stage.begin; step < stage.end; ++step) {
      if (2 * (step - stage.begin) >= stage.end - stage.begin) hold(progress);
      if (progress.stop.load()) {
        record.outcome = Outcome::Interrupted;
        return record;
      }
      progress.step.store(step + 1);
      progress.loss.store(1.0F / static_cast<float>(step + 1));
      record.step = step + 1;
      ++record.trained;
    }
    for (const Measurement& due : stage.measurements) {
      for (const std::size_t metric : due.metrics) {
        const double of_state = static_cast<double>(due.state.bytes[0]) / 256;
        record.measured.push_back({.step = due.step,
                                   .epoch = due.epoch,
                                   .state = due.state,
                                   .metric = stage.metrics[metric].definition(),
                                   .value = (1 + of_state + 0.01 * static_cast<double>(metric)) /
                                            (1 + static_cast<double>(due.step))});
      }
    }
    for (const Save& save : stage.saves) {
      if (!blobs_ || save.spare) continue;
      const std::string bytes = "state " + save.state.hex();
      record.saved.push_back({save.step, save.epoch, save.state, blobs_->put(bytes),
                              static_cast<std::int64_t>(bytes.size())});
    }
    record.outcome = Outcome::Done;
    return record;
  }

 private:
  static void hold(const Progress& progress) {
    const char* file = std::getenv("PERTURB_PRETEND_HOLD");
    while (file && std::filesystem::exists(file) && !progress.stop.load())
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }

  std::optional<Blobs> blobs_;
  std::vector<std::string> texts_ = texts_of(std::getenv("PERTURB_PRETEND_TEXTS"));
};

}  // namespace
}  // namespace perturb

extern "C" perturb::Engine* perturb_engine(int version, const perturb::EngineOptions* options) {
  return version == perturb::kEngineVersion ? new perturb::PretendEngine(*options) : nullptr;
}
