"""A process that may open few files serves as many clients as that allows, one after the other."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.internet.task import deferLater

from tests.integration.cases import ProgramCase, body, outside, path, reactor, upstream
from tests.integration.http import post
from tests.integration.program import Program
from tests.web.clients import connected

DESCRIPTORS = 128
CONNECTIONS = (DESCRIPTORS - 64) // 2
FEW = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({DESCRIPTORS},) * 2)"


def ticks(program: Program) -> int:
    """Processor time of the process so far, in hundredths of a second."""
    fields = Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


class DescriptorTests(ProgramCase):
    @outside
    async def test_more_clients_than_descriptors(self) -> None:
        """Those beyond the limit wait at no cost while all are busy, and are served afterwards."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url), first=FEW)
        clients = [await connected(reactor, program.port) for _ in range(DESCRIPTORS)]
        question = json.dumps(body("chat", "echo")).encode()
        for client in clients:
            # None is idle before its whole question is there.
            length = f"Content-Length: {len(question)}"
            client.get(path("chat", "echo"), length, "Expect: 100-continue", method="POST")
        accepted = clients[: CONNECTIONS // 2]
        for client in accepted:
            await client.contains(b"100 Continue")
        # A process that tried again and again to accept would take all of this time.
        if Path("/proc/self/stat").exists():
            used = ticks(program)
            await deferLater(reactor, 1.0)
            self.assertLess(ticks(program) - used, 50)
        self.assertTrue(any(not client.received for client in clients))
        for client in clients:
            await client.contains(b"100 Continue")
            client.send(question)
            self.assertEqual((await client.answer()).status, 200)
            client.close()
        self.assertIn("others have to wait", program.output())
        self.assertNotIn("EMFILE", program.output())

    @outside
    async def test_idle_clients(self) -> None:
        """Clients that keep their connections for nothing lock nobody out."""
        _, url = self.simulator()
        program = await self.start("upstreams:\n" + upstream("a", url), first=FEW)
        clients = []
        for _ in range(DESCRIPTORS):
            clients.append(await connected(reactor, program.port))
            clients[-1].get("/healthz")
            self.assertEqual((await clients[-1].answer()).status, 200)
        for client in clients[: DESCRIPTORS - CONNECTIONS]:
            await client.lost
        self.assertFalse(clients[-1].is_lost)
        for client in clients[DESCRIPTORS - CONNECTIONS :]:
            client.close()
        self.assertNotIn("have to wait", program.output())
        self.assertNotIn("EMFILE", program.output())

    @outside
    async def test_calls_find_their_upstreams(self) -> None:
        """As many streams as clients are let in: each has a descriptor for its upstream."""
        _, url = self.simulator()
        program = await self.start(
            "circuit_breaker: {failures: 1}\nupstreams:\n" + upstream("a", url), first=FEW
        )
        model = "echo-slow-30ms"
        question = body("chat", model, "words that come one after the other, slowly", stream=True)
        for _ in range(2):
            answers = await gatherResults(
                [
                    ensureDeferred(post(program.url + path("chat", model), question))
                    for _ in range(CONNECTIONS * 2)
                ]
            )
            self.assertEqual({answer.status for answer in answers}, {200})
            self.assertTrue(all(answer.is_complete for answer in answers))
        self.assertNotIn("EMFILE", program.output())
