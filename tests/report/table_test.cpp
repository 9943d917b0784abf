#include "perturb/report/table.h"

#include <doctest/doctest.h>

#include "perturb/core/random.h"

using namespace perturb;

TEST_CASE("columns line up by what a terminal shows, not by bytes") {
  TextTable table({{"name"}, {"n", Align::Right}});
  table.add({"a", "1"});
  table.add({"é̂", "10"});      // a combining mark takes no column
  table.add({"重み", "100"});  // East Asian characters take two
  CHECK(table.text({}) ==
        "name    n\n"
        "a       1\n"
        "é̂      10\n"
        "重み  100\n");
}

TEST_CASE("display width") {
  CHECK(display_width("") == 0);
  CHECK(display_width("mean ± sd") == 9);
  CHECK(display_width("ü") == 1);
  CHECK(display_width("u\u0308") == 1);
  CHECK(display_width("漢字") == 4);
  CHECK(display_width("🙂") == 2);
}

TEST_CASE("nothing that a cell says reaches the terminal as a command") {
  CHECK(printable("plain ± 漢字") == "plain ± 漢字");
  CHECK(printable("a\x1b[2Jb") == "a\\x1b[2Jb");
  CHECK(printable("a\nb\tc\r") == "a\\nb\\tc\\r");
  CHECK(printable("\u202eevil") == "\\u202eevil");
  CHECK(printable("\u009b31m") == "\\x9b31m");  // a one-character escape sequence
  CHECK(printable("\xff\xfe") == "\ufffd\ufffd");
  CHECK(printable("\xed\xa0\x80") == "\ufffd\ufffd\ufffd");  // half of a surrogate pair
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
}

TEST_CASE(
    "whatever bytes come, what is printed is printable, and printing it again changes nothing") {
  Random random(7, "table test");
  for (int draw = 0; draw < 2'000; ++draw) {
    std::string bytes(random.below(20), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.below(256));
    const std::string shown = printable(bytes);
    CHECK(printable(shown) == shown);
    for (const char c : shown) CHECK((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f));
    CHECK(display_width(shortened(shown, 5)) <= 5);
  }
}

TEST_CASE("what is too wide ends in an ellipsis, between characters") {
  CHECK(shortened("abcdef", 6) == "abcdef");
  CHECK(shortened("abcdef", 5) == "abcd…");
  CHECK(shortened("漢字漢字", 5) == "漢字…");
  CHECK(shortened("漢字漢字", 4) == "漢…");  // half a character does not fit
  TextTable table({{"x"}});
  table.add({std::string(10'000, 'y')});
  CHECK(table.text({.widest_cell = 3}) == "x\nyy…\n");
}

TEST_CASE("flexible columns give way where a table would not fit") {
  TextTable table({{.title = "what", .flexible = true}, {"n", Align::Right}});
  table.add({std::string(50, 'w'), "12345"});
  CHECK(table.text({.width = 30}) ==
        "what                         n\n" + std::string(22, 'w') + "…  12345\n");
}

TEST_CASE("colour is added only where it is asked for, and does not count as width") {
  TextTable table({{"a"}, {"b"}});
  table.add({"1", "2"}, Ink::Red);
  CHECK(table.text({}).find('\x1b') == std::string::npos);
  CHECK(table.text({.color = true}) == "\x1b[1ma  b\x1b[0m\n\x1b[31m1  2\x1b[0m\n");
}

TEST_CASE("CSV quotes what would be read otherwise") {
  CHECK(csv_line({"a", "b,c", "d\"e", "f\ng", ""}) == "a,\"b,c\",\"d\"\"e\",\"f\ng\",\n");
  // Alone, an empty cell would be a line without any.
  CHECK(csv_line({""}) == "\"\"\n");
}

TEST_CASE("what looks like a formula is quoted, and for a spreadsheet made a text") {
  for (const char* text :
       {"=1+1", "+1", "-1+cmd", "@x", "\t=x", "\r=x", " =x", "＝1", "-", "=", "-x"}) {
    CHECK(csv_line({"a", text}) == std::string("a,\"") + text + "\"\n");
    CHECK(csv_line({"a", text}, CsvReader::Spreadsheet) == std::string("a,\"'") + text + "\"\n");
  }
  // Numbers are what they are, and so is all that only has such a sign in it.
  for (const char* text : {"-1", "-0.5", "-1e-300", "-inf", "a=b", "1-2", "x@y", "", " "}) {
    for (const CsvReader reader : {CsvReader::Program, CsvReader::Spreadsheet})
      CHECK(csv_line({"a", text}, reader) == std::string("a,") + text + "\n");
  }
}
