"""Members are killed under load, again and again; every acknowledged write must be there."""

import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]

MEMBER = Path(__file__).parent / "raft_member.py"


def free_port():
    """A port below the kernel's ephemeral range, so that a restart finds it free again."""
    for _ in range(100):
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Member:
    def __init__(self, directory, *, first=False, under=()):
        self.directory, self.first, self.port = directory, first, free_port()
        self.acked: list[str] = []
        self.start(under)

    def start(self, under=()):
        self.process = subprocess.Popen(
            [
                *under,
                sys.executable,
                MEMBER,
                self.directory,
                str(self.port),
                "first" if self.first else "-",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.node_id = self.answer("up")[0]

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line, word):
        self.tell(line)
        return self.answer(word)

    def answer(self, word):
        """The words after ``word``; acknowledgements on the way are kept."""
        for line in self.process.stdout:
            head, *words = line.split() or [""]
            if head == "acked" and line.endswith("\n"):
                self.acked += words
            if head == word:
                return words
        raise AssertionError(f"the member ended before it said {word!r}")

    def kill(self):
        self.process.kill()  # what has ended already is fine
        rest = self.process.stdout.read().split("\n")[:-1]  # a torn last line is dropped
        self.acked += [line.split()[1] for line in rest if line.startswith("acked")]
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()


def test_a_single_voter_loses_nothing_acknowledged_to_kill_9(tmp_path):
    member = Member(tmp_path / "raft", first=True)
    for round_ in range(6):
        member.tell(f"load r{round_}")
        for _ in range(100 + 37 * round_):  # let it work, for a time that differs
            member.answer("acked")
        member.kill()
        member.start()
        present = member.ask("dump", "dump")
        assert len(present) == len(set(present)), "a command was applied twice"
        assert set(member.acked) <= set(present)
    member.kill()
    assert len(member.acked) > 600


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace makes the fsync fail")
def test_an_fsync_that_fails_ends_the_member_and_loses_nothing_acknowledged(tmp_path):
    """The next fsync would succeed, though what the first should have written is gone."""
    inject = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=60"]
    strace = ["strace", "-f", "-o", "/dev/null", *inject]
    member = Member(tmp_path / "raft", first=True, under=strace)
    member.tell("load eio")
    assert "I/O" in member.answer("failed")
    assert member.process.wait() == 3
    member.kill()
    member.start()
    present = member.ask("dump", "dump")
    member.kill()
    assert member.acked
    assert set(member.acked) <= set(present)


def leader_of(members):
    for _ in range(200):
        for member in members:
            if member.ask("leader", "leader") == ["yes"]:
                return member
        time.sleep(0.05)  # real processes elect in real time
    raise AssertionError("nobody leads")


def test_three_members_lose_nothing_acknowledged_when_leaders_are_killed(tmp_path):
    members = [Member(tmp_path / "1", first=True)]
    for name in ("2", "3"):
        members.append(Member(tmp_path / name))
        members[0].ask(f"add {members[-1].node_id} 127.0.0.1:{members[-1].port}", "added")
    for round_ in range(4):
        leader = leader_of(members)
        leader.tell(f"load r{round_}")
        for _ in range(300):
            leader.answer("acked")
        leader.kill()
        others = [member for member in members if member is not leader]
        leader_of(others)
        leader.start()
    acknowledged = {value for member in members for value in member.acked}
    dumps = [member.ask("dump", "dump") for member in members]
    for member in members:
        member.kill()
    assert dumps[0] == dumps[1] == dumps[2]
    assert len(dumps[0]) == len(set(dumps[0]))
    assert acknowledged <= set(dumps[0])
    assert len(acknowledged) >= 1_200
