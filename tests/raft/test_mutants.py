"""Our tests are tested: each fault put into the core on purpose must be noticed.

The traces, the directed tests and the random fleet run against a copy with one line changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TESTS = ["test_interaction.py", "test_quorum.py", "test_membership.py", "test_log.py"]
TESTS += ["test_core.py", "test_safety.py"]

MUTANTS = {
    "a vote ignores how fresh the log is": (
        "core.py",
        "(self.vote == message.sender or free or later) and self.log.is_up_to_date(\n"
        "            message.last_index, message.last_term\n        )",
        "self.vote == message.sender or free or later",
    ),
    "votes twice in a term": (
        "core.py",
        "free = self.vote == 0 and self.leader is None",
        "free = True",
    ),
    "the vote is lost at a restart": ("core.py", "self.vote = hard.vote", "self.vote = 0"),
    "a follower truncates without a conflict": (
        "log.py",
        "if not self.matches(entry.index, entry.term):",
        "if entry.index > self.committed:",
    ),
    "a heartbeat carries the whole commit index": (
        "leadership.py",
        "commit = min(progress.match, core.log.committed)",
        "commit = core.log.committed",
    ),
    "too small a quorum commits": (
        "quorum.py",
        "indexes[(count - 1) // 2]",
        "indexes[count // 2]",
    ),
    "a second change while one is pending": (
        "leadership.py",
        "if self.pending_change > core.log.applied:  # D2",
        "if False:",
    ),
    "a learner campaigns": (
        "core.py",
        "return self.id in self.configuration.all_voters or",
        "return self.id in self.configuration.members or",
    ),
    "voters keep no lease": (
        "core.py",
        "if not self.config.check_quorum:\n            return False\n",
        "return False\n",
    ),
    "a pre-vote raises terms": (
        "core.py",
        "if isinstance(message, PreVote):\n            return True\n",
        "",
    ),
    "no step-down without a quorum": (
        "core.py",
        "and not leadership.quorum_is_active()",
        "and False",
    ),
    "a joint commit by the new half only": (
        "quorum.py",
        "min(index, majority_committed(outgoing, acknowledged)) if outgoing else index",
        "index",
    ),
    "a snapshot does not pause": (
        "progress.py",
        "self.paused or self.state is ProgressState.SNAPSHOT",
        "self.paused",
    ),
    "old entries are committed by counting": (
        "log.py",
        "index > self.committed and self.term(index) == term",
        "index > self.committed",
    ),
    "a follower commits beyond what was proved": (
        "log.py",
        "self.commit_to(min(commit, proven))",
        "self.commit_to(min(commit, self.last_index))",
    ),
    "campaigns with a change unapplied": (
        "core.py",
        "return any(entry.kind == EntryKind.CHANGE for entry in waiting)",
        "return False",
    ),
    "a write counts for what replaced it": (
        "log.py",
        "self.writing = min(self.writing, after)  # L4",
        "pass",
    ),
    "an old snapshot is taken": (
        "core.py",
        "if snapshot.index <= log.committed:\n            return False\n",
        "",
    ),
    "acknowledged before it is on disk": (
        "core.py",
        "self.send_after_persist(AppendReply(self.id, leader, self.term, index))",
        "self.send(AppendReply(self.id, leader, self.term, index))",
    ),
    "a vote leaves before it is on disk": (
        "core.py",
        "self.send_after_persist(reply(self.id, message.sender, message.term))",
        "self.send(reply(self.id, message.sender, message.term))",
    ),
    "a restored configuration counts at once": (
        "core.py",
        "        log.restore(snapshot)\n        return True",
        "        log.restore(snapshot)\n        self.configuration = snapshot.configuration\n"
        "        return True",
    ),
    "a read is answered by a round that began before it": (
        "reads.py",
        "PendingRead(context, index, origin, self.round + 1)",
        "PendingRead(context, index, origin, self.round)",
    ),
    "a removed leader does not hand over": (
        "leadership.py",
        "            if self.is_retiring and self._core.config.on_removal is OnRemoval.HAND_OVER:\n"
        "                self._hand_over()\n",
        "",
    ),
}


def run_tests_on_copy(tmp_path, file, old, new):
    package = tmp_path / "lictor"
    shutil.copytree(ROOT / "raft", package / "raft", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text("")
    source = package / "raft" / file
    text = source.read_text()
    assert text.count(old) == 1, "the line to break is not there any more"
    source.write_text(text.replace(old, new))
    tests = [str(ROOT / "tests" / "raft" / test) for test in TESTS]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:lictor", "--timeout", "20"]
    options += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_unbroken_copy_passes(tmp_path):
    result = run_tests_on_copy(tmp_path, "log.py", "L1  ", "L1 ")
    assert result.returncode == 0, result.stdout[-2000:]


@pytest.mark.parametrize("name", MUTANTS)
def test_the_fault_is_noticed(name, tmp_path):
    result = run_tests_on_copy(tmp_path, *MUTANTS[name])
    assert result.returncode == 1, f"nobody noticed: {name}\n{result.stdout[-2000:]}"
