"""Auth files on disk: what is read, and that a write is all or nothing, even under kill -9."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from aiproxy.errors import CredentialError
from aiproxy.services import authfiles
from tests.integration.program import environment

KILLS = 200

_WRITERS = """
import json, os, sys
from aiproxy.services import authfiles

def write_on(number):
    while True:
        number += 1
        text = json.dumps({"number": number, "padding": "x" * 5000, "end": number})
        os.write(1, b"%d\\n" % number)
        authfiles.write(sys.argv[1], text)

for line in sys.stdin:
    writer = os.fork()
    if not writer:
        write_on(int(line))
    os.write(1, b"=%d\\n" % writer)
    os.waitpid(writer, 0)
    os.write(1, b"gone\\n")
"""
"""
Forks a writer for each number that it reads, and says when that one is gone.

A writer says what it is about to write, then writes it, and so on, until it is killed.
"""


class FileCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "auth.json"


class ReadTests(FileCase):
    def test_a_pipe(self) -> None:
        """What is no plain file is refused, without waiting for anybody to write into it."""
        os.mkfifo(self.path)
        with self.assertRaisesRegex(CredentialError, "no plain file"):
            authfiles.read(str(self.path))


class WriteTests(FileCase):
    def test_mode(self) -> None:
        """Others lose their access; what was stricter than 0600 stays so."""
        for before, after in ((0o644, 0o600), (0o600, 0o600), (0o400, 0o400), (0o777, 0o600)):
            self.path.unlink(missing_ok=True)
            self.path.write_text("{}", "utf-8")
            self.path.chmod(before)
            authfiles.write(str(self.path), '{"a": 1}')
            self.assertEqual(self.path.stat().st_mode & 0o777, after)
            self.assertEqual(self.path.read_text("utf-8"), '{"a": 1}')

    def test_owner(self) -> None:
        """Where the system lets us, the file stays its owner's."""
        if os.geteuid():
            raise SkipTest("only root may give files away")
        self.path.write_text("{}", "utf-8")
        os.chown(self.path, 1234, 4321)
        authfiles.write(str(self.path), '{"a": 1}')
        status = self.path.stat()
        self.assertEqual((status.st_uid, status.st_gid), (1234, 4321))

    def test_links(self) -> None:
        """A link stays a link, and its target is what changes."""
        target = self.folder / "elsewhere" / "real.json"
        target.parent.mkdir()
        target.write_text("{}", "utf-8")
        self.path.symlink_to(target)
        authfiles.write(str(self.path), '{"a": 1}')
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(target.read_text("utf-8"), '{"a": 1}')
        self.assertEqual([entry.name for entry in target.parent.iterdir()], ["real.json"])

    def test_signature(self) -> None:
        """What a write returns is what a look at the file finds."""
        written = authfiles.write(str(self.path), "{}")
        self.assertEqual(authfiles.signature(str(self.path)), written)
        self.assertEqual(authfiles.read(str(self.path)).signature, written)
        self.assertNotEqual(authfiles.write(str(self.path), "{}"), written)

    def test_no_room(self) -> None:
        """A write that fails leaves the file as it was, and nothing beside it."""
        self.path.mkdir()
        self.assertRaises(OSError, authfiles.write, str(self.path), "{}")
        self.assertEqual([entry.name for entry in self.folder.iterdir()], ["auth.json"])


class KillTests(FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.path.write_text('{"number": 0, "end": 0}', "utf-8")
        self.writers = subprocess.Popen(
            [sys.executable, "-c", _WRITERS, str(self.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self.addCleanup(self.writers.communicate)

    def test_killed_at_any_point(self) -> None:
        """Whenever the writer is killed, the file is whole, and is its latest or the one before."""
        chance = random.Random(7)
        number = 0
        for _ in range(KILLS):
            announced = self.killed(number, chance.uniform(0, 0.02))
            said = json.loads(self.path.read_text("utf-8"))
            self.assertEqual(said["number"], said["end"])
            self.assertIn(said["number"], (announced - 1, announced))
            number = said["number"]
        # Not all were killed before they had written anything.
        self.assertGreater(number, KILLS // 5)

    def killed(self, number: int, seconds: float) -> int:
        """Let a writer go on from `number`, kill it after a moment; what it said it would write."""
        assert self.writers.stdin is not None
        assert self.writers.stdout is not None
        self.writers.stdin.write(b"%d\n" % number)
        self.writers.stdin.flush()
        output = self.writers.stdout
        lines: list[bytes] = []
        while len(lines) < 2 or not any(line.startswith(b"=") for line in lines):
            lines.append(output.readline())
        # The random point: nothing is waited for.
        time.sleep(seconds)
        writer = next(int(line[1:]) for line in lines if line.startswith(b"="))
        os.kill(writer, signal.SIGKILL)
        lines += iter(output.readline, b"gone\n")
        return max(int(line) for line in lines if not line.startswith(b"="))
