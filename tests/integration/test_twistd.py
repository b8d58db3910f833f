"""`twistd -n aiproxy` as a person starts it: what it prints, and what keeps it from starting."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
from pathlib import Path

from twisted.trial.unittest import SkipTest

from aiproxy.providers import PROVIDERS
from tests.integration.cases import ProgramCase, body, outside, upstream
from tests.integration.http import get, post
from tests.integration.logins import upstream_lines, write_login
from tests.integration.program import Child, environment, free_port

_TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")

CONFIG = "upstreams:\n" + upstream("a", "http://127.0.0.1:1")


class TwistdCase(ProgramCase):
    """Commands, each in a folder of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.mktemp()
        os.makedirs(self.folder)

    def file(self, text: str, name: str = "config.yaml") -> str:
        path = Path(self.folder, name).absolute()
        path.write_text(text, "utf-8")
        return str(path)

    def twistd(self, *arguments: str) -> Child:
        child = Child(self.folder, "twistd", (*_TWISTD, *arguments), environment())
        self.addCleanup(child.kill)
        return child

    async def assert_refused(self, message: str, *arguments: str) -> None:
        """It ends at once, with status 1, this message and no traceback."""
        child = self.twistd("-n", "aiproxy", *arguments)
        self.assertEqual(await child.ended(), 1)
        self.assertIn(message, child.output())
        self.assertNotIn("Traceback", child.output())
        self.assertFalse(Path(self.folder, "twistd.pid").exists())

    async def printed(self, child: Child, text: str) -> str:
        """Wait until it has printed `text`; all that it has printed."""

        async def is_there() -> bool:
            if not child.is_running:
                raise AssertionError(f"it has ended: {child.output()}")
            return text in child.output()

        await self.eventually(is_there)
        return child.output()


class CheckTests(TwistdCase):
    """`--check` says what a configuration amounts to, and starts nothing."""

    @outside
    async def test_good(self) -> None:
        """A good one is summed up, without secrets, even while another twistd runs here."""
        Path(self.folder, "twistd.pid").write_text(str(os.getpid()), "utf-8")
        path = self.file("api-key: key-canary\n" + CONFIG.replace("token: t", "token: canary"))
        child = self.twistd("-n", "aiproxy", "--check", "--config", path)
        self.assertEqual(await child.ended(), 0)
        self.assertIn("Listens on 127.0.0.1:8080, 1 api-key", child.output())
        self.assertIn("a: anthropic", child.output())
        self.assertNotIn("canary", child.output())

    @outside
    async def test_auth_files(self) -> None:
        """Each auth file is named with what it holds, or what is wrong with it; no token is."""
        good, bad = (Path(self.folder, name).absolute() for name in ("good.json", "bad.json"))
        write_login(good, "codex", access="access-canary", refresh="refresh-canary")
        bad.write_text("sk-canary-0123456789", "utf-8")
        lines = upstream_lines("codex", "http://127.0.0.1:1", good, bad)
        text = "upstreams:\n  - name: one\n" + "".join(f"    {line}\n" for line in lines)
        child = self.twistd("-n", "aiproxy", "--check", "--config", self.file(text))
        self.assertEqual(await child.ended(), 0)
        self.assertIn(f"one: {good}: written by the vendor's program", child.output())
        self.assertIn(f"{bad}: is no JSON; it looks like an API key", child.output())
        self.assertNotIn("canary", child.output())

    @outside
    async def test_bad(self) -> None:
        """Every problem is told, with its line."""
        path = self.file("upstreamz: []\nlisten: 99999999\n")
        await self.assert_refused(
            '1: upstreamz: unknown key, did you mean "upstreams"?', "-c", path
        )
        await self.assert_refused(f"{path}:2: listen", "--check", "--config", path)


class StartTests(TwistdCase):
    """What it takes to run."""

    @outside
    async def test_missing_file(self) -> None:
        """A configuration that is not there is told in one line."""
        await self.assert_refused("nowhere.yaml: No such file", "--config", "nowhere.yaml")

    @outside
    async def test_taken_port(self) -> None:
        """So is a port that somebody else has."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            path = self.file(f'listen: ":{port}"\n{CONFIG}')
            await self.assert_refused(f"cannot listen on 127.0.0.1:{port}", "--config", path)

    @outside
    async def test_log_not_writable(self) -> None:
        """So is a log file that cannot be opened."""
        inside_a_file = self.file("", "plain") + "/aiproxy.log"
        path = self.file(f'listen: ":0"\nlog: {{file: {inside_a_file}}}\n{CONFIG}')
        await self.assert_refused("cannot write", "--config", path)

    @outside
    async def test_unknown_option(self) -> None:
        """An option that does not exist is named."""
        child = self.twistd("-n", "aiproxy", "--konfig", "x")
        await child.ended()
        self.assertIn("option --konfig not recognized", child.output())
        self.assertNotIn("Traceback", child.output())

    @outside
    async def test_daemon_without_log(self) -> None:
        """A daemon's stderr is nowhere, so that it must have a log file."""
        child = self.twistd("aiproxy", "--config", self.file(CONFIG))
        self.assertEqual(await child.ended(), 1)
        self.assertIn("log.file", child.output())

    @outside
    async def test_daemon(self) -> None:
        """As a daemon it writes its pid file and its log, and is gone with both signals."""
        port = free_port()
        path = self.file(f'listen: ":{port}"\nlog: {{file: aiproxy.log}}\n{CONFIG}')
        child = self.twistd("aiproxy", "--config", path)
        self.assertEqual(await child.ended(), 0)
        pid_file = Path(self.folder, "twistd.pid")
        pid = int(pid_file.read_text("utf-8"))
        try:
            self.assertEqual((await get(f"http://127.0.0.1:{port}/healthz")).status, 200)
        finally:
            os.kill(pid, signal.SIGTERM)

        async def is_gone() -> bool:
            return not pid_file.exists()

        await self.eventually(is_gone)
        log = Path(self.folder, "aiproxy.log")
        self.assertIn("stopped, 0 calls cut", log.read_text("utf-8"))
        self.assertEqual(stat.S_IMODE(log.stat().st_mode), 0o600)

    @outside
    async def test_own_observer(self) -> None:
        """Each event is written once; twistd's own `--logfile` is obeyed when it is given."""
        path = self.file(f'listen: ":0"\n{CONFIG}')
        child = self.twistd("-n", "aiproxy", "--config", path)
        output = await self.printed(child, " listens on ")
        self.assertEqual(output.count(" listens on "), 1)
        self.assertEqual(await child.stop(), 0)
        child = self.twistd("-n", "--logfile", "twistd.log", "aiproxy", "--config", path)
        log = Path(self.folder, "twistd.log")

        async def is_written() -> bool:
            return log.exists() and " listens on " in log.read_text("utf-8")

        await self.eventually(is_written)
        self.assertEqual(await child.stop(), 0)
        self.assertEqual(child.output(), "")

    @outside
    async def test_every_interface(self) -> None:
        """bind "::" takes IPv6 and IPv4."""
        if not socket.has_dualstack_ipv6():
            raise SkipTest("this machine has no IPv6")
        port = free_port()
        text = f'bind: "::"\nlisten: ":{port}"\nallow_unauthenticated: true\n{CONFIG}'
        child = self.twistd("-n", "aiproxy", "--config", self.file(text))
        await self.printed(child, f" listens on [::]:{port}")
        for host in ("127.0.0.1", "[::1]"):
            self.assertEqual((await get(f"http://{host}:{port}/healthz")).status, 200)
        self.assertEqual(await child.stop(), 0)


class DemoTests(TwistdCase):
    """`--demo` needs nothing at all."""

    @outside
    async def test_demo(self) -> None:
        """The line that it prints works; a second demo finds another port."""
        first = self.twistd("-n", "--pidfile=", "aiproxy", "--demo")
        await self.printed(first, " listens on ")
        second = self.twistd("-n", "--pidfile=", "aiproxy", "--demo")
        output = await self.printed(second, " listens on ")
        self.assertIn("127.0.0.1:8080 is taken", output)
        found = re.search(r"curl -N (http://127.0.0.1:\d+/v1/messages)", output)
        assert found is not None
        answer = await post(found[1], body("anthropic", "echo", stream=True))
        self.assertEqual(answer.status, 200)
        self.assertIn(b"event: message_stop", answer.data)
        served = set()
        for _ in range(len(PROVIDERS) + 1):
            answer = await post(found[1], body("anthropic", "echo", stream=True))
            self.assertIn(b"event: message_stop", answer.data, answer.headers)
            served.add(answer.headers["x-aiproxy-upstream"])
        self.assertLessEqual({f"demo-{name}" for name in PROVIDERS}, served)
        self.assertEqual(await second.stop(), 0)
        self.assertEqual(await first.stop(), 0)
        self.assertEqual(list(Path(first.folder).glob(".aiproxy-demo-*")), [])
