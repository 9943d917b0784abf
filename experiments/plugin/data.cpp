// A data set: points on rings around each other, each ring a class. Generated, so without a digest.
#include <ATen/ATen.h>
#include <perturb/plugin/plugin.h>
#include <perturb/train/dataset.h>
#include <perturb/train/draw.h>

using namespace perturb;

ExampleSet rings(const char* purpose, std::int64_t count, double noise) {
  Random random(/*seed=*/0, purpose);  // addressed: never LibTorch's own generator
  const Tensor ring = at::arange(count, at::kLong).remainder(3);
  const Tensor angle = draw_uniform(random, {count}) * 6.2831853;
  const Tensor points = at::stack({angle.cos(), angle.sin()}, 1) * (ring + 1).unsqueeze(1);
  return {points + draw_normal(random, {count, 2}) * noise, ring};
}

PERTURB_PLUGIN(plugin) {
  plugin.data_set({.name = "rings",
                   .help = "600 and 300 points on three rings.",
                   .parameters = {{.name = "noise", .fallback = 0.1, .help = "Of every point."}},
                   .facts = [](auto&&...) { return DataFacts{.train = 600, .test = 300}; }},
                  [](const Condition& trial, auto&&) {
                    const double noise = trial.number("data.noise");
                    return Dataset{{{2}, 3}, rings("a", 600, noise), rings("b", 300, noise)};
                  });
}
