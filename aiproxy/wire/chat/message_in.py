"""One message of a client's Chat request as a turn of the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import dataurl, jsontext, proofs
from aiproxy.wire.chat import shapes
from aiproxy.wire.chat.errors import NAME

_ROLES: Mapping[str, ir.Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
_REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details")


def turn(at: int, body: ir.JSON) -> ir.Turn:
    """
    The message at position `at`.

    Shape: {"role", "content": text or parts, "tool_calls", "tool_call_id", "name", ...}
    Raises: BadRequest.
    """
    message, rest = jsontext.read_closely(NAME, body, shapes.Message, jsontext.read_request)
    extras = _telling(rest)
    if message.role == "tool":
        return _answered(message, message.tool_call_id or "", extras)
    if message.role == "function":
        name = jsontext.read_request(body, shapes.Named).name or ""
        return _answered(message, name, extras)
    role = _ROLES.get(message.role)
    if role is None:
        where = f"messages[{at}].role"
        raise BadRequest(f"{where}: {message.role!r} is no role of a message", param=where)
    parts = tuple(_spoken(message) if role == "assistant" else _content(message.content))
    return ir.Turn(role, parts, extras)


def _answered(message: shapes.Message, call_id: str, extras: ir.Extras | None) -> ir.Turn:
    """A tool's message. Its name is dropped: it is known from the call."""
    parts = tuple(_content(message.content))
    if extras is not None:
        extras = _of([field for field in extras.fields if field[0] != "name"])
    return ir.Turn("user", (ir.ToolResult(call_id, parts, extras=extras),))


def _spoken(message: shapes.Message) -> Iterator[ir.Part]:
    """What the assistant said: thoughts, then content, then calls."""
    yield from _reasoning(message)
    proof = google_proof(message.extra_content)
    calls = [_call(call) for call in message.tool_calls or ()]
    if message.function_call is not None:
        calls.append(_legacy_call(message.function_call))
    content = list(_content(message.content))
    if proof is not None:
        _attach(proof, content, calls)
    yield from content
    if message.refusal:
        yield ir.Refusal(message.refusal)
    yield from calls


def _attach(proof: ir.Proof, content: list[ir.Part], calls: list[ir.ToolCall]) -> None:
    """Google's proof beside a message belongs to its text, or else to its first call."""
    for at, part in enumerate(content):
        if isinstance(part, ir.Text) and part.text:
            content[at] = ir.Text(part.text, part.citations, proof, part.extras)
            return
    if calls and calls[0].proof is None:
        first = calls[0]
        calls[0] = ir.ToolCall(
            first.id, first.name, first.arguments, first.kind, "", proof, first.extras
        )


def _reasoning(message: shapes.Message) -> Iterator[ir.Reasoning]:
    """
    Thoughts of earlier answers.

    Those that this proxy wrote bear proofs, and each is whole in its own detail. All others have
    no proof that any vendor could check: they keep the fields they came in.
    """
    given = [name for name in _REASONING_FIELDS if jsontext.given(getattr(message, name))]
    if not given:
        return
    own = list(_own_details(message.reasoning_details))
    if own:
        yield from own
        return
    fields = tuple(
        (name, jsontext.copied(value))
        for name in given
        if bytes(value := getattr(message, name)) not in (b"[]", b'""')
    )
    if fields:
        texts = (jsontext.try_read(value, str) for _, value in fields[:2])
        text = next((text for text in texts if text), "")
        yield ir.Reasoning(text, extras=ir.Extras(NAME, fields))


def _own_details(details: ir.JSON) -> Iterator[ir.Reasoning]:
    if not jsontext.given(details):
        return
    for detail in jsontext.try_read(details, list[shapes.Detail]) or ():
        tag = detail.signature or detail.data or ""
        if tag.startswith(proofs.MARK):
            proof = proofs.untagged(tag, "")
            yield ir.Reasoning(detail.text or "", proof, summary=proof.family == "openai")


def _call(body: ir.JSON) -> ir.ToolCall:
    call, rest = jsontext.read_closely(NAME, body, shapes.Call, jsontext.read_request)
    extras = _telling(rest)
    proof = google_proof(call.extra_content)
    if call.custom is not None:
        name, text = call.custom.name or "", call.custom.input or ""
        return ir.ToolCall(call.id or "", name, text, "custom", "", proof, extras)
    if call.function is None or not call.function.name:
        raise BadRequest("a tool call without a function name", param="messages.tool_calls")
    name, text = call.function.name, arguments_text(call.function.arguments)
    return ir.ToolCall(call.id or "", name, text, "function", "", proof, extras)


def _legacy_call(function: shapes.Function) -> ir.ToolCall:
    name = function.name or ""
    return ir.ToolCall(name, name, arguments_text(function.arguments))


def arguments_text(arguments: str | dict[str, ir.JSON] | None) -> str:
    """A call's arguments as JSON text, however the vendor wrote them."""
    if isinstance(arguments, dict):
        return jsontext.write(arguments).decode()
    return arguments or ""


def google_proof(extra_content: ir.JSON) -> ir.Proof | None:
    """The proof in `{"google": {"thought_signature": ...}}`, if there is one."""
    if not jsontext.given(extra_content):
        return None
    extra = jsontext.try_read(extra_content, shapes.ExtraContent)
    if extra is None or extra.google is None or not extra.google.thought_signature:
        return None
    return proofs.untagged(extra.google.thought_signature, "gemini")


# ── content ──


def _content(content: str | list[ir.JSON] | None) -> Iterator[ir.Part]:
    if isinstance(content, str):
        yield ir.Text(content)
        return
    for body in content or ():
        yield _part(body)


def _part(body: ir.JSON) -> ir.Part:
    plain = jsontext.try_read(body, shapes.PlainText)
    if plain is not None:
        return ir.Text(plain.text or "")
    named = jsontext.read_request(body, shapes.PartType)
    read = _PARTS.get(named.type or "")
    if read is None:
        return ir.Opaque(NAME, named.type or "part", jsontext.copied(body))
    return read(jsontext.read_request(body, shapes.Part), body)


def _text(part: shapes.Part, body: ir.JSON) -> ir.Part:
    return ir.Text(part.text or "", extras=_extras(body, frozenset({"type", "text"})))


def _refusal(part: shapes.Part, body: ir.JSON) -> ir.Part:
    return ir.Refusal(part.refusal or "")


def _image(part: shapes.Part, body: ir.JSON) -> ir.Part:
    image = part.image_url
    if isinstance(image, str):
        image = shapes.URL(image)
    if image is None or not image.url:
        raise BadRequest("image_url without a url", param="image_url")
    source = dataurl.source(image.url, "image/png")
    extras = _extras(body, frozenset({"type", "image_url"}))
    return ir.Media("image", source, detail=image.detail or "", extras=extras)


def _audio(part: shapes.Part, body: ir.JSON) -> ir.Part:
    audio = part.input_audio
    if audio is None or not audio.data:
        raise BadRequest("input_audio without data", param="input_audio")
    mime = dataurl.normal_mime(f"audio/{audio.format or 'wav'}")
    source = dataurl.source(audio.data, mime)
    if isinstance(source, ir.Remote):
        source = ir.Inline(mime, dataurl.standard(audio.data))
    extras = _extras(body, frozenset({"type", "input_audio"}))
    return ir.Media("audio", source, extras=extras)


def _file(part: shapes.Part, body: ir.JSON) -> ir.Part:
    file = part.file or shapes.File()
    source: ir.Source
    if file.file_id:
        source = ir.Uploaded("openai", file.file_id)
    elif not file.file_data:
        raise BadRequest("file with neither file_data nor file_id", param="file")
    elif file.file_data[:8].lower().startswith(("http://", "https://")):
        source = ir.Remote(file.file_data)
    elif file.file_data[:5].lower() == "data:":
        source = dataurl.source(file.file_data, "application/pdf")
    else:
        source = ir.Inline("application/pdf", dataurl.standard(file.file_data))
    extras = _extras(body, frozenset({"type", "file"}))
    return ir.Media("document", source, file.filename or "", extras=extras)


def _thinking(part: shapes.Part, body: ir.JSON) -> ir.Part:
    fields = (("thinking", jsontext.copied(body)),)
    return ir.Reasoning(thinking_text(part.thinking), extras=ir.Extras(NAME, fields))


def thinking_text(thinking: ir.JSON) -> str:
    """The text of a `thinking` part: plain, or a list of text parts."""
    plain = jsontext.try_read(thinking, str)
    if plain is not None:
        return plain
    thoughts = jsontext.try_read(thinking, list[shapes.Thought]) or ()
    return "".join(thought.text or "" for thought in thoughts)


_PARTS: Mapping[str, Callable[[shapes.Part, ir.JSON], ir.Part]] = {
    "text": _text,
    "refusal": _refusal,
    "image_url": _image,
    "input_audio": _audio,
    "file": _file,
    "thinking": _thinking,
}


def _extras(body: ir.JSON, known: frozenset[str]) -> ir.Extras | None:
    """What is left of an object."""
    return _telling(jsontext.extras_of(NAME, body, known))


def _telling(extras: ir.Extras | None) -> ir.Extras | None:
    """`extras` without fields that say nothing (`annotations: []`)."""
    if extras is None:
        return None
    return _of([field for field in extras.fields if bytes(field[1]) != b"[]"])


def _of(fields: Sequence[tuple[str, ir.JSON]]) -> ir.Extras | None:
    return ir.Extras(NAME, tuple(fields)) if fields else None
