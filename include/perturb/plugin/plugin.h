// What a plugin brings: things of one's own that an experiment file can name, each a description
// with a factory. A plugin is a shared library; one file is enough:
//
//     #include "perturb/plugin/plugin.h"
//
//     PERTURB_PLUGIN(plugin) {
//       plugin.metric({.name = "largest-weight", .help = "Largest magnitude of a parameter."},
//                     [](const Parameters&) { return std::make_unique<LargestWeight>(); });
//     }
//
// Whoever links the library instead calls `perturb_plugin()->fill(plugin)`, or fills a Plugin
// directly, and adds it to a schema and registries. docs/extending.md has a recipe a kind.
//
// Law: filling a plugin adds to it and does nothing else, for it happens in every process that
// looks at an experiment which names the plugin, whether anything is trained or not.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "perturb/catalog/catalog.h"
#include "perturb/core/registry.h"
#include "perturb/experiment/schema.h"
#include "perturb/plugin/version.h"
#include "perturb/train/registries.h"

namespace perturb {

class Results;
struct Figure;
struct PlotSpec;
/// As in perturb/report/plot.h.
using Plotter = std::function<Figure(const PlotSpec&, const Results&)>;

/// Each throws Error(Usage) for a description that an experiment file could not be checked against:
/// no name or help, a name twice, a default of another type, no factory. The family need not be
/// said.
class Plugin {
 public:
  void task(Component description, TaskFactory factory);
  /// A factory that calls `initialise(model, condition)` wants `model_parameters` described.
  void model(Component description, ModelFactory factory);
  /// Gets `batch_size` and `train_examples` besides what is described. `facts` is needed: planning
  /// counts steps without loading data.
  void data_set(Component description, DatasetFactory factory);
  void optimizer(Component description, OptimizerFactory factory);
  void schedule(Component description, ScheduleFactory factory);
  void intervention(Component description, InterventionFactory factory);
  void metric(Component description, MetricFactory factory);
  /// The one kind that needs no LibTorch.
  void plot(Component description, Plotter plotter);

  const std::vector<Component>& components() const { return components_; }
  /// Whether anything of it needs the training half.
  bool trains() const;

  /// Adds the descriptions, said to come from `origin`. Throws Error(Usage) when a name is taken.
  void add_to(Schema& schema, const std::optional<Origin>& origin = {}) const;
  /// Adds the factories.
  void add_to(Registries& registries) const;
  void add_to(Registry<Plotter>& plotters) const;

 private:
  template <class Factory>
  void add(Family family, Component&& description, Registry<Factory>& factories, Factory&& factory);

  std::vector<Component> components_;
  Registries factories_;
  Registry<Plotter> plotters_{"plot"};
};

/// What a plugin was built with. Found in the bytes of the file before any of it runs, so its
/// layout never changes but for `abi`.
struct PluginStamp {
  using Text = std::array<char, 32>;  ///< ends with 0

  std::array<char, 16> magic;
  std::int32_t abi;       ///< of this header and all that it includes, within a version
  std::int32_t new_text;  ///< _GLIBCXX_USE_CXX11_ABI; -1 with another standard library
  Text version;           ///< of perturb's headers
  Text compiler;          ///< "gcc 12"
  Text libtorch;          ///< "1.13.1"; empty: the plugin does without the training half
};

inline constexpr std::array<char, 16> kPluginMagic = {'\x7f', 'p', 'e', 'r', 't', 'u', 'r', 'b',
                                                      '-',    'p', 'l', 'u', 'g', 'i', 'n', '\n'};
/// Goes up whenever a plugin that was built before could not be used any more.
inline constexpr std::int32_t kPluginAbi = 1;

/// What a plugin's one symbol leads to.
struct PluginEntry {
  PluginStamp stamp;
  void (*fill)(Plugin& plugin);
};

#define PERTURB_TEXT_OF_(x) #x
#define PERTURB_TEXT_OF(x) PERTURB_TEXT_OF_(x)

/// The stamp of what is being compiled now. `libtorch` is PERTURB_LIBTORCH_TEXT.
constexpr PluginStamp plugin_stamp(std::string_view libtorch) {
  const auto text = [](std::string_view words) {
    PluginStamp::Text chars{};
    std::copy_n(words.begin(), std::min(words.size(), chars.size() - 1), chars.begin());
    return chars;
  };
#ifdef _GLIBCXX_USE_CXX11_ABI
  constexpr std::int32_t kNewText = _GLIBCXX_USE_CXX11_ABI;
#else
  constexpr std::int32_t kNewText = -1;
#endif
#if defined(__clang__)
  constexpr std::string_view kCompiler = "clang " PERTURB_TEXT_OF(__clang_major__);
#elif defined(__GNUC__)
  constexpr std::string_view kCompiler = "gcc " PERTURB_TEXT_OF(__GNUC__);
#else
  constexpr std::string_view kCompiler = "another compiler";
#endif
  return {kPluginMagic,          kPluginAbi,      kNewText,
          text(kHeadersVersion), text(kCompiler), text(libtorch)};
}

}  // namespace perturb

/// pkg-config's `perturb-train` says which LibTorch it goes with; `perturb` alone has none.
#ifdef PERTURB_LIBTORCH
#define PERTURB_LIBTORCH_TEXT PERTURB_TEXT_OF(PERTURB_LIBTORCH)
#else
#define PERTURB_LIBTORCH_TEXT ""
#endif

/// Begins the one block of a plugin that says what it brings; `plugin` names the Plugin& in it.
#define PERTURB_PLUGIN(plugin)                                                    \
  static void perturb_fill_plugin(::perturb::Plugin& plugin);                     \
  extern "C" __attribute__((visibility("default"))) const ::perturb::PluginEntry* \
  perturb_plugin() {                                                              \
    static constexpr ::perturb::PluginEntry entry = {                             \
        ::perturb::plugin_stamp(PERTURB_LIBTORCH_TEXT), perturb_fill_plugin};     \
    return &entry;                                                                \
  }                                                                               \
  static void perturb_fill_plugin(::perturb::Plugin& plugin)

/// The entry of a plugin that is linked rather than loaded.
extern "C" const perturb::PluginEntry* perturb_plugin();
