#include "report/page/figure_html.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "perturb/report/table.h"
#include "report/page/answers.h"
#include "report/page/assets.h"
#include "report/page/html.h"

namespace perturb {

namespace {

using Json = nlohmann::json;

std::string data_element(const std::string& id, const Json& json) {
  return "<script type=\"application/json\" id=\"" + id + "\">" +
         script_data(json.dump(-1, ' ', false, Json::error_handler_t::replace)) + "</script>\n";
}

std::string figure_html(const Figure& figure, std::size_t number) {
  const std::string id = fmt::format("figure-{}", number);
  std::string all = "<figure>\n<h3>" + html(figure.title) + "</h3>\n";
  if (!figure.spec.is_null() && !kVega.empty()) {
    all += fmt::format(
        "<div class=drawing data-figure={0} role=img aria-label=\"{1}\" aria-describedby={0}-says>"
        "</div>\n",
        id, html(figure.title));
    all += data_element(id, figure.spec);
  }
  all += fmt::format("<figcaption id={}-says>{}</figcaption>\n", id, html(figure.caption));
  if (!figure.data.rows.empty()) {
    // Without pictures the figures themselves are the answer.
    all += kVega.empty() ? "<details open>" : "<details>";
    all += "<summary>Its figures as a table</summary>\n" + html(table_of(figure.data)) +
           "</details>\n";
  }
  if (!figure.query.empty()) {
    all += "<details><summary>The query that gives its data</summary><pre>" + html(figure.query) +
           "</pre></details>\n";
  }
  return all + "</figure>\n";
}

}  // namespace

std::string figures_html(const std::vector<Figure>& figures) {
  std::string all;
  if (kVega.empty()) {
    all +=
        "<p>This perturb was built without npm, so there are tables here and no pictures. "
        "<code>perturb plot</code> writes Vega-Lite specifications all the same.</p>\n";
  }
  for (std::size_t i = 0; i < figures.size(); ++i) all += figure_html(figures[i], i + 1);
  if (kVega.empty()) return all;
  const Json config = {{"light", plot_config(/*dark=*/false)},
                       {"dark", plot_config(/*dark=*/true)}};
  return all + data_element("figure-config", config);
}

}  // namespace perturb
