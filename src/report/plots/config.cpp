#include "perturb/report/plot.h"

namespace perturb {

using nlohmann::json;

namespace {

/// Okabe & Ito's colours, told apart by eyes of every kind; black, the eighth, is the control's.
const json& okabe_ito() {
  static const json all = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"};
  return all;
}

/// Vega begins again where a range ends; the control's colour must not come again.
json category(const char* ink) {
  constexpr int kRounds = 20;
  json all = {ink};
  for (int round = 0; round < kRounds; ++round)
    all.insert(all.end(), okabe_ito().begin(), okabe_ito().end());
  return all;
}

}  // namespace

json plot_config(bool dark) {
  const char* ink = dark ? "#ffffff" : "#000000";
  const char* text = dark ? "#d8d8d8" : "#333333";
  const char* line = dark ? "#3a3a3a" : "#e2e2e2";
  const char* axis = dark ? "#8a8a8a" : "#888888";
  const char* effect = dark ? "#56B4E9" : "#0072B2";
  return {
      {"background", dark ? "#151515" : "#ffffff"},
      {"font", "system-ui, sans-serif"},
      {"padding", 12},
      {"range",
       {{"category", category(ink)},
        {"ordinal", okabe_ito()},
        {"heatmap", {{"scheme", "viridis"}}},
        {"ramp", {{"scheme", "viridis"}}},
        {"diverging", {{"scheme", "blueorange"}}}}},
      {"style",
       {{"ink", {{"color", ink}}}, {"effect", {{"color", effect}}}, {"zero", {{"color", axis}}}}},
      {"view", {{"stroke", nullptr}}},
      {"axis",
       {{"labelColor", text},
        {"titleColor", text},
        {"gridColor", line},
        {"domainColor", axis},
        {"tickColor", axis},
        {"labelFontSize", 11},
        {"titleFontSize", 12},
        {"titleFontWeight", "normal"},
        {"labelLimit", 420},
        {"titleLimit", 420}}},
      {"legend",
       {{"labelColor", text},
        {"titleColor", text},
        {"labelFontSize", 11},
        {"titleFontWeight", "normal"},
        {"labelLimit", 360},
        {"symbolSize", 90},
        {"symbolStrokeWidth", 2}}},
      {"title",
       {{"color", text},
        {"anchor", "start"},
        {"frame", "group"},
        {"fontSize", 13},
        {"fontWeight", 600},
        {"limit", 900},
        {"offset", 12}}},
      {"text", {{"color", text}}},
  };
}

}  // namespace perturb
