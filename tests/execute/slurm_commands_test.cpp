#include "execute/slurm_commands.h"

#include <doctest/doctest.h>

namespace {
using namespace perturb;
}  // namespace

TEST_CASE("the queue is what squeue prints, a line a task") {
  const auto queue = parse_squeue(
      "7|0|RUNNING|None|0|n1|\n"
      "7|3|PENDING|Dependency|0||\n"
      "7|4|FAILED|NonZeroExitCode|768|n1|\n"
      "7|5|FAILED|RaisedSignal:9(Killed)|9|n2|\n"
      "8|N/A|RUNNING|None|0|n1|\n"
      "\n");
  REQUIRE(queue);
  CHECK(queue->size() == 4);  // what is in no array is none of ours
  CHECK(queue->at({"7", 0}).runs());
  CHECK(queue->at({"7", 0}).nodes == "n1");
  CHECK(queue->at({"7", 3}).waits());
  CHECK(queue->at({"7", 3}).reason == "Dependency");
  CHECK(queue->at({"7", 4}).ended());
  CHECK(queue->at({"7", 4}).status == 3);
  CHECK(queue->at({"7", 5}).signal == 9);
}

TEST_CASE("an empty queue is an answer, and what is not understood is none") {
  CHECK(parse_squeue("")->empty());
  CHECK_FALSE(parse_squeue("slurm_load_jobs error: Unable to contact slurm controller"));
  CHECK_FALSE(parse_squeue("7|0|RUNNING\n"));
}

TEST_CASE("a state that is unknown to us is no end") {
  for (const char* state : {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED",
                            "REQUEUED", "REQUEUE_HOLD", "STAGE_OUT", "SIGNALING", ""}) {
    CHECK_FALSE_MESSAGE(QueuedTask{.state = state}.ended(), state);
  }
  for (const char* state : {"COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL", "PREEMPTED",
                            "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE"}) {
    CHECK_MESSAGE(QueuedTask{.state = state}.ended(), state);
  }
}

TEST_CASE("scontrol tells of single tasks how they ended") {
  const Queue queue = parse_details(
      "JobId=9 ArrayJobId=7 ArrayTaskId=2 JobName=x JobState=TIMEOUT Reason=TimeLimit "
      "ExitCode=0:15 NodeList=n1 BatchHost=n1\n"
      "JobId=7 ArrayJobId=7 ArrayTaskId=3-9 JobName=x JobState=PENDING Reason=Priority\n");
  REQUIRE(queue.size() == 1);
  const QueuedTask& task = queue.at({"7", 2});
  CHECK(task.state == "TIMEOUT");
  CHECK(task.signal == 15);
  CHECK(task.nodes == "n1");
}

TEST_CASE("limits are those that Slurm says, and its usual ones where it does not") {
  const SlurmLimits limits = limits_from(
      "Configuration data as of 2026-01-01T00:00:00\n"
      "MaxArraySize            = 17\nMaxJobCount             = 2000\nMaxJobId = 9\n");
  CHECK(limits.array == 17);
  CHECK(limits.jobs == 2000);
  CHECK(limits_from("").array == 1001);
  CHECK(limits_from("MaxArraySize = many").array == 1001);
}

TEST_CASE("a program is asked without a shell; both its outputs and its end are seen") {
  const Answer good = ask({"printf", "%s", "$HOME ;"});
  CHECK(good.ok);
  CHECK(good.out == "$HOME ;");
  const Answer bad = ask({"sh", "-c", "echo one >&2; echo two >&2; exit 3"});
  CHECK(bad.found);
  CHECK_FALSE(bad.ok);
  CHECK(bad.err == "one two");
  CHECK_FALSE(ask({"no-such-program-anywhere"}).found);
}

TEST_CASE("a program that does not answer in time is ended, with what it has started") {
  const Answer answer = ask({"sh", "-c", "sleep 1000 & sleep 1000"}, /*seconds=*/1);
  CHECK_FALSE(answer.ok);
  CHECK(answer.err == "sh did not answer within 1 s");
}

TEST_CASE("more than a pipe holds is read") {
  const Answer answer = ask({"sh", "-c", "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2"});
  CHECK(answer.ok);
  CHECK(answer.out.size() == 300'000);
}
