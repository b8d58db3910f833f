"""
Recorded requests of every wire, translated to every other: nothing is lost undeclared.

Two proofs, of different kinds. The hub's view: a request decoded, encoded for another wire and
decoded there asks for the same (see `asked`), and again when it is translated back. And the blunt
one: every word and number of the source's JSON is somewhere in the target's (see `leaves`), unless
a loss names it or it stands in the list here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import kiro, relay
from aiproxy.wire.contract import Encoded
from tests import corpus
from tests.wire import asked, exchanges
from tests.wire.exchanges import PAIRS, WIRES
from tests.wire.leaves import Leaf, Target, leaves

MODELS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("m", "claude-opus-4-7", "claude-sonnet-4-5"),
    "chat": ("m", "gpt-5.2"),
    "responses": ("m", "gpt-5.2"),
    "gemini": ("m", "gemini-3-pro-preview", "gemini-2.5-flash"),
}
"""For each target a model nobody knows, and models with limits of their own."""

KIRO_MODELS = ("claude-sonnet-4-5", "claude-opus-4-7", "gpt-5")

KIRO_REFUSALS = (
    "this upstream cannot fetch",
    "this upstream takes the data",
    "this upstream takes no documents of type",
    "there is no message",
)

REFUSALS: tuple[str, ...] = (
    "a document by URL",
    "a document uploaded elsewhere",
    "a file uploaded to another vendor",
    "an uploaded image",
    "audio",
    "video",
    "this upstream takes no audio",
    "this upstream takes no video",
    "this upstream takes no files of type audio/mpeg",
    "this upstream gives one answer at a time",
    "several answers",
    "an answer in audio",
    "background is not supported",
    "cachedContent is not supported",
    "conversation is not supported",
    "previous_response_id is not supported",
    "item_reference",
    "input.item_reference",
)
"""How requests are refused that a target cannot serve: another answer would be a wrong one."""

NO_MESSAGE = "ai-gateway-chat-bad-request-e-d72f"
"""Recorded for having no message at all."""

UNREAD: Mapping[str, str] = {
    "lingua-thinkingsignaturerequest-followup-u-7983": "Vertex: its model is in the path",
    "ai-gateway-chat-no-messages-e-aba7": "recorded for having no messages",
}
"""Requests that are none of the dialect's; those in Cloud Code's envelope are opened elsewhere."""

ALIASES: Mapping[str, tuple[str, ...]] = {
    "thinking": ("reasoning", "thinking-budget", "thinking"),
    "signature": ("reasoning",),
    "redacted_thinking": ("reasoning",),
    "encrypted_content": ("reasoning",),
    "summary": ("reasoning-summary",),
    "thought": ("reasoning",),
    "reasoning": ("reasoning", "reasoning-effort", "effort", "thinking"),
    "reasoning_content": ("reasoning",),
    "reasoning_details": ("reasoning",),
    "thoughtSignature": ("reasoning", "reasoning-proof", "thought-signature"),
    "thought_signature": ("reasoning", "reasoning-proof", "thought-signature"),
    "budget_tokens": ("thinking-budget", "thinking"),
    "thinkingBudget": ("thinking-budget", "thinking"),
    "thinking_budget": ("thinking-budget", "thinking"),
    "tools": ("hosted-tool",),
    "stop_sequences": ("stop",),
    "stopSequences": ("stop",),
    "user_id": ("user",),
    "prompt_cache_key": ("cache-key",),
    "max_tokens": ("max-output-tokens",),
    "max_completion_tokens": ("max-output-tokens",),
    "filename": ("file-name",),
    "title": ("file-name",),
    "schema": ("response-format",),
    "responseJsonSchema": ("response-format",),
    "n": ("candidates",),
    "safety_identifier": ("user",),
    "top_logprobs": ("logprobs",),
    "text.format.description": ("schema-description",),
    "input.tools.description": ("namespace-description",),
    "tools.description": ("namespace-description", "tool-description"),
    "include": ("hosted-tool",),
    "web_search_options": ("hosted-tool",),
}
"""
A member's name, its whole place, or the type of an object around it, to the features under which
its loss is declared besides its own name.
"""

RENAMED = frozenset(
    {
        "type",
        "role",
        "model",
        "service_tier",
        "mode",
        "tool_choice",
        "function_call",
        "effort",
        "reasoning_effort",
        "thinkingLevel",
        "thinking_level",
        "responseMimeType",
        "response_mime_type",
        "media_type",
        "mimeType",
        "mime_type",
        "display_name",
        "format",
        "detail",
    }
)
"""Members whose words are other words elsewhere; `asked` compares what they mean."""

EMPTY: tuple[tuple[str, object], ...] = (
    ("n", 1),
    ("candidateCount", 1),
    ("candidate_count", 1),
    ("temperature", 1),
    ("responseModalities", "TEXT"),
    ("response_modalities", "TEXT"),
    ("include", "reasoning.encrypted_content"),
    ("include", "message.output_text.logprobs"),
)
"""What says no more than leaving it out, or is asked for anyway."""

HARMLESS = (
    # Names by which a vendor's server finds its own items again, and what it says of them.
    "input.id",
    "input.status",
    "input.content.id",
    # A client's notes to its own vendor.
    "client_metadata",
    # A schema's name and dialect, which constrain nothing.
    "text.format.name",
    "response_format.json_schema.name",
    "$schema",
    "$id",
    # How verbose a summary of thoughts is: others have one kind.
    "reasoning.summary",
    # That the client runs a tool, which goes without saying elsewhere.
    "input.execution",
    # Left-overs of streams.
    "messages.tool_calls.index",
    "contents.parts.functionCall.partialArgs.jsonPath",
    # Ids too long for others are replaced by digests, with their results'.
    "input.call_id",
    # "off" is said in another way.
    "thinking_budget",
    "thinkingBudget",
)
"""Places of words that no target needs."""


@dataclass(frozen=True)
class Translated:
    """
    A request of one wire as another's. source: what was asked of this target. read: what the
    target's own decoder finds.
    """

    source: ir.Request
    encoded: Encoded
    read: ir.Request


def translated(request: ir.Request, target: str, model: str) -> Translated:
    """Raises: BadRequest when it is refused."""
    source = ir.replace(request, model=model)
    encoded = relay.encode_for(WIRES[target], source)
    path = exchanges.path_of(target, source)
    return Translated(source, encoded, WIRES[target].decode_request(encoded.body, path))


def all_translated() -> Iterator[tuple[str, corpus.Case, str, Translated | BadRequest]]:
    """(place to name in complaints, case, target's wire, outcome) of every translation."""
    for client, target in PAIRS:
        for case in exchanges.generations(client):
            request = exchanges.requests(client).get(case.id)
            for model in MODELS[target] if request is not None else ():
                assert request is not None
                place = f"{client} to {target} ({model}): {case.id}"
                try:
                    yield place, case, target, translated(request, target, model)
                except BadRequest as error:
                    yield place, case, target, error


class MatrixCase(SynchronousTestCase):
    def none(self, complaints: Iterable[str]) -> None:
        """Fails with all complaints at once."""
        found = list(complaints)
        self.assertEqual(found, [], f"{len(found)} complaints\n" + "\n".join(found[:40]))


class RequestTests(MatrixCase):
    """The corpus's requests for upstreams of other wires."""

    def test_all_are_read(self) -> None:
        """No request of the corpus is missing here but those that are listed."""
        missing = {
            case.id
            for wire in WIRES
            for case in exchanges.generations(wire)
            if case.request is not None
            and "cloudcode" not in case.features
            and case.id not in exchanges.requests(wire)
        }
        self.assertEqual(missing, set(UNREAD))

    def test_what_is_refused(self) -> None:
        """A request is refused only for what its target cannot do, and the words say what."""

        def complaints() -> Iterator[str]:
            for place, case, _, outcome in all_translated():
                if isinstance(outcome, BadRequest) and case.id != NO_MESSAGE:
                    message = outcome.reply.message
                    if not message.startswith(REFUSALS):
                        yield f"{place}: {message}"

        self.none(complaints())

    def test_the_target_is_asked_the_same(self) -> None:
        """The target's own decoder finds the request, minus what was declared as lost."""

        def complaints() -> Iterator[str]:
            for place, _, target, outcome in all_translated():
                if isinstance(outcome, Translated):
                    source, read = outcome.source, outcome.read
                    rules = ((source.tools, WIRES[target].TOOL_NAMES),)
                    losses, through_chat = outcome.encoded.losses, "chat" in (source.wire, target)
                    for each in asked.differences(
                        source, read, losses, rules, through_chat=through_chat
                    ):
                        yield f"{place}: {each}"

        self.none(complaints())

    def test_there_and_back(self) -> None:
        """Translated back to where it came from, it still asks for the same."""

        def complaints() -> Iterator[str]:
            for place, _, target, outcome in all_translated():
                if not isinstance(outcome, Translated):
                    continue
                source, read = outcome.source, outcome.read
                try:
                    back = translated(read, source.wire, source.model)
                except BadRequest as error:
                    if not error.reply.message.startswith(REFUSALS):
                        yield f"{place}: {error.reply.message}"
                    continue
                losses = (*outcome.encoded.losses, *back.encoded.losses)
                rules = (
                    (source.tools, WIRES[target].TOOL_NAMES),
                    (read.tools, WIRES[source.wire].TOOL_NAMES),
                )
                through_chat = "chat" in (source.wire, target)
                for each in asked.differences(
                    source, back.read, losses, rules, through_chat=through_chat
                ):
                    yield f"{place}: {each}"

        self.none(complaints())

    def test_every_word_is_carried_or_declared(self) -> None:
        """Each text and number of the source is in the target, or a loss tells of it."""

        def complaints() -> Iterator[str]:
            for place, case, _, outcome in all_translated():
                if isinstance(outcome, Translated):
                    yield from vanished(place, case, outcome.encoded)

        self.none(complaints())

    def test_every_word_reaches_kiro(self) -> None:
        """So it is with Kiro, whose requests only the service can read."""

        def complaints() -> Iterator[str]:
            for client in WIRES:
                for case in exchanges.generations(client):
                    request = exchanges.requests(client).get(case.id)
                    for model in KIRO_MODELS if request is not None else ():
                        assert request is not None
                        place = f"{client} to kiro ({model}): {case.id}"
                        try:
                            encoded = relay.encode_for(kiro, ir.replace(request, model=model))
                        except BadRequest as error:
                            if not error.reply.message.startswith((*REFUSALS, *KIRO_REFUSALS)):
                                yield f"{place}: {error.reply.message}"
                        else:
                            found = vanished(place, case, encoded)
                            yield from found if not narrows(request) else ()

        self.none(complaints())


def narrows(request: ir.Request) -> bool:
    """Whether a choice leaves tools out, which is how Kiro is told of it."""
    choice = request.tool_choice
    return choice is not None and (choice.mode == "none" or bool(choice.names))


def vanished(place: str, case: corpus.Case, encoded: Encoded) -> Iterator[str]:
    """Each text and number of a recorded request that is neither in the body nor declared."""
    target = Target(json.loads(encoded.body), encoded.losses)
    for leaf in leaves(json.loads(case.request or b"")):
        if not is_harmless(leaf) and not target.carries(leaf):
            named = (*leaf.path, *leaf.types, leaf.place)
            aliases = (alias for name in named for alias in ALIASES.get(name, ()))
            if not target.declares(leaf, aliases):
                yield f"{place}: {leaf.place} = {leaf.value!r:.80}"


def is_harmless(leaf: Leaf) -> bool:
    """Whether nothing is lost with it, by the lists above."""
    return (
        leaf.path[-1] in RENAMED
        or any(leaf.path[-1] == name and leaf.value == value for name, value in EMPTY)
        or leaf.place.startswith(HARMLESS)
        or leaf.place.endswith(HARMLESS)
    )
