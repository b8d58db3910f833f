"""What a Chat answer says beside its message: log probabilities, speech, and what is left over."""

from __future__ import annotations

from collections.abc import Iterator

from aiproxy import ir
from aiproxy.wire import jsontext, logprobs
from aiproxy.wire.chat import books, message_parts, shapes
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.leftovers import Leftovers


def logprobs_of(choice: shapes.Choice) -> tuple[tuple[ir.Logprob, ...], tuple[ir.Logprob, ...]]:
    """Those of the text's tokens and those of the refusal's."""
    if not jsontext.given(choice.logprobs):
        return (), ()
    found = jsontext.try_read(choice.logprobs, shapes.Logprobs) or shapes.Logprobs()
    return logprobs.read(found.content), logprobs.read(found.refusal)


def citations(leftovers: Leftovers, annotations: ir.JSON) -> tuple[ir.Citation, ...]:
    """The sources in a message, noted when they cannot be read."""
    found = tuple(message_parts.citations(annotations))
    if not found and jsontext.given(annotations):
        leftovers.add("citations", annotations)
    return found


def is_error(value: ir.JSON) -> bool:
    """Whether an `error` field tells of one."""
    return jsontext.given(value) and bytes(value) not in (b"{}", b'""', b"false")


def note_failure(leftovers: Leftovers, choice: shapes.Choice) -> None:
    """That a further answer has failed: the others are none the worse for it."""
    if is_error(choice.error):
        leftovers.add("error", choice.error)
        choice.finish_reason = choice.finish_reason or "error"


def note_rest(leftovers: Leftovers, data: bytes) -> None:
    """The members of an answer or a chunk that nobody reads."""
    if jsontext.try_read(data, books.PLAIN) is not None:
        return
    leftovers.note(data, books.OF_COMPLETION)
    whole = jsontext.try_read(data, shapes.Raws)
    for raw_choice in (whole and whole.choices) or ():
        choice = jsontext.try_read(raw_choice, shapes.RawChoice)
        if choice is None:
            continue
        leftovers.note(raw_choice, books.OF_CHOICE)
        leftovers.note(choice.message, books.OF_MESSAGE)
        leftovers.note(choice.delta, books.OF_MESSAGE)


def note_proofs(leftovers: Leftovers, message: shapes.Delta) -> None:
    """Proofs of thoughts are known to the vendor behind a vendor of Chat's, whoever that is."""
    if not jsontext.given(message.reasoning_details):
        return
    details = jsontext.try_read(message.reasoning_details, list[shapes.Detail]) or ()
    foreign = (detail for detail in details if not message_parts.is_own(detail))
    if any(detail.signature or detail.data for detail in foreign):
        leftovers.add("reasoning_details", message.reasoning_details)


class Speech:
    """An answer that is spoken, in pieces: others can only show what was said."""

    def __init__(self) -> None:
        self._audio = shapes.Audio()
        self._data: list[str] = []
        self._transcript: list[str] = []
        self._heard = False

    def hear(self, value: ir.JSON) -> None:
        piece = jsontext.try_read(value, shapes.Audio) if jsontext.given(value) else None
        if piece is None:
            return
        self._heard = True
        self._data.append(piece.data or "")
        self._transcript.append(piece.transcript or "")
        self._audio.id = piece.id or self._audio.id
        self._audio.expires_at = piece.expires_at or self._audio.expires_at

    def parts(self) -> Iterator[ir.Opaque]:
        """All of it as one part, none when nothing was said."""
        if self._heard:
            self._audio.data = "".join(self._data)
            self._audio.transcript = transcript = "".join(self._transcript)
            yield ir.Opaque(NAME, "audio", jsontext.raw(self._audio), transcript)
