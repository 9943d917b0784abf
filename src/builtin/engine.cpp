#include "perturb/train/engine.h"

#include <climits>
#include <exception>
#include <memory>
#include <optional>

#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/version.h>

#include "builtin/data_cache.h"
#include "builtin/generated_network.h"
#include "builtin/numerics.h"
#include "perturb/builtin/builtins.h"
#include "perturb/core/error.h"
#include "perturb/store/blobs.h"
#include "perturb/train/handover.h"
#include "perturb/train/session.h"
#include "perturb/train/spare_threads.h"

namespace perturb {
namespace {

/// Keeps freed memory in the process. glibc hands large tensors back to the kernel at every
/// free and gets them back page by page: two trials in one process then fight over page faults.
void keep_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 32 << 20);  // the largest that glibc accepts
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

class LibTorchEngine final : public Engine {
 public:
  explicit LibTorchEngine(const EngineOptions& options)
      : data_(registries_, options.data_folders),
        handover_(options.memory),
        threads_(options.threads) {
    if (!options.store.empty()) blobs_.emplace(options.store);
    generate_ = [this](const Ancestor& from, const std::string& device) {
      auto condition = from.start;
      condition.set("train.device", Value(device));
      const auto* blobs = blobs_ ? &*blobs_ : nullptr;
      return generated_network(from, *data_.get(condition, from.learnt_from, blobs), registries_,
                               blobs);
    };
    keep_memory();
    add_builtins(registries_);
    if (options.extend) options.extend(registries_);
  }

  Numerics numerics(bool measure) const override { return find_numerics(measure); }

  Record train(const Assignment& assignment, Progress& progress, const Report& report) override {
    const auto& condition = assignment.trial.start();
    const SpareThreads::Stage stage(threads_);
    try {
      // Per thread, because OpenMP keeps it so, and LibTorch and OpenBLAS both ask OpenMP.
      at::set_num_threads(static_cast<int>(condition.integer("train.threads")));
      return carry_out(assignment, progress,
                       {.registries = registries_,
                        .data = data_.get(assignment, blobs_ ? &*blobs_ : nullptr),
                        .blobs = blobs_ ? &*blobs_ : nullptr,
                        .generate = &generate_,
                        .handover = &handover_,
                        .threads = &threads_,
                        .report = report});
    } catch (const Error& error) {
      auto record = failed(assignment, error);
      // Then the networks that it learns from have to be trained again.
      record.start_lost = assignment.population && error.code() != ExitCode::Usage;
      return record;
    } catch (const std::exception& error) {
      return failed(assignment, error);
    }
  }

 private:
  static Record failed(const Assignment& assignment, const std::exception& error) {
    Record record;
    record.trial = assignment.trial.id;
    record.step = assignment.begin;
    record.message = error.what();
    record.message.erase(std::min(record.message.find('\n'), record.message.size()));
    return record;
  }

  Registries registries_;
  DataCache data_;
  std::optional<Blobs> blobs_;
  Generate generate_;
  Handover handover_;
  SpareThreads threads_;
};

}  // namespace
}  // namespace perturb

#define PERTURB_TEXT_OF(x) #x
#define PERTURB_DOTTED(major, minor, patch) \
  PERTURB_TEXT_OF(major) "." PERTURB_TEXT_OF(minor) "." PERTURB_TEXT_OF(patch)

extern "C" const char* perturb_libtorch() {
  // Not TORCH_VERSION: builds from source have a suffix of their own there.
  return PERTURB_DOTTED(TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR, TORCH_VERSION_PATCH);
}

extern "C" perturb::Engine* perturb_engine(int version, const perturb::EngineOptions* options) {
  if (version != perturb::kEngineVersion) return nullptr;
  return new perturb::LibTorchEngine(*options);
}
