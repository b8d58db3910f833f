"""Connections to upstreams that a reload removes or moves: closed, but not under running calls."""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.faults.test_pressure import ANSWER
from tests.integration.cases import ProgramCase, body, outside, upstream
from tests.integration.http import begun, post
from tests.integration.program import Program
from tests.translate.stage import BLOCK, DELTA, END, START
from tests.upstream.servers import Connection, Server

JSON = b"Content-Type: application/json"


class KeptConnectionsTests(ProgramCase):
    timeout = 45
    """Less than the time after which idle connections are closed anyway."""

    async def answered(self, program: Program, model: str, server: Server) -> Connection:
        """One complete call; gives the upstream's connection, which is kept."""
        asked = ensureDeferred(post(program.url + "/v1/messages", body("anthropic", model)))
        connection = await server.request()
        connection.answer(ANSWER, JSON)
        self.assertEqual((await asked).status, 200)
        return connection

    async def streaming(self, program: Program, model: str, server: Server) -> Any:
        """A call whose answer has begun; gives the client's end and the upstream's."""
        question = body("anthropic", model, stream=True)
        asked = ensureDeferred(begun("POST", program.url + "/v1/messages", question))
        connection = await server.request()
        connection.begin()
        connection.chunk(START + BLOCK + DELTA)
        return await asked, connection

    async def reload(self, program: Program, config: str) -> None:
        program.write(config)
        program.signal(signal.SIGHUP)

        async def is_loaded() -> bool:
            return " loaded: " in program.output()

        await self.eventually(is_loaded)

    @outside
    async def test_reload(self) -> None:
        """
        One upstream moves, one is removed, one is switched off, and one stays.

        Idle connections to the first three are closed at once; a stream from one of them goes on
        to its end, and then its connection is closed too. That of the last one serves on.
        """
        places = {name: self.server() for name in ("moved", "removed", "off", "stays", "new")}

        def entry(name: str, place: str = "", more: str = "") -> str:
            served = f"available_models: [{name}]\n{more}"
            return upstream(name, places[place or name][1], more=served)

        program = await self.start("upstreams:\n" + "".join(map(entry, tuple(places)[:4])))
        idle = {
            name: await self.answered(program, name, places[name][0])
            for name in ("moved", "removed", "off", "stays")
        }
        arriving, busy = await self.streaming(program, "removed", places["removed"][0])
        self.assertIs(busy, idle.pop("removed"))
        other = await self.answered(program, "removed", places["removed"][0])
        await self.reload(
            program,
            "upstreams:\n"
            + entry("moved", "new")
            + entry("off", more="enabled: false")
            + entry("stays", more="weight: 7"),
        )
        for gone in (idle["moved"], idle["off"], other):
            await gone.lost
        self.assertFalse(busy.lost.called)
        busy.chunk(DELTA + END)
        busy.chunk(b"")
        await arriving.end()
        self.assertIs(arriving.is_complete, True)
        self.assertEqual(arriving.data, START + BLOCK + DELTA + DELTA + END)
        await busy.lost
        await self.answered(program, "moved", places["new"][0])
        stays = await self.answered(program, "stays", places["stays"][0])
        self.assertIs(stays, idle["stays"])
        self.assertEqual(len(places["moved"][0].connections), 1)
