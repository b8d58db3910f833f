"""What a Chat answer says beside its message: log probabilities, speech, and what is left over."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from aiproxy import ir
from aiproxy.wire import jsontext, logprobs
from aiproxy.wire.chat import books, message_parts, shapes
from aiproxy.wire.chat.errors import NAME
from aiproxy.wire.chat.message_in import google_proof
from aiproxy.wire.leftovers import Leftovers

_GOOGLES = frozenset({"google"})


def logprobs_of(
    leftovers: Leftovers, choice: shapes.Choice
) -> tuple[tuple[ir.Logprob, ...], tuple[ir.Logprob, ...]]:
    """Those of the text's tokens and those of the refusal's; other forms of them are noted."""
    if not jsontext.given(choice.logprobs):
        return (), ()
    found = jsontext.try_read(choice.logprobs, shapes.Logprobs) or shapes.Logprobs()
    of_text, of_refusal = logprobs.read(found.content), logprobs.read(found.refusal)
    if not of_text and not of_refusal:
        leftovers.add("logprobs", choice.logprobs)
    return of_text, of_refusal


def citations(leftovers: Leftovers, annotations: ir.JSON) -> tuple[ir.Citation, ...]:
    """The sources in a message, noted when they cannot be read."""
    found = tuple(message_parts.citations(annotations))
    if not found and jsontext.given(annotations):
        leftovers.add("citations", annotations)
    return found


def images(leftovers: Leftovers, value: ir.JSON) -> tuple[ir.Media, ...]:
    """The images in a message, noted when one of them is none that can be shown."""
    if not jsontext.given(value):
        return ()
    entries = jsontext.try_read(value, list[msgspec.Raw])
    found = tuple(message_parts.images(value))
    if entries is None or len(found) < len(entries):
        leftovers.add("images", value)
    return found


def note_content(leftovers: Leftovers, message: shapes.Delta) -> None:
    """Parts of the content that are neither text nor thought."""
    if isinstance(message.content, str):
        return
    for body in message.content or ():
        part = jsontext.try_read(body, shapes.Part) or shapes.Part()
        if part.text is None and part.type != "thinking":
            leftovers.add(part.type or "content", body)


def proof_of(leftovers: Leftovers, extra_content: ir.JSON) -> ir.Proof | None:
    """Google's proof beside a message or a call; what others keep there is noted."""
    leftovers.note(extra_content, _GOOGLES)
    return google_proof(extra_content)


def note_lost_proof(leftovers: Leftovers, proof: ir.Proof | None) -> None:
    """A proof that belongs to nothing in the answer."""
    if proof is not None:
        leftovers.add("thought_signature", jsontext.raw(proof.data))


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
    details = jsontext.try_read(message.reasoning_details, list[shapes.Detail])
    if details is None:
        leftovers.add("reasoning_details", message.reasoning_details)
        return
    foreign = (detail for detail in details if not message_parts.is_own(detail))
    if any(detail.signature or detail.data for detail in foreign):
        leftovers.add("reasoning_details", message.reasoning_details)


class Speech:
    """An answer that is spoken, in pieces: others can only show what was said."""

    def __init__(self, leftovers: Leftovers) -> None:
        self._leftovers = leftovers
        self._audio = shapes.Audio()
        self._data: list[str] = []
        self._transcript: list[str] = []
        self._heard = False

    def hear(self, value: ir.JSON) -> None:
        if not jsontext.given(value):
            return
        piece = jsontext.try_read(value, shapes.Audio)
        if piece is None:
            self._leftovers.add("audio", value)
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
