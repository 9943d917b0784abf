#include "report/page/page.h"

#include <fmt/format.h>

#include "report/page/assets.h"
#include "report/page/html.h"

namespace perturb {

namespace {

/// A script element, which the content policy admits by its hash.
std::string script(std::string_view source) {
  return "<script>" + std::string(source) + "</script>\n";
}

std::string policy() {
  // Vega writes styles onto elements, and its pictures for download are data.
  std::string scripts = "'" + script_hash(kPageScript) + "'";
  if (!kVega.empty()) scripts += " '" + script_hash(kVega) + "'";
  return "default-src 'none'; script-src " + scripts +
         "; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";
}

}  // namespace

std::string Page::text() const {
  std::string all = "<!DOCTYPE html>\n<html lang=en";
  if (refresh > 0) all += fmt::format(" data-refresh={}", refresh);
  all += ">\n<head>\n<meta charset=utf-8>\n";
  all += "<meta http-equiv=\"Content-Security-Policy\" content=\"" + policy() + "\">\n";
  all += "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n";
  all += "<meta name=generator content=\"perturb " PERTURB_VERSION "\">\n";
  all += "<title>" + html(title) + "</title>\n";
  // An icon of nothing: or else a browser asks for one.
  all += "<link rel=icon href=\"data:,\">\n<style>\n";
  all += kPageStyle;
  all += "</style>\n</head>\n<body>\n<a class=skip href=\"#content\">To the content</a>\n";
  all += "<header>\n<h1>" + html(title) + "</h1>\n" + head + "</header>\n";
  all += "<nav aria-label=\"Sections\"><div>\n";
  if (sections.size() > 1) {
    for (const Section& section : sections)
      all += "<a href=\"#" + section.id + "\">" + html(section.title) + "</a>\n";
  }
  all += "<button type=button id=theme hidden>Dark or light</button>\n</div></nav>\n";
  all += "<main id=content>\n";
  for (const Section& section : sections) {
    all += "<section id=" + section.id + " aria-labelledby=" + section.id + "-title>\n";
    all += "<h2 id=" + section.id + "-title>" + html(section.title) + "</h2>\n";
    all += section.html + "</section>\n";
  }
  all += "</main>\n<footer><p>" + foot + "</p></footer>\n";
  if (!kVega.empty()) all += script(kVega);
  all += script(kPageScript);
  return all + "</body>\n</html>\n";
}

}  // namespace perturb
