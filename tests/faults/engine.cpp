// A training half that misbehaves: the real one, beside the program or named by
// PERTURB_FAULTS_TRAIN, but for trials whose seeds.sample is one of those below. Written to be
// loaded through PERTURB_TRAIN into isolated workers.
#include "perturb/train/engine.h"

#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <memory>
#include <thread>
#include <unistd.h>
#include <vector>

namespace perturb {
namespace {

constexpr std::int64_t kSegfault = 901;
constexpr std::int64_t kAbort = 902;
constexpr std::int64_t kExit = 903;      // 0, as if all were well
constexpr std::int64_t kAllocate = 904;  // without end
constexpr std::int64_t kSleep = 905;     // for ever

void misbehave(std::int64_t how) {
  switch (how) {
    case kSegfault:
      std::signal(SIGSEGV, SIG_DFL);
      ::raise(SIGSEGV);
      break;
    case kAbort:
      std::abort();
    case kExit:
      ::_exit(0);
    case kAllocate:
      for (std::vector<std::unique_ptr<char[]>> all;;) {
        constexpr std::size_t kPiece = 16 << 20;
        all.push_back(std::make_unique<char[]>(kPiece));  // zeroed: it is there
      }
    case kSleep:
      for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
    default:
      break;
  }
}

class FaultyEngine final : public Engine {
 public:
  explicit FaultyEngine(Engine* real) : real_(real) {}

  Numerics numerics(bool measure) const override { return real_->numerics(measure); }

  Record train(const Assignment& assignment, Progress& progress, const Report& report) override {
    misbehave(assignment.trial.start().integer("seeds.sample"));
    return real_->train(assignment, progress, report);
  }

 private:
  std::unique_ptr<Engine> real_;
};

std::filesystem::path real_library() {
  if (const char* named = std::getenv("PERTURB_FAULTS_TRAIN")) return named;
  return std::filesystem::read_symlink("/proc/self/exe").replace_filename("libperturb_train.so");
}

}  // namespace
}  // namespace perturb

extern "C" perturb::Engine* perturb_engine(int version, const perturb::EngineOptions* options) {
  void* library = ::dlopen(perturb::real_library().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return nullptr;
  const auto entry =
      reinterpret_cast<decltype(&perturb_engine)>(::dlsym(library, "perturb_engine"));
  perturb::Engine* real = entry ? entry(version, options) : nullptr;
  return real ? new perturb::FaultyEngine(real) : nullptr;
}
