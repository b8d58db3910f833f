"""
The official SDKs through aiproxy to every api_type, streamed and whole: all pairs.

Each pair is one test that goes through all scenarios and names every one that failed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import traceback
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from aiproxy import ir
from aiproxy.wire.estimate import estimated_tokens
from tests.integration import logins
from tests.integration.cases import API_TYPES, WIRES
from tests.integration.sdks import Answer, Asked, Function, Picture, Problem, Sdk, Tokens, sdks
from tests.integration.world import KEY, World, world

TEXT = 'Grüße, 漢字かな交じり文、한글, עברית, 👩‍👩‍👧‍👦🇩🇪 – "quoted" \\ <&>\n\tdata: [DONE]'
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360f8cf500f00040b0181b4bb98d80000000049454e44ae426082"
)
WEATHER = Function(
    "get_weather",
    "Weather at a place.",
    {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "a city"},
            "days": {"type": "integer", "minimum": 1},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city"],
    },
)
CLOCK = Function(
    "get_time",
    "Time at a place.",
    {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"]},
)
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "count": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "count", "tags"],
    "additionalProperties": False,
}
# What the simulator makes of these schemas.
WEATHER_CALL = ("get_weather", {"city": "city é漢😀", "days": 1, "unit": "celsius"})
CLOCK_CALL = ("get_time", {"zone": "zone é漢😀 2"})


class Scenarios:
    """
    What one SDK does with one api_type.

    Every method that begins with an `a_` or `the_` is a scenario; each raises AssertionError.
    """

    def __init__(self, world: World, sdk: Sdk, api_type: str) -> None:
        self._world = world
        self._sdk = sdk
        self._api_type = api_type

    def all(self) -> Iterator[Callable[[], None]]:
        for name in sorted(dir(self)):
            if name.startswith(("a_", "the_")):
                yield getattr(self, name)

    # ── scenarios ──

    def a_text(self) -> None:
        """Every character arrives, and the numbers of tokens are the upstream's."""
        answer = self.both("echo", self._sdk.begin(TEXT))
        equal(answer.text, TEXT)
        equal(answer.stop, "end")
        written = -(-len(TEXT.encode()) // 4)
        read = estimated_tokens(self._world.latest_request())
        equal(answer.usage, Tokens(read, 0, written))

    def a_second_turn(self) -> None:
        """The conversation so far reaches the upstream; what its cache gave is told."""
        first = self.both("echo", self._sdk.begin("one"))
        messages = self._sdk.go_on(self._sdk.begin("one"), first, "two")
        second = self.both("echo", messages)
        equal(second.text, "two")
        seen = self._world.latest_request()
        equal([turn.role for turn in seen.turns], ["user", "assistant", "user"])
        cached = min(
            estimated_tokens(ir.replace(seen, turns=seen.turns[:-1])), estimated_tokens(seen) - 1
        )
        equal(second.usage, Tokens(estimated_tokens(seen), cached, 1))

    def a_long_text(self) -> None:
        """Kilobytes in many scripts arrive the same either way."""
        answer = self.both("long", self._sdk.begin("go"))
        paragraphs = answer.text.split("Emoji: 😀 👩‍👩‍👧‍👦 🇩🇪 👍🏽 ❤️.\n")
        equal((len(paragraphs), len(set(paragraphs[:-1])), paragraphs[-1]), (13, 1, ""))
        equal("e\u0301, zero\u200bwidth, a line\u2028separator" in paragraphs[0], True)

    def a_tool(self) -> None:
        """One call with its arguments; after the result the answer quotes it."""
        messages = self._sdk.begin("weather?")
        answer = self.both("tool", messages, tools=(WEATHER,))
        equal(answer.calls, (WEATHER_CALL,))
        equal(answer.stop, "tool_use")
        messages = self._sdk.results(messages, answer, ["21 °C, 晴れ ☀"])
        quoted = self.both("tool", messages, tools=(WEATHER,))
        equal(quoted.text.startswith("Result of "), True)
        equal("21 °C, 晴れ ☀" in quoted.text, True)
        equal(quoted.stop, "end")

    def a_pair_of_tools(self) -> None:
        """Two calls at once, and two results that find their calls."""
        messages = self._sdk.begin("weather and time?")
        answer = self.both("tools", messages, tools=(WEATHER, CLOCK))
        equal(answer.calls, (WEATHER_CALL, CLOCK_CALL))
        messages = self._sdk.results(messages, answer, ["rain", "noon"])
        quoted = self.both("tools", messages, tools=(WEATHER, CLOCK))
        first, second = quoted.text.split("\n")
        equal(("rain" in first, "noon" in second), (True, True))

    def a_picture(self) -> None:
        """An image arrives to the byte."""
        answer = self.both("image", self._sdk.begin("what?", [Picture("image/png", PNG)]))
        digest = hashlib.sha256(PNG).hexdigest()
        equal(answer.text, f"image image/png {len(PNG)} bytes sha256:{digest}")

    def a_thought(self) -> None:
        """Thoughts are shown, and their proof finds its way back to its maker."""
        messages = self._sdk.begin("why?")
        answer = self.both("thinking", messages, thinking=True)
        equal("考える" in answer.thinking and "🤔" in answer.thinking, True)
        equal(answer.text, "why?")
        for first in (answer, self.ask("thinking", messages, stream=True, thinking=True)):
            again = self._sdk.go_on(messages, first, "and then?")
            second = self.both("thinking", again, thinking=True)
            equal(second.text, f"{self.report} and then?")

    def a_thought_before_a_tool(self) -> None:
        """The proof of a thought comes back with the result of the call it led to."""
        messages = self._sdk.begin("weather?")
        answer = self.both("thinking-tool", messages, thinking=True, tools=(WEATHER,))
        equal(answer.calls, (WEATHER_CALL,))
        again = self._sdk.results(messages, answer, ["rain"])
        second = self.both("thinking-tool", again, thinking=True, tools=(WEATHER,))
        equal(second.text.startswith(self.report), True)
        equal("rain" in second.text, True)

    def a_loop_of_an_agent(self) -> None:
        """
        Two rounds of a thought, two calls at once, and their results, one with a picture.

        Proofs come home in each, and each round is the same streamed and whole.
        """
        streamed, whole = (self.loop(stream=stream) for stream in (True, False))
        equal(streamed, whole, "streamed and whole")
        for called, concluded in zip(whole[::2], whole[1::2], strict=True):
            equal("考える" in called.thinking, True)
            equal((called.calls, called.stop), ((WEATHER_CALL, CLOCK_CALL), "tool_use"))
            equal(concluded.text.startswith(self.report), True, concluded.text)
            first, second = concluded.text.split("\n")
            equal(("rain" in first, "noon" in second, concluded.stop), (True, True, "end"))

    def loop(self, *, stream: bool) -> tuple[Answer, ...]:
        """The answers to two questions and to the results of what was called for them."""
        answers: list[Answer] = []
        messages: list[Any] = []
        asking: dict[str, Any] = {"stream": stream, "thinking": True, "tools": (WEATHER, CLOCK)}
        for words in ("weather and time?", "and now?"):
            if answers:
                messages = self._sdk.go_on(messages, answers[-1], words)
            else:
                messages = self._sdk.begin(words)
            answers.append(self.ask("thinking-tools", messages, **asking))
            picture = Picture("image/png", PNG)
            messages = self._sdk.results(messages, answers[-1], ["rain", "noon"], picture)
            answers.append(self.ask("thinking-tools", messages, **asking))
            equal(pictures_in(self._world.latest_request())[-1], PNG, "the picture of a result")
        return tuple(answers)

    def a_schema(self) -> None:
        """An answer that fits the schema asked for."""
        answer = self.both("json", self._sdk.begin("fill in"), schema=SCHEMA)
        equal(
            json.loads(answer.text),
            {"name": "name é漢😀", "count": 7, "tags": ["tags é漢😀"]},
        )

    def a_limit(self) -> None:
        """An answer that is cut at the client's limit says so."""
        answer = self.both("max-tokens", self._sdk.begin("go"), max_tokens=20)
        equal(answer.stop, "max_tokens")
        # Codex's backend and Antigravity's take no limit; what is cut is cut at their own.
        equal(len(answer.text) == 80, self._api_type not in ("codex", "antigravity"))

    def a_broken_stream(self) -> None:
        """An upstream that fails in mid-answer is an exception, or at least no finished answer."""
        for behaviour in ("cut", "broken", "unfinished", "tool-cut"):
            if behaviour == "unfinished" and self._api_type == "kiro":
                # Its streams have no last event that could be missing.
                continue
            messages = self._sdk.begin("many words so that there is a middle")
            try:
                answer = self.ask(behaviour, messages, stream=True, tools=(WEATHER,))
            except Exception:
                # Each SDK has its own, for an error event or for a cut connection.
                equal(behaviour in self._world.latest_request().model, True, behaviour)
                continue
            raise AssertionError(f"{behaviour} was taken for complete: {answer}")

    def the_errors(self) -> None:
        """Each refusal is the SDK's own exception for it, streamed or not."""
        for behaviour, status, expected, retry_after in ERRORS[self._sdk.wire]:
            if self._api_type in logins.API_TYPES and behaviour in OF_ACCOUNTS:
                continue
            for stream in (False, True):
                problem = self.refused(behaviour, stream)
                equal((problem.kind, problem.status), (expected, status), behaviour)
                equal(problem.retry_after, retry_after, behaviour)
                if behaviour != "error-401":
                    words = "too long" if behaviour.startswith("context") else "simulated error"
                    equal(words in problem.message, True, f"{behaviour}: {problem.message}")

    # ── steps ──

    @property
    def report(self) -> str:
        """Of a thinking model's second turn. Chat upstreams make no proofs."""
        return "My proof is missing." if self._api_type == "openai" else "My proof came back."

    def ask(self, behaviour: str, messages: list[Any], *, stream: bool, **more: Any) -> Answer:
        model = f"{self._api_type}-{behaviour}-{self._sdk.wire}"
        return self._sdk.ask(Asked(model, messages, stream, **more))

    def both(self, behaviour: str, messages: list[Any], **more: Any) -> Answer:
        """The answer, which is the same streamed and whole."""
        streamed = self.ask(behaviour, messages, stream=True, **more)
        whole = self.ask(behaviour, messages, stream=False, **more)
        equal(streamed, whole, "streamed and whole")
        return whole

    def refused(self, behaviour: str, stream: bool) -> Problem:
        how = "-streamed" if stream else ""
        model = f"{self._api_type}-{behaviour}-{self._sdk.wire}{how}"
        try:
            answer = self._sdk.ask(Asked(model, self._sdk.begin("hi"), stream))
        except Exception as error:
            problem = self._sdk.problem(error)
            if problem is None:
                raise
            return problem
        raise AssertionError(f"{behaviour} was answered: {answer}")


ERRORS: dict[str, tuple[tuple[str, int, str, str], ...]] = {
    "anthropic": (
        ("error-400", 400, "BadRequestError", ""),
        ("context-too-long", 400, "BadRequestError", ""),
        ("error-404", 404, "NotFoundError", ""),
        ("error-429", 429, "RateLimitError", "5"),
        ("error-401", 502, "InternalServerError", ""),
        ("error-500", 502, "InternalServerError", ""),
        ("error-529", 503, "ServiceUnavailableError", "5"),
    ),
    "chat": (
        ("error-400", 400, "BadRequestError", ""),
        ("context-too-long", 400, "BadRequestError", ""),
        ("error-404", 404, "NotFoundError", ""),
        ("error-429", 429, "RateLimitError", "5"),
        ("error-401", 502, "InternalServerError", ""),
        ("error-500", 502, "InternalServerError", ""),
        ("error-529", 503, "InternalServerError", "5"),
    ),
    "responses": (
        ("error-400", 400, "BadRequestError", ""),
        ("context-too-long", 400, "BadRequestError", ""),
        ("error-404", 404, "NotFoundError", ""),
        ("error-429", 429, "RateLimitError", "5"),
        ("error-401", 502, "InternalServerError", ""),
        ("error-500", 502, "InternalServerError", ""),
        ("error-529", 503, "InternalServerError", "5"),
    ),
    "gemini": (
        ("error-400", 400, "ClientError", ""),
        ("context-too-long", 400, "ClientError", ""),
        ("error-404", 404, "ClientError", ""),
        ("error-429", 429, "ClientError", "5"),
        ("error-401", 502, "ServerError", ""),
        ("error-500", 502, "ServerError", ""),
        ("error-529", 503, "ServerError", "5"),
    ),
}


OF_ACCOUNTS = frozenset({"error-401", "error-429"})
"""What a login's account pays for with a rest: see test_subscriptions."""


def pictures_in(request: ir.Request) -> list[bytes]:
    """All of them in order, those in results of tools among them."""
    parts = [part for turn in request.turns for part in turn.parts]
    inner = (p.content if isinstance(p, ir.ToolResult) else (p,) for p in parts)
    return [
        base64.b64decode(part.source.data)
        for part in chain.from_iterable(inner)
        if isinstance(part, ir.Media) and isinstance(part.source, ir.Inline)
    ]


def equal(found: object, expected: object, about: str = "") -> None:
    """Raises: AssertionError that shows both."""
    if found != expected:
        raise AssertionError(f"{about or 'not equal'}:\n    {found!r}\n    {expected!r}")


def failures(world: World, wire: str, api_type: str) -> list[str]:
    """What went wrong in any scenario of one pair."""
    sdk = sdks(world.program.url, KEY)[wire]
    found = []
    try:
        for scenario in Scenarios(world, sdk, api_type).all():
            try:
                scenario()
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{place.filename.rpartition('/')[2]}:{place.lineno}"
                kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
                found.append(f"  {scenario.__name__} ({where}): {kind}{error}")
    finally:
        sdk.close()
    return found


class PairTests(TestCase):
    timeout = 120

    async def pair(self, wire: str, api_type: str) -> None:
        program = world().program
        await program.ready()
        found = await deferToThread(failures, world(), wire, api_type)
        if found:
            self.fail("\n".join([f"{wire} client, {api_type} upstream:", *found]))


def _test(wire: str, api_type: str) -> Callable[[PairTests], Deferred[None]]:
    def test(self: PairTests) -> Deferred[None]:
        return Deferred.fromCoroutine(self.pair(wire, api_type))

    test.__name__ = f"test_{wire}_client_{api_type}_upstream"
    test.__doc__ = f"The SDK for {wire} gets from an upstream of {api_type} what it was given."
    return test


for _wire in WIRES:
    for _api_type in API_TYPES:
        _made = _test(_wire, _api_type)
        setattr(PairTests, _made.__name__, _made)
