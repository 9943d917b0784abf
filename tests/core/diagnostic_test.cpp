#include "perturb/core/diagnostic.h"

#include <doctest/doctest.h>

using namespace perturb;

namespace {
Place at(const std::string& text, std::size_t line, std::size_t column) {
  return {std::make_shared<const Source>(Source{"a.toml", text}), line, column};
}
}  // namespace

TEST_CASE("a diagnostic shows the line, the caret and what to do") {
  const Diagnostic d{at("x = 1\n  lrr = 2\n", 2, 3), "unknown key \"lrr\"", "did you mean \"lr\"?",
                     false};
  CHECK(render(d) ==
        "a.toml:2:3: error: unknown key \"lrr\"\n"
        "     2 |   lrr = 2\n"
        "       |   ^\n"
        "  did you mean \"lr\"?\n");
}

TEST_CASE("what could command a terminal is not passed on") {
  const Diagnostic d{at("\x1b[31mred\xE2\x80\xAE evil\xff", 1, 1), "bad \x1b]0;title\x07", "",
                     true};
  const auto shown = render(d);
  CHECK(shown.find('\x1b') == std::string::npos);
  CHECK(shown.find('\x07') == std::string::npos);
  CHECK(shown.find("\xE2\x80\xAE") == std::string::npos);
  CHECK(shown.find('\xff') == std::string::npos);
  // All that turn the direction of reading.
  for (const std::string mark : {"\u061c", "\u200e", "\u200f", "\u202a", "\u202b", "\u202c",
                                 "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"}) {
    const auto line = render({at("a" + mark + "b", 1, 1), "is " + mark, "not " + mark, false});
    CHECK(line.find(mark) == std::string::npos);
    CHECK(line.find("a?b") != std::string::npos);
  }
}

TEST_CASE("long lines are cut around the caret, which stays under its character") {
  std::string line(5000, '.');
  line[3000] = 'X';
  const auto shown = render({at(line, 1, 3001), "here", "", false});
  CHECK(shown.size() < 500);
  const auto rows = shown.find('\n') + 1;
  const auto source = shown.substr(rows, shown.find('\n', rows) - rows);
  const auto caret = shown.substr(shown.find('\n', rows) + 1);
  CHECK(source.find('X') == caret.find('^'));
}

TEST_CASE("places outside the text do no harm") {
  for (const std::size_t line : {0UL, 1UL, 7UL, 1UL << 40}) {
    for (const std::size_t column : {0UL, 1UL, 9999UL})
      CHECK_FALSE(render({at("x", line, column), "m", "", false}).empty());
  }
}

TEST_CASE("the nearest name is what was meant, or nothing") {
  const std::vector<std::string> names = {"optimizer.lr", "optimizer.momentum", "model.kind"};
  CHECK(nearest("optimzer.lr", names) == "optimizer.lr");
  CHECK(nearest("optimizer.momentmu", names) == "optimizer.momentum");
  CHECK(nearest("zzz", names).empty());
  CHECK(nearest("", names).empty());
  CHECK(nearest(std::string(100'000, 'a'), names).empty());
}
