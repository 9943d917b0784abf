// doctest for tests that see LibTorch. Both define CHECK and its kin, LibTorch to abort and
// doctest to record, and whichever came last would win without a word: so LibTorch is read
// first and its family struck out. Include this, never <doctest/doctest.h>, in such a test.
#pragma once

#include <ATen/ATen.h>
#include <c10/util/Logging.h>

#undef CHECK
#undef CHECK_EQ
#undef CHECK_NE
#undef CHECK_LT
#undef CHECK_LE
#undef CHECK_GT
#undef CHECK_GE

#include <doctest/doctest.h>
