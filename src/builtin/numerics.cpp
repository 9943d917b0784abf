#include "builtin/numerics.h"

#include <chrono>
#include <dlfcn.h>
#include <filesystem>
#include <string>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <nlohmann/json.hpp>
#include <torch/version.h>

namespace perturb {
namespace {

struct Blas {
  std::string name;
  bool slow = false;
};

/// Which library answers, not which one LibTorch was built against: on Debian that is decided
/// by the alternatives system, long after.
Blas find_blas() {
  if (at::hasMKL()) return {"MKL"};
  // "OpenBLAS 0.3.21 NO_AFFINITY USE_OPENMP SkylakeX MAX_THREADS=64"
  if (void* config = dlsym(RTLD_DEFAULT, "openblas_get_config")) {
    const std::string text = reinterpret_cast<const char* (*)()>(config)();
    return {text.substr(0, text.find(' ', text.find(' ') + 1))};
  }
  if (void* version = dlsym(RTLD_DEFAULT, "bli_info_get_version_str")) {
    return {std::string("BLIS ") + reinterpret_cast<const char* (*)()>(version)()};
  }
  void* sgemm = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info info;
  if (sgemm == nullptr || dladdr(sgemm, &info) == 0) return {"unknown"};
  std::error_code ignored;
  const auto file = std::filesystem::canonical(info.dli_fname, ignored);
  const bool reference = file.filename().string().starts_with("libblas.so.3.");
  return {reference ? "reference BLAS (" + file.string() + ")" : file.string(), reference};
}

/// What LibTorch's kernels were chosen for. LibTorch 1.13 tells it in prose alone.
std::string cpu_capability() {
  const std::string config = at::show_config();
  const std::string before = "CPU capability usage: ";
  const auto found = config.find(before);
  if (found == std::string::npos) return "unknown";
  const auto begin = found + before.size();
  return config.substr(begin, config.find('\n', begin) - begin);
}

double measure_gflops() {
  constexpr std::int64_t n = 1024;
  const auto a = at::full({n, n}, 0.5, at::kFloat);
  auto c = at::mm(a, a);  // the first product also starts threads and fills caches
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::duration<double> elapsed{};
  int products = 0;
  do {
    at::mm_out(c, a, a);
    ++products;
    elapsed = std::chrono::steady_clock::now() - begin;
  } while (elapsed.count() < 0.3);
  return 2.0 * n * n * n * products / elapsed.count() / 1e9;
}

}  // namespace

Numerics find_numerics(bool measure) {
  const auto blas = find_blas();
  Numerics numerics;
  numerics.libtorch = TORCH_VERSION;
  numerics.blas = blas.name;
  numerics.blas_is_slow = blas.slow;
  numerics.cpu = cpu_capability();
  numerics.threads = 1;
  numerics.devices = {"cpu"};
  for (std::size_t i = 0; i < at::getNumGPUs(); ++i) {
    numerics.devices.push_back("cuda:" + std::to_string(i));
  }
  numerics.fingerprint = nlohmann::json{
      {"libtorch", numerics.libtorch},
      {"blas", numerics.blas},
      {"cpu", numerics.cpu},
      {"threads",
       numerics.threads}}.dump();
  if (measure) {
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    numerics.gflops = measure_gflops();
    at::set_num_threads(threads);
  }
  return numerics;
}

}  // namespace perturb
