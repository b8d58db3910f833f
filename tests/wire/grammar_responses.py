"""The grammar of a Responses stream (see `grammars`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.wire.grammar import Machine, Ungrammatical, must


class _Item:
    """An open item. parts: finished ones, by place. open, ended: texts, by place."""

    def __init__(self, item: Any) -> None:
        self.type, self.id = item["type"], item["id"]
        self.parts: dict[int, Any] = {}
        self.open: dict[int, str] = {}
        self.ended: dict[int, str] = {}
        self.begun = 0

    def whole(self) -> list[Any]:
        return [self.parts[at] for at in sorted(self.parts)]


class ResponsesMachine(Machine):
    _TEXTS: Mapping[str, tuple[str, str, str]] = {
        "output_text": ("message", "content_index", "text"),
        "refusal": ("message", "content_index", "refusal"),
        "reasoning_summary_text": ("reasoning", "summary_index", "text"),
        "function_call_arguments": ("function_call", "", "arguments"),
        "custom_tool_call_input": ("custom_tool_call", "", "input"),
    }

    def __init__(self) -> None:
        self._sequence = 0
        self._id = ""
        self._open: dict[int, _Item] = {}
        self._done: dict[int, Any] = {}
        self._count = 0

    def read(self, name: str, value: Any) -> None:
        kind = value["type"]
        must(name == kind, "event name and type differ")
        if kind == "keepalive":
            return
        must(value["sequence_number"] == self._sequence, "sequence number")
        self._sequence += 1
        if self._sequence <= 2:
            expected = ("response.created", "response.in_progress")[self._sequence - 1]
            must(kind == expected, f"{expected} is missing")
            self._head(value["response"], "in_progress")
            must(value["response"]["output"] == [], "output before the beginning")
            return
        _, _, event = kind.partition("response.")
        if event in ("completed", "incomplete", "failed"):
            self._terminal(event, value["response"])
        elif event == "output_item.added":
            self._added(value)
        elif event == "output_item.done":
            self._item_done(value)
        elif event == "output_text.annotation.added":
            self._annotated(value)
        elif event.endswith(("_part.added", "_part.done")):
            self._part(event, value)
        else:
            text, _, step = event.rpartition(".")
            self._text(text, step, value)

    def _head(self, response: Any, status: str) -> None:
        self._id = self._id or response["id"]
        must(response["id"] == self._id and self._id.startswith("resp_"), "id")
        must(response["object"] == "response" and response["status"] == status, "status")
        must(isinstance(response["created_at"], int) and response["model"], "head")
        must((response["error"] is None) == (status != "failed"), "error")
        must((response["incomplete_details"] is None) == (status != "incomplete"), "details")

    def _added(self, value: Any) -> None:
        must(value["output_index"] == self._count, "a gap in the output indexes")
        item = value["item"]
        known = [*self._open.values()]
        ids = {each.id for each in known} | {each["id"] for each in self._done.values()}
        must(item["id"] not in ids, "an id twice")
        must(not item.get("content") and not item.get("summary"), "content in the beginning")
        must("encrypted_content" not in item, "a proof before the end")
        for field in ("arguments", "input"):
            must(item.get(field, "") == "", "arguments in the beginning")
        if item["type"] == "message":
            open_ones = [each for each in known if each.type == "message"]
            must(not any(not each.open for each in open_ones), "two messages at once")
        self._open[self._count] = _Item(item)
        self._count += 1

    def _place(self, value: Any) -> _Item:
        item = self._open[value["output_index"]]
        must(value["item_id"] == item.id, "item_id")
        return item

    def _part(self, event: str, value: Any) -> None:
        item = self._place(value)
        kind, field = ("message", "content_index")
        if event.startswith("reasoning_summary"):
            kind, field = ("reasoning", "summary_index")
        must(item.type == kind, "a part of another kind of item")
        at = value[field]
        if event.endswith(".added"):
            must(at == item.begun, "a gap in the parts")
            item.begun += 1
            item.open[at] = ""
            must(not (value["part"].get("text") or value["part"].get("refusal")), "not empty")
        else:
            text = value["part"].get("text", value["part"].get("refusal"))
            must(item.ended.pop(at) == text, "the part's text differs from its deltas")
            item.parts[at] = value["part"]

    def _text(self, text: str, step: str, value: Any) -> None:
        kind, index, field = self._TEXTS[text]
        item = self._place(value)
        must(item.type == kind, "a text of another kind of item")
        at = value[index] if index else 0
        if not index:
            item.open.setdefault(at, "")
            must(0 not in item.ended, "arguments behind their end")
        must(at in item.open, "a text outside its part")
        if step == "delta":
            must(isinstance(value["delta"], str) and value["delta"], "delta")
            item.open[at] += value["delta"]
        else:
            must(step == "done", "neither delta nor done")
            said = item.open.pop(at)
            must(value[field] == said, "the whole differs from its deltas")
            item.ended[at] = said

    def _annotated(self, value: Any) -> None:
        item = self._place(value)
        must(value["content_index"] in {*item.open, *item.ended}, "outside its part")
        note = value["annotation"]
        must(note["type"] == "url_citation" and note["url"], "an annotation without a source")
        must(0 <= note["start_index"] <= note["end_index"], "place")

    def _item_done(self, value: Any) -> None:
        item = self._open.pop(value["output_index"])
        final = value["item"]
        must(final["id"] == item.id and final["type"] == item.type, "another item")
        must(not item.open, "a part is still open")
        match item.type:
            case "message":
                must(final["content"] == item.whole() and item.parts, "content")
                for part in item.parts.values():
                    for note in part.get("annotations", ()):
                        must(note["end_index"] <= len(part["text"]), "a place behind the text")
            case "reasoning":
                must(final["summary"] == item.whole(), "summary")
                must(item.parts or final.get("encrypted_content"), "an empty thought")
            case "function_call":
                must(final["arguments"] == item.ended[0] and final["call_id"], "arguments")
            case "custom_tool_call":
                must(final["input"] == item.ended.get(0, "") and final["call_id"], "input")
            case "image_generation_call":
                must(final["result"], "no image")
            case kind:
                raise Ungrammatical(f"an item {kind} that only the vendor has")
        self._done[value["output_index"]] = final

    def _terminal(self, event: str, response: Any) -> None:
        self._head(response, event)
        self.ended = True
        done = [self._done[at] for at in sorted(self._done)]
        if event == "failed":
            must(all(item in done for item in response["output"]), "an item that never came")
            return
        must(not self._open, "items are still open")
        must(_by_id(response["output"]) == _by_id(done), "output differs from the items")
        fixed = [item["id"] for item in done if not _is_proof(item)]
        told = [item["id"] for item in response["output"] if not _is_proof(item)]
        must(told == fixed, "output is in another order")
        usage = response["usage"]
        must(usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"], "total")
        inside = usage["input_tokens_details"]
        must(
            inside["cached_tokens"] + inside["cache_write_tokens"] <= usage["input_tokens"],
            "more was cached than there is",
        )
        reasoning = usage["output_tokens_details"]["reasoning_tokens"]
        must(reasoning <= usage["output_tokens"], "more reasoning than output")


def _is_proof(item: Any) -> bool:
    """A thought with nothing but a proof may come late: it belongs before the call it signs."""
    return item["type"] == "reasoning" and not item["summary"]


def _by_id(items: Any) -> dict[str, Any]:
    return {item["id"]: item for item in items}
