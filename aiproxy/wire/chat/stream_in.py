"""
An upstream's Chat stream as events.

Vendors of "compatible" streams differ in all that the standard leaves open, and in some that it
does not: see `_Calls` for calls without an index, and `StreamDecoder` for the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.framing import sse
from aiproxy.wire import jsontext
from aiproxy.wire.chat import beside, counting, message_parts, shapes
from aiproxy.wire.chat.errors import NAME, decode_error
from aiproxy.wire.chat.message_in import arguments_text, google_proof
from aiproxy.wire.chat.reply import first_choice, is_error
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.names import derived_id
from aiproxy.wire.refrain import Refrain

_MOST_UNREADABLE = 3
"""So many messages in a row that are not JSON are no stream of this protocol."""


class _Call:
    """
    A tool call as it grows.

    block: its block's index, -1 while its name is not known. held: arguments that wait for that.
    """

    __slots__ = ("block", "held", "id", "kind", "name", "pieces", "proof", "stopped")

    def __init__(self) -> None:
        self.block = -1
        self.id = ""
        self.name = ""
        self.kind: ir.ToolKind = "function"
        self.pieces: list[str] = []
        self.held: list[str] = []
        self.proof: ir.Proof | None = None
        self.stopped = False

    def is_complete(self) -> bool:
        """Whether nothing more can come that would make sense."""
        if self.kind == "custom":
            return True
        text = "".join(self.pieces)
        if not text.rstrip().endswith("}"):
            return False
        return jsontext.try_read(text, dict[str, ir.JSON]) is not None


class _Calls:
    """
    Which call a fragment belongs to.

    By its index; where a vendor sends none, by its id, else it is the last call's. Some number all
    calls 0, or repeat id and name in each fragment: a new id with a name is another call only when
    the one before has all its arguments.
    """

    def __init__(self) -> None:
        self.all: list[_Call] = []
        self._by_index: dict[int, _Call] = {}

    def of(self, fragment: shapes.Call, name: str) -> _Call:
        if fragment.index is not None:
            known = self._by_index.get(fragment.index)
            if known is None or self._is_another(known, fragment.id or "", name):
                known = self._by_index[fragment.index] = self._new()
            return known
        if fragment.id:
            same = (call for call in reversed(self.all) if call.id == fragment.id)
            return next(same, None) or self._new()
        last = self.all[-1] if self.all else None
        if last is None or (name and last.name and last.is_complete()):
            return self._new()
        return last

    def _is_another(self, known: _Call, call_id: str, name: str) -> bool:
        if not call_id or not name or not known.id or call_id == known.id:
            return False
        return known.is_complete()

    def _new(self) -> _Call:
        call = _Call()
        self.all.append(call)
        return call


class StreamDecoder:
    """
    Chunks in, events out.

    The end is `[DONE]`, or the connection's end once a finish reason was seen. Usage may come in
    the chunk with the finish reason, in one after it, or in all of them; so `Finished` waits for
    the end.
    """

    def __init__(self) -> None:
        self._calls = _Calls()
        self._blocks = 0
        self._prose: ir.Part | None = None
        self._prose_block = -1
        self._id = ""
        self._started = False
        self._ended = False
        self._finish: str | None = None
        self._usage = ir.JSON()
        self._x_groq = ir.JSON()
        self._pending_proof: ir.Proof | None = None
        self._unreadable = 0
        self._refrain = Refrain()
        self._leftovers = Leftovers(NAME)
        self._speech = beside.Speech()

    def feed(self, message: sse.Message) -> Sequence[ir.Event]:
        return self._refrain.again(message) or self._refrain.learn(message, self._decode(message))

    def _decode(self, message: sse.Message) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        if message.data.startswith(b"[DONE]"):
            return self._end()
        chunk = jsontext.try_read(message.data, shapes.Completion)
        if chunk is None:
            self._skip(message.data)
            return ()
        self._unreadable = 0
        if is_error(chunk.error) or chunk.object == "error" or message.event == "error":
            return self._broken(message.data)
        if jsontext.given(chunk.usage):
            self._usage = chunk.usage
        if jsontext.given(chunk.x_groq):
            self._x_groq = chunk.x_groq
        choice = first_choice(chunk.choices)
        if not self._started or choice is None or choice.finish_reason:
            # What is said of the answer as a whole stands in its first or last chunks.
            beside.note_rest(self._leftovers, message.data)
        if not chunk.choices:
            return ()
        out: list[ir.Event] = []
        if not self._started:
            out.append(self._start(chunk))
        if choice is not None:
            self._choice(choice, out)
        return out

    def close(self) -> Sequence[ir.Event]:
        if self._ended:
            return ()
        if self._finish is None:
            raise UpstreamProtocolError("the upstream's stream ended without a finish reason")
        return self._end()

    # ── beginning and end ──

    def _start(self, chunk: shapes.Completion) -> ir.Started:
        self._started = True
        self._id = str(chunk.id or "")
        return ir.Started(self._id, chunk.model or "", int(chunk.created or 0))

    def _skip(self, data: bytes) -> None:
        """Noise between the chunks is skipped; a chunk of another shape is not."""
        self._unreadable += 1
        is_chunk = jsontext.try_read(data, dict[str, ir.JSON]) is not None
        if is_chunk or self._unreadable >= _MOST_UNREADABLE:
            self._ended = True
            raise UpstreamProtocolError("the upstream's stream is not its protocol's")

    def _broken(self, data: bytes) -> Sequence[ir.Event]:
        self._ended = True
        broken = ir.Broken(decode_error(200, data))
        return (broken,) if self._started else (ir.Started("", ""), broken)

    def _end(self) -> Sequence[ir.Event]:
        self._ended = True
        if not self._started:
            raise UpstreamProtocolError("the upstream's stream ended before it began")
        if any(call.block < 0 for call in self._calls.all):
            raise UpstreamProtocolError("the upstream's stream calls a tool without a name")
        out: list[ir.Event] = []
        self._stop_prose(out)
        for call in self._calls.all:
            self._stop_call(call, out)
        for spoken in self._speech.parts():
            index = self._next_block()
            out += (ir.BlockStarted(index, spoken), ir.BlockStopped(index))
        stop = counting.stop_of(self._finish, bool(self._calls.all))
        usage = counting.decode_usage(self._usage, self._x_groq)
        out.append(ir.Finished(stop, usage=usage, extras=self._leftovers.extras()))
        return out

    # ── the answer ──

    def _choice(self, choice: shapes.Choice, out: list[ir.Event]) -> None:
        if is_error(choice.error) or choice.finish_reason == "error":
            error = {"error": choice.error if is_error(choice.error) else "the answer failed"}
            out += self._broken(jsontext.write(error))
            return
        delta = choice.delta or choice.message
        if delta is not None:
            self._delta(delta, out)
        if choice.logprobs is not shapes.ABSENT:
            self._logprobs(choice, out)
        if choice.finish_reason:
            self._finish = choice.finish_reason

    def _logprobs(self, choice: shapes.Choice, out: list[ir.Event]) -> None:
        """A token may be no whole character yet, so its chunk may have no text."""
        of_text, of_refusal = beside.logprobs_of(choice)
        if of_text:
            out.append(ir.LogprobsAdded(self._prose_as(ir.Text(""), out), of_text))
        if of_refusal:
            out.append(ir.LogprobsAdded(self._prose_as(ir.Refusal(""), out), of_refusal))

    def _delta(self, delta: shapes.Delta, out: list[ir.Event]) -> None:
        if delta.reasoning_details is not shapes.ABSENT:
            beside.note_proofs(self._leftovers, delta)
        if delta.audio is not shapes.ABSENT:
            self._speech.hear(delta.audio)
        thoughts = message_parts.thoughts(delta)
        if thoughts:
            self._thought(thoughts, out)
        for is_thought, text in message_parts.content(delta):
            if text and is_thought:
                self._thought(text, out)
            elif text:
                index = self._prose_as(ir.Text(""), out)
                out.append(ir.TextDelta(index, text))
        if delta.refusal:
            index = self._prose_as(ir.Refusal(""), out)
            out.append(ir.RefusalDelta(index, delta.refusal))
        for citation in message_parts.citations(delta.annotations):
            if isinstance(self._prose, ir.Text):
                out.append(ir.CitationAdded(self._prose_block, citation))
        for image in message_parts.images(delta.images):
            self._stop_prose(out)
            index = self._next_block()
            out += (ir.BlockStarted(index, image), ir.BlockStopped(index))
        for fragment in delta.tool_calls or ():
            self._fragment(fragment, out)
        if delta.function_call is not None:
            legacy = shapes.Call(index=-1, function=delta.function_call)
            self._fragment(legacy, out)
        self._message_proof(delta.extra_content, out)

    def _thought(self, text: str, out: list[ir.Event]) -> None:
        index = self._prose_as(ir.Reasoning(""), out)
        out.append(ir.ReasoningDelta(index, text))

    def _prose_as(self, block: ir.Part, out: list[ir.Event]) -> int:
        """The open block of this kind; what else is open and complete is stopped for it."""
        if type(self._prose) is not type(block):
            self._stop_prose(out)
            self._stop_complete_calls(out)
            self._prose, self._prose_block = block, self._next_block()
            out.append(ir.BlockStarted(self._prose_block, block))
        return self._prose_block

    def _stop_prose(self, out: list[ir.Event]) -> None:
        if self._prose is not None:
            out.append(ir.BlockStopped(self._prose_block))
            self._prose = None

    def _next_block(self) -> int:
        self._blocks += 1
        return self._blocks - 1

    def _message_proof(self, extra_content: ir.JSON, out: list[ir.Event]) -> None:
        """Google's proof beside a message belongs to the open text, or else to a call."""
        proof = google_proof(extra_content)
        if proof is None:
            return
        waiting = (call for call in self._calls.all if call.block >= 0 and not call.stopped)
        if isinstance(self._prose, ir.Text):
            out.append(ir.ProofAdded(self._prose_block, proof))
        elif (call := next(waiting, None)) is None:
            self._pending_proof = proof
        elif call.proof is None:
            call.proof = proof
            out.append(ir.ProofAdded(call.block, proof))

    # ── tool calls ──

    def _fragment(self, fragment: shapes.Call, out: list[ir.Event]) -> None:
        custom = fragment.custom
        function = fragment.function or shapes.Function()
        name = (custom.name if custom is not None else function.name) or ""
        text = arguments_text(function.arguments)
        if custom is not None:
            text = custom.input or ""
        call = self._calls.of(fragment, name)
        if call.stopped:
            return
        call.id = call.id or fragment.id or ""
        if custom is not None:
            call.kind = "custom"
        if not call.name and name:
            call.name = name
            self._start_call(call, out)
        if text:
            call.pieces.append(text)
            if call.block < 0:
                call.held.append(text)
            else:
                out.append(ir.ArgumentsDelta(call.block, text))
        proof = google_proof(fragment.extra_content) or self._taken_proof()
        if proof is not None and call.proof is None:
            call.proof = proof
            if call.block >= 0:
                out.append(ir.ProofAdded(call.block, proof))

    def _taken_proof(self) -> ir.Proof | None:
        proof, self._pending_proof = self._pending_proof, None
        return proof

    def _start_call(self, call: _Call, out: list[ir.Event]) -> None:
        self._stop_prose(out)
        self._stop_complete_calls(out)
        call.id = call.id or derived_id("call_", self._id, self._calls.all.index(call))
        call.block = self._next_block()
        out.append(ir.BlockStarted(call.block, ir.ToolCall(call.id, call.name, "", call.kind)))
        if call.held:
            out.append(ir.ArgumentsDelta(call.block, "".join(call.held)))
            call.held.clear()
        if call.proof is not None:
            out.append(ir.ProofAdded(call.block, call.proof))

    def _stop_complete_calls(self, out: list[ir.Event]) -> None:
        """
        Stop the calls that have all their arguments.

        Chat marks no call's end. Without this, a target that opens one block at a time would have
        to hold the second call back until the answer's end.
        """
        for call in self._calls.all:
            if call.block >= 0 and not call.stopped and call.is_complete():
                self._stop_call(call, out)

    def _stop_call(self, call: _Call, out: list[ir.Event]) -> None:
        if not call.stopped:
            call.stopped = True
            out.append(ir.BlockStopped(call.block))
