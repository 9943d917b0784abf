// Made by tests/reference/optimizers.py with PyTorch 1.13.0a0.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "perturb/core/value.h"

namespace perturb {

inline constexpr std::array kStart = {0.5F, -1.25F, 2.0F, -0.1F, 3.0F, 0.75F};
inline constexpr std::array kScale = {1.0F, 0.5F, -0.25F, 2.0F, 0.1F, -1.5F};
inline constexpr int kSteps = 8;
inline constexpr int kChange = 5;

struct Trajectory {
  std::string optimizer;
  std::map<std::string, Value> options;
  std::map<std::string, Value> change;  ///< from step kChange on
  std::vector<float> end;
};

inline const std::vector<Trajectory> kTrajectories = {
    {"sgd",
     {{"lr", 0.1}},
     {},
     {-0.0721869022F, -1.15027308F, 2.05499792F, -0.25033164F, 2.41650963F, 1.77521122F}},
    {"sgd",
     {{"lr", 0.1}, {"momentum", 0.9}},
     {{"momentum", 0.5}, {"lr", 0.05}},
     {-0.457954466F, -0.834294081F, 2.38661861F, -0.256290972F, 2.00306201F, 3.3972249F}},
    {"sgd",
     {{"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}, {"weight_decay", 0.01}},
     {{"weight_decay", 0.1}},
     {-0.890127301F, -0.775418401F, 2.35315371F, -0.411025912F, 0.668305874F, 9.97456932F}},
    {"adam",
     {{"lr", 0.01}},
     {{"lr", 0.1}},
     {0.14383918F, -1.04688811F, 2.13585305F, -0.360577554F, 2.64424205F, 1.08404791F}},
    {"adam",
     {{"lr", 0.01}, {"eps", 0.0001}, {"weight_decay", 0.1}, {"beta1", 0.8}, {"beta2", 0.99}},
     {{"beta1", 0.9}, {"beta2", 0.9}},
     {0.391655147F, -1.11155176F, 2.00119901F, -0.139968857F, 2.89193583F, 0.87907356F}},
    {"adamw",
     {{"lr", 0.01}},
     {{"eps", 0.001}},
     {0.418804109F, -1.18554747F, 2.05246258F, -0.126823947F, 2.91699982F, 0.826616645F}},
    {"adamw",
     {{"lr", 0.05}, {"weight_decay", 0.3}},
     {{"weight_decay", 0.0}},
     {0.067352891F, -0.900819182F, 2.12358785F, -0.289502591F, 2.38540602F, 1.08327913F}},
};

}  // namespace perturb
