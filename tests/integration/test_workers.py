"""Several processes on one port, seen from outside."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectError
from twisted.web.client import ResponseFailed, ResponseNeverReceived

from tests.integration.cases import ProgramCase, body, outside, upstream
from tests.integration.http import begun, get, post
from tests.integration.program import Child, Program, environment
from tests.translate.stage import BLOCK, DELTA, END, START

ENOUGH = 16
"""New connections in a row that would hardly all go to one of two processes."""

HANDED_OVER = """
import os, sys
os.dup2(int(sys.argv.pop(1)), 3)
from twisted.scripts.twistd import run
run()
"""


class WorkersCase(ProgramCase):
    async def team(self, url: str, more: str = "") -> Program:
        """Two workers in front of one upstream."""
        return await self.start(f"workers: 2\n{more}upstreams:\n" + upstream("a", url))

    def workers(self, program: Program) -> list[int]:
        children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        return [int(child) for child in children]

    async def all_running(self, program: Program) -> None:
        async def both() -> bool:
            return program.output().count(" listens on ") >= 2

        await self.eventually(both)

    async def is_closed(self, program: Program) -> bool:
        try:
            await get(program.url + "/healthz")
        except ConnectError:
            return True
        except (ResponseNeverReceived, ResponseFailed):
            # It was in the queue of the port that is being closed.
            return False
        return False

    async def stream(self, program: Program, url: str, server: Any) -> tuple[Any, Any]:
        """A streamed call that has begun."""
        question = body("anthropic", "m", stream=True)
        asked = ensureDeferred(begun("POST", program.url + "/v1/messages", question))
        connection = await server.request()
        connection.begin()
        connection.chunk(START + BLOCK + DELTA)
        return await asked, connection

    async def finished(self, arriving: Any, connection: Any) -> None:
        """The call ends as if nothing had happened."""
        connection.chunk(DELTA + END)
        connection.chunk(b"")
        await arriving.end()
        self.assertIs(arriving.is_complete, True)
        self.assertEqual(arriving.data, START + BLOCK + DELTA + DELTA + END)


class WorkersTests(WorkersCase):
    @outside
    async def test_death(self) -> None:
        """When one dies the others go on, their streams too, and another takes its place."""
        server, url = self.server()
        program = await self.team(url)
        await self.all_running(program)
        arriving, connection = await self.stream(program, url, server)
        before = self.workers(program)
        port = connection.transport.getPeer().port
        (busy,) = [pid for pid in before if _owns(pid, port)]
        (idle,) = [pid for pid in before if pid != busy]
        os.kill(idle, signal.SIGKILL)
        for _ in range(3):
            self.assertEqual((await get(program.url + "/healthz")).status, 200)
        await self.finished(arriving, connection)

        async def replaced() -> bool:
            now = self.workers(program)
            return len(now) == 2 and idle not in now and busy in now

        await self.eventually(replaced)
        self.assertEqual(await program.stop(), 0)

    @outside
    async def test_drain(self) -> None:
        """SIGTERM to the first process: streams of all finish, nobody new is taken, status 0."""
        server, url = self.server()
        program = await self.team(url)
        await self.all_running(program)
        streams = [await self.stream(program, url, server) for _ in range(4)]
        program.signal(signal.SIGTERM)

        async def closed() -> bool:
            return await self.is_closed(program)

        await self.eventually(closed)
        for arriving, connection in streams:
            await self.finished(arriving, connection)
        self.assertEqual(await program.ended(), 0)
        lines = [line for line in program.output().splitlines() if " access " in line]
        self.assertEqual(len([line for line in lines if "stream=yes" in line]), len(streams))
        self.assertTrue(all(line.endswith(("worker=1", "worker=2")) for line in lines), lines)

    @outside
    async def test_all_at_once(self) -> None:
        """A signal to all processes, as service managers and terminals send it, is no trouble."""
        _, url = self.server()
        program = await self.team(url)
        await self.all_running(program)
        for pid in self.workers(program):
            os.kill(pid, signal.SIGTERM)
        self.assertEqual(await program.stop(), 0)
        self.assertNotIn(" critical ", program.output())

    @outside
    async def test_orphans(self) -> None:
        """When the first process is killed the workers finish their calls and are gone."""
        server, url = self.server()
        program = await self.team(url)
        await self.all_running(program)
        workers = self.workers(program)
        arriving, connection = await self.stream(program, url, server)
        program.signal(signal.SIGKILL)

        async def closed() -> bool:
            return await self.is_closed(program)

        await self.eventually(closed)
        await self.finished(arriving, connection)

        async def gone() -> bool:
            return not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers)

        await self.eventually(gone)

    @outside
    async def test_reload(self) -> None:
        """One reload is everybody's."""
        _, url = self.simulator()
        program = await self.team(url, "api-key: first-canary\n")
        await self.all_running(program)
        program.write("workers: 2\napi-key: second-canary\nupstreams:\n" + upstream("a", url))

        async def changed() -> bool:
            statuses = [await self.status(program, "second-canary") for _ in range(ENOUGH)]
            return statuses == [200] * ENOUGH

        await self.eventually(changed)
        self.assertEqual(await self.status(program, "first-canary"), 401)

    @outside
    async def test_death_beside_a_broken_file(self) -> None:
        """Who is started anew begins with the configuration that the others have."""
        _, url = self.simulator()
        program = await self.team(url, "api-key: first-canary\n")
        await self.all_running(program)
        program.write("upstreams: [\n")

        async def refused() -> bool:
            return "refused" in program.output()

        await self.eventually(refused)
        for pid in self.workers(program):
            os.kill(pid, signal.SIGKILL)

        async def replaced() -> bool:
            return program.output().count(" listens on ") >= 4

        await self.eventually(replaced)
        for _ in range(ENOUGH):
            self.assertEqual(await self.status(program, "first-canary"), 200)

    @outside
    async def test_news(self) -> None:
        """A breaker that opens in one worker is open in the other, and closed again by hand too."""
        _, url = self.simulator()
        program = await self.team(url)
        await self.all_running(program)
        question = body("anthropic", "error-500")
        while "opened" not in program.output():
            await post(program.url + "/v1/messages", question)
        self.assertEqual(program.output().count(" opened "), 1)

        async def known(count: int) -> bool:
            answers = [await get(program.url + "/unavailable-models") for _ in range(ENOUGH)]
            return all(len(answer.json) == count for answer in answers)

        async def open_everywhere() -> bool:
            return await known(1)

        async def closed_everywhere() -> bool:
            return await known(0)

        await self.eventually(open_everywhere)
        pair = {"upstream_name": "a", "model_name": "error-500"}
        self.assertEqual((await post(program.url + "/reset-model", pair)).status, 200)
        await self.eventually(closed_everywhere)

    async def status(self, program: Program, key: str) -> int:
        answer = await post(
            program.url + "/v1/messages", body("anthropic", "echo"), {"x-api-key": key}
        )
        return answer.status


class SocketActivationTests(ProgramCase):
    @outside
    async def test_systemd(self) -> None:
        """A socket handed over as systemd does it, as descriptor 3, is served."""
        _, url = self.simulator()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            place = f"http://127.0.0.1:{listening.getsockname()[1]}"
            folder = Path(self.mktemp())
            folder.mkdir()
            (folder / "config.yaml").write_text(
                "listen: systemd\nworkers: 2\nupstreams:\n" + upstream("a", url)
            )
            command = ("-c", HANDED_OVER, str(listening.fileno()), "-n", "--pidfile=", "aiproxy")
            child = Child(str(folder), "aiproxy", command, environment(), inherit=listening)
        self.addCleanup(child.kill)
        answer = await post(place + "/v1/messages", body("anthropic", "echo"))
        self.assertEqual((answer.status, answer.json["type"]), (200, "message"))
        self.assertEqual(await child.stop(), 0, child.output())
        self.assertNotIn("canary", child.output())


def _owns(pid: int, port: int) -> bool:
    """Whether this process has a connection whose own port is this one."""
    inodes = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].rpartition(":")[2], 16) == port:
            inodes.add(f"socket:[{fields[9]}]")
    links = Path(f"/proc/{pid}/fd").iterdir()
    return any(os.readlink(link) in inodes for link in links)
