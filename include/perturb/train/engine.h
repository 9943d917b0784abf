// The door of the training half: what the program sees of LibTorch. The training half is a
// shared library that is loaded when something trains; this header is free of LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "perturb/core/progress.h"
#include "perturb/experiment/assignment.h"
#include "perturb/store/record.h"

namespace perturb {

struct Registries;

/// LibTorch as found at run time.
struct Numerics {
  std::string libtorch;       ///< version
  std::string blas;           ///< library in use, e.g. "OpenBLAS 0.3.21"
  bool blas_is_slow = false;  ///< the reference BLAS: training is 20 times slower with it
  std::string cpu;            ///< capability LibTorch dispatches to, e.g. "AVX512"
  int threads = 1;            ///< intra-op threads a trial
  std::vector<std::string> devices;
  double gflops = 0;  ///< of one core in float32 matrix products, measured when asked
  /// What results may depend on in their last bits, as JSON: LibTorch, BLAS, CPU capability,
  /// threads.
  std::string fingerprint;
};

struct EngineOptions {
  std::vector<std::filesystem::path> data_folders;  ///< searched in order for data sets
  std::filesystem::path store;  ///< whose blobs take and give checkpoints; empty: none are saved
  /// For states that wait for stages that go on from them; what does not fit is saved instead.
  std::size_t memory = std::size_t{1} << 30;
  /// That stages may use together; measuring takes those that no stage wants.
  std::size_t threads = 1;
  /// Adds what there is beside the built-in factories: what plugins bring. Called once.
  std::function<void(Registries&)> extend;
};

/// Takes what a stage has done so far. Called in the thread that carries it out.
using Report = std::function<void(Record&&)>;

class Engine {
 public:
  virtual ~Engine() = default;
  virtual Numerics numerics(bool measure) const = 0;
  /// Carries a stage out in the calling thread. Safe to call from several threads at once;
  /// data sets are shared. Reports what was done at every checkpoint; returns the record of the
  /// rest. Never throws: whatever goes wrong is in the record.
  virtual Record train(const Assignment& assignment, Progress& progress, const Report& report) = 0;
};

/// Goes up whenever this header or what it includes changes.
inline constexpr int kEngineVersion = 8;

}  // namespace perturb

/// The one entry point. Null when `version` is not the library's own. Owned by the caller.
extern "C" perturb::Engine* perturb_engine(int version, const perturb::EngineOptions* options);

/// The version of LibTorch that the training half was compiled with: "1.13.1".
extern "C" const char* perturb_libtorch();
