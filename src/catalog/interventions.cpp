#include "catalog/families.h"

namespace perturb {
namespace {

std::string check_perturbation(const std::map<std::string, Value>& parameters) {
  if (parameters.at("mode").as_string() != "rotate") return {};
  const std::string& relative_to = parameters.at("relative_to").as_string();
  if (relative_to == "std") {
    return "mode = \"rotate\" moves along a sphere: relative_to is \"norm\" or \"none\"";
  }
  if (relative_to == "norm" && parameters.at("epsilon").as_float() > 2) {
    return "mode = \"rotate\" cannot move a tensor by more than twice its norm: epsilon is "
           "at most 2";
  }
  return {};
}

}  // namespace

void add_interventions(Schema& schema) {
  schema.add({
      .family = Family::Intervention,
      .name = "set",
      .help = "Gives fields of the condition other values, for the whole run or in windows of "
              "steps; afterwards the exact former value is back.",
      .moment = Moment::WholeRun,
  });
  schema.add({
      .family = Family::Intervention,
      .name = "perturb-weights",
      .help = "Moves the parameters in a random direction, each tensor p by itself.",
      .parameters =
          {
              {
                  .name = "mode",
                  .type = Type::String,
                  .fallback = "gaussian",
                  .help = "gaussian adds normal noise. rotate keeps the norm r of p: with delta "
                          "= epsilon r (or epsilon, if relative to none) and theta = arccos(1 - "
                          "delta^2 / (2 r^2)) the new tensor is p cos(theta) + v r sin(theta), v "
                          "a random unit vector orthogonal to p, so that it has moved by "
                          "delta; a zero tensor stays zero.",
                  .choices = {"gaussian", "rotate"},
              },
              {
                  .name = "epsilon",
                  .type = Type::Float,
                  .help = "How far; what it is relative to says relative_to. 0 changes nothing.",
                  .least = 0,
              },
              {
                  .name = "relative_to",
                  .type = Type::String,
                  .fallback = "norm",
                  .help = "gaussian: with norm the noise is N(0, (epsilon |p| / sqrt(n))^2), n "
                          "elements, so that a tensor moves by epsilon |p| (root mean square); "
                          "with std N(0, (epsilon std(p))^2), std unbiased and 0 for one "
                          "element; with none N(0, epsilon^2). rotate: norm (epsilon up to 2, "
                          "which negates) or none (epsilon up to twice the norm).",
                  .choices = {"norm", "std", "none"},
              },
              {
                  .name = "seed",
                  .type = Type::Int,
                  .fallback = 0,
                  .help = "Which noise, or which direction.",
                  .least = 0,
              },
              {
                  .name = "layers",
                  .type = Type::String,
                  .fallback = "*",
                  .help = "Only parameters whose name matches; * stands for any characters: "
                          "\"conv1.*\", \"*.weight\".",
              },
          },
      .moment = Moment::Init,
      .check = check_perturbation,
  });
}

}  // namespace perturb
