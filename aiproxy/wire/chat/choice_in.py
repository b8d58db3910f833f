"""
One answer of an upstream's Chat stream as events.

Vendors leave open where a call ends, and some do not number their calls: see `_Calls`.
"""

from __future__ import annotations

from aiproxy import ir
from aiproxy.errors import UpstreamProtocolError
from aiproxy.wire import jsontext
from aiproxy.wire.chat import beside, counting, message_parts, shapes
from aiproxy.wire.chat.message_in import arguments_text
from aiproxy.wire.leftovers import Leftovers
from aiproxy.wire.names import derived_id


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
        """Whether nothing more need come; free text has no mark of its end, and may go on."""
        if self.kind == "custom":
            return bool(self.pieces)
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


class ChoiceReader:
    """
    One answer's deltas in, its events out; they are added to `out`.

    Sources that arrive when no text is open belong to the next one, if there is any.

    leftovers: where is noted what has no place in a block. finish: its finish reason, None until it
    came. is_named: whether the last delta named the call that it belongs to.
    """

    def __init__(self, leftovers: Leftovers) -> None:
        self.finish: str | None = None
        self.is_named = False
        self._leftovers = leftovers
        self._seed = ""
        self._calls = _Calls()
        self._growing = _Call()
        self._blocks = 0
        self._prose: ir.Part | None = None
        self._prose_block = -1
        self._said = 0
        self._said_before = 0
        self._pending_proof: ir.Proof | None = None
        self._pending_sources: list[ir.JSON] = []
        self._speech: beside.Speech | None = None

    def read(self, choice: shapes.Choice, seed: str, out: list[ir.BlockEvent]) -> None:
        """seed: what the ids of calls are derived from where the upstream gives none."""
        self._seed = seed
        delta = choice.delta or choice.message
        if delta is not None:
            self._delta(delta, out)
        if choice.logprobs is not shapes.ABSENT:
            self._logprobs(choice, out)
        if choice.finish_reason:
            self.finish = choice.finish_reason

    def note(self, event: ir.BlockEvent) -> None:
        """An event like the last one, which nobody has read from its message."""
        if type(event) is ir.ArgumentsDelta:
            self._growing.pieces.append(event.text)

    def close(self, out: list[ir.BlockEvent]) -> ir.StopReason:
        """
        The answer is over: ends whatever is open, and says why it is over.

        Raises: UpstreamProtocolError when a call never told its name.
        """
        if [call for call in self._calls.all if call.block < 0]:
            raise UpstreamProtocolError("the upstream's stream calls a tool without a name")
        self._stop_prose(out)
        for call in self._calls.all:
            self._stop_call(call, out)
        if self._speech is not None:
            for spoken in self._speech.parts():
                index = self._next_block()
                out += (ir.BlockStarted(index, spoken), ir.BlockStopped(index))
        for sources in self._pending_sources:
            self._leftovers.add("citations", sources)
        beside.note_lost_proof(self._leftovers, self._pending_proof)
        return counting.stop_of(self.finish, bool(self._calls.all))

    def _logprobs(self, choice: shapes.Choice, out: list[ir.BlockEvent]) -> None:
        """A token may be no whole character yet, so its chunk may have no text."""
        of_text, of_refusal = beside.logprobs_of(self._leftovers, choice)
        if of_text:
            out.append(ir.LogprobsAdded(self._prose_as(ir.Text(""), out), of_text))
        if of_refusal:
            out.append(ir.LogprobsAdded(self._prose_as(ir.Refusal(""), out), of_refusal))

    def _delta(self, delta: shapes.Delta, out: list[ir.BlockEvent]) -> None:
        if delta.reasoning_details is not shapes.ABSENT:
            beside.note_proofs(self._leftovers, delta)
        if delta.audio is not shapes.ABSENT:
            self._speech = self._speech or beside.Speech(self._leftovers)
            self._speech.hear(delta.audio)
        thoughts = message_parts.thoughts(delta)
        if thoughts:
            self._thought(thoughts, out)
        if delta.content is not None and not isinstance(delta.content, str):
            beside.note_content(self._leftovers, delta)
        for is_thought, text in message_parts.content(delta):
            if text and is_thought:
                self._thought(text, out)
            elif text:
                index = self._prose_as(ir.Text(""), out)
                self._said += len(text)
                out.append(ir.TextDelta(index, text))
        if delta.refusal:
            index = self._prose_as(ir.Refusal(""), out)
            out.append(ir.RefusalDelta(index, delta.refusal))
        if delta.annotations is not shapes.ABSENT or delta.images is not shapes.ABSENT:
            self._beside(delta, out)
        self.is_named = False
        for fragment in delta.tool_calls or ():
            self._fragment(fragment, out)
        if delta.function_call is not None:
            legacy = shapes.Call(index=-1, function=delta.function_call)
            self._fragment(legacy, out)
        if delta.extra_content is not shapes.ABSENT:
            self._message_proof(delta.extra_content, out)

    def _beside(self, delta: shapes.Delta, out: list[ir.BlockEvent]) -> None:
        if isinstance(self._prose, ir.Text):
            self._cite(delta.annotations, out)
        elif jsontext.given(delta.annotations):
            self._pending_sources.append(jsontext.copied(delta.annotations))
        for image in beside.images(self._leftovers, delta.images):
            self._stop_prose(out)
            index = self._next_block()
            out += (ir.BlockStarted(index, image), ir.BlockStopped(index))

    def _cite(self, annotations: ir.JSON, out: list[ir.BlockEvent]) -> None:
        """Adds sources to the open text."""
        for citation in beside.citations(self._leftovers, annotations):
            placed = message_parts.placed(citation, self._said_before)
            out.append(ir.CitationAdded(self._prose_block, placed))

    def _thought(self, text: str, out: list[ir.BlockEvent]) -> None:
        index = self._prose_as(ir.Reasoning(""), out)
        out.append(ir.ReasoningDelta(index, text))

    def _prose_as(self, block: ir.Part, out: list[ir.BlockEvent]) -> int:
        """The open block of this kind; what else is open and complete is stopped for it."""
        if type(self._prose) is not type(block):
            self._stop_prose(out)
            self._stop_complete_calls(out)
            self._prose, self._prose_block = block, self._next_block()
            self._said_before = self._said
            out.append(ir.BlockStarted(self._prose_block, block))
            if isinstance(block, ir.Text):
                pending, self._pending_sources = self._pending_sources, []
                for sources in pending:
                    self._cite(sources, out)
        return self._prose_block

    def _stop_prose(self, out: list[ir.BlockEvent]) -> None:
        if self._prose is not None:
            out.append(ir.BlockStopped(self._prose_block))
            self._prose = None

    def _next_block(self) -> int:
        self._blocks += 1
        return self._blocks - 1

    def _message_proof(self, extra_content: ir.JSON, out: list[ir.BlockEvent]) -> None:
        """Google's proof beside a message belongs to the open text, or else to a call."""
        proof = beside.proof_of(self._leftovers, extra_content)
        if proof is None:
            return
        waiting = (call for call in self._calls.all if call.block >= 0 and not call.stopped)
        if isinstance(self._prose, ir.Text):
            out.append(ir.ProofAdded(self._prose_block, proof))
        elif (call := next(waiting, None)) is not None:
            self._prove(call, proof, out)
        else:
            beside.note_lost_proof(self._leftovers, self._pending_proof)
            self._pending_proof = proof

    # ── tool calls ──

    def _fragment(self, fragment: shapes.Call, out: list[ir.BlockEvent]) -> None:
        custom = fragment.custom
        function = fragment.function or shapes.Function()
        name = (custom.name if custom is not None else function.name) or ""
        text = arguments_text(function.arguments)
        if custom is not None:
            text = custom.input or ""
        call = self._growing = self._calls.of(fragment, name)
        self.is_named = bool(name or fragment.id)
        if call.stopped:
            self._late(call, text)
            self._prove(call, beside.proof_of(self._leftovers, fragment.extra_content), out)
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
        proof = beside.proof_of(self._leftovers, fragment.extra_content)
        if proof is None and call.proof is None:
            proof = self._taken_proof()
        self._prove(call, proof, out)

    def _late(self, call: _Call, text: str) -> None:
        """
        Targets were told that the call is over; some vendors repeat it whole, though.

        Raises: UpstreamProtocolError when it goes on.
        """
        if text.strip() and text != "".join(call.pieces):
            raise UpstreamProtocolError("the upstream's stream adds to a tool call that is over")

    def _prove(self, call: _Call, proof: ir.Proof | None, out: list[ir.BlockEvent]) -> None:
        """A call has one proof, which it may be told again."""
        if proof is None or proof == call.proof:
            return
        if call.stopped or call.proof is not None:
            beside.note_lost_proof(self._leftovers, proof)
            return
        call.proof = proof
        if call.block >= 0:
            out.append(ir.ProofAdded(call.block, proof))

    def _taken_proof(self) -> ir.Proof | None:
        proof, self._pending_proof = self._pending_proof, None
        return proof

    def _start_call(self, call: _Call, out: list[ir.BlockEvent]) -> None:
        self._stop_prose(out)
        self._stop_complete_calls(out)
        call.id = call.id or derived_id("call_", self._seed, self._calls.all.index(call))
        call.block = self._next_block()
        out.append(ir.BlockStarted(call.block, ir.ToolCall(call.id, call.name, "", call.kind)))
        if call.held:
            out.append(ir.ArgumentsDelta(call.block, "".join(call.held)))
            call.held.clear()
        if call.proof is not None:
            out.append(ir.ProofAdded(call.block, call.proof))

    def _stop_complete_calls(self, out: list[ir.BlockEvent]) -> None:
        """
        Stop the calls that have all their arguments.

        Chat marks no call's end. Without this, a target that opens one block at a time would have
        to hold the second call back until the answer's end. A custom call stays open: its pieces
        may alternate with those of others.
        """
        for call in self._calls.all:
            is_settled = call.kind != "custom" and not call.stopped
            if call.block >= 0 and is_settled and call.is_complete():
                self._stop_call(call, out)

    def _stop_call(self, call: _Call, out: list[ir.BlockEvent]) -> None:
        if not call.stopped:
            call.stopped = True
            out.append(ir.BlockStopped(call.block))
