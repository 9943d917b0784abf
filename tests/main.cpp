// The main function of every test binary. It leaves the flags to doctest, among them
// --source-file, by which tests/meson.build runs one module at a time.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
