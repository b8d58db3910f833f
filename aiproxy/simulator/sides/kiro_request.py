"""
Requests of Kiro's conversation API, read as strictly as the service does.

Source: aiproxy.wire.kiro; the service's own words for what it refuses are not documented.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire.jsontext import raw, read_request, text_of
from aiproxy.wire.kiro.request import JSON_SCHEMA
from aiproxy.wire.kiro.shapes import FAMILY, NAME

MODELS_OWN_LIMIT: Final = 20
"""Tokens of an answer to a model that talks too much: no request can name a limit."""

_FORMATS: Final = {"txt": "text/plain", "md": "text/markdown", "pdf": "application/pdf"}


class _Shape(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Fields that the service does not know are refused."""


class Bytes(_Shape):
    bytes: str


class Image(_Shape):
    format: Literal["png", "jpeg", "gif", "webp"]
    source: Bytes


class Document(_Shape):
    name: str
    format: str
    source: Bytes


class Piece(_Shape):
    text: str


class Result(_Shape):
    tool_use_id: str
    content: list[Piece]
    status: Literal["success", "error"]


class Schema(_Shape):
    json: msgspec.Raw


class Specification(_Shape):
    name: str
    description: str
    input_schema: Schema


class Tool(_Shape):
    tool_specification: Specification


class Context(_Shape):
    tools: list[Tool] = []
    tool_results: list[Result] = []


class UserMessage(_Shape):
    content: str
    model_id: str
    origin: Literal["AI_EDITOR", "CLI"]
    images: list[Image] = []
    documents: list[Document] = []
    user_input_message_context: Context = msgspec.field(default_factory=Context)


class Use(_Shape):
    tool_use_id: str
    name: str
    input: dict[str, msgspec.Raw]


class Thought(_Shape):
    text: str
    signature: str


class Reasoning(_Shape):
    reasoning_text: Thought | None = None
    redacted_content: str | None = None


class AssistantMessage(_Shape):
    content: str
    tool_uses: list[Use] = []
    reasoning_content: Reasoning | None = None


class Message(_Shape):
    user_input_message: UserMessage | None = None
    assistant_response_message: AssistantMessage | None = None


class State(_Shape):
    conversation_id: UUID
    chat_trigger_type: Literal["MANUAL"]
    agent_task_type: Literal["vibe"]
    history: list[Message]
    current_message: Message


class Asked(_Shape):
    """A whole request."""

    conversation_state: State
    profile_arn: str | None = None
    additional_model_request_fields: dict[str, Any] | None = None

    @property
    def messages(self) -> list[Message]:
        state = self.conversation_state
        return [*state.history, state.current_message]

    @property
    def current(self) -> UserMessage:
        """Raises: BadRequest when the user is not the last to speak."""
        message = self.conversation_state.current_message.user_input_message
        if message is None:
            raise BadRequest("currentMessage: a userInputMessage is required")
        return message


def read(body: bytes) -> Asked:
    """Raises: BadRequest."""
    return read_request(body, Asked)


def decode_request(body: bytes) -> ir.Request:
    """The request as the hub has it. Raises: BadRequest."""
    asked = read(body)
    specifications = [
        tool.tool_specification for tool in asked.current.user_input_message_context.tools
    ]
    turns = tuple(_turn(message) for message in asked.messages)
    return ir.Request(
        NAME,
        asked.current.model_id,
        stream=True,
        turns=turns,
        tools=tuple(
            ir.Tool(each.name, each.description, each.input_schema.json) for each in specifications
        ),
        output_format=_ordered_format(turns),
        default_max_output_tokens=MODELS_OWN_LIMIT,
    )


def _turn(message: Message) -> ir.Turn:
    if message.user_input_message is not None:
        return ir.Turn("user", tuple(_said(message.user_input_message)))
    if message.assistant_response_message is not None:
        return ir.Turn("assistant", tuple(_answered(message.assistant_response_message)))
    raise BadRequest("history: a message of the user or the assistant is required")


def _said(message: UserMessage) -> Iterator[ir.Part]:
    for result in message.user_input_message_context.tool_results:
        content = tuple(ir.Text(piece.text) for piece in result.content)
        yield ir.ToolResult(result.tool_use_id, content, result.status == "error")
    for image in message.images:
        yield ir.Media("image", ir.Inline(f"image/{image.format}", image.source.bytes))
    for document in message.documents:
        mime = _FORMATS.get(document.format, "application/octet-stream")
        yield ir.Media("document", ir.Inline(mime, document.source.bytes), document.name)
    yield ir.Text(message.content)


def _answered(message: AssistantMessage) -> Iterator[ir.Part]:
    thought = message.reasoning_content
    if thought is not None and thought.reasoning_text is not None:
        said = thought.reasoning_text
        yield ir.Reasoning(said.text, ir.Proof(FAMILY, said.signature))
    if thought is not None and thought.redacted_content is not None:
        yield ir.Reasoning("", ir.Proof(FAMILY, thought.redacted_content, redacted=True))
    yield ir.Text(message.content)
    for use in message.tool_uses:
        yield ir.ToolCall(use.tool_use_id, use.name, text_of(raw(use.input)))


def _ordered_format(turns: tuple[ir.Turn, ...]) -> ir.OutputFormat | None:
    """A schema that the user asks for in words, as models understand them."""
    for turn in turns[:1]:
        for part in turn.parts:
            if isinstance(part, ir.Text) and JSON_SCHEMA in part.text:
                text = part.text.partition(JSON_SCHEMA)[2]
                schema, _ = json.JSONDecoder().raw_decode(text)
                return ir.OutputFormat("json_schema", raw(schema))
    return None


# ── what the service refuses ──


MOST_IMAGES: Final = 4
_LONGEST_DESCRIPTION = 10_000
_REFUSED_KEYWORDS = ("$schema", "additionalProperties")


def check(body: bytes) -> None:
    """Raises: BadRequest where the service would."""
    asked = read(body)
    tools = [tool.tool_specification for tool in asked.current.user_input_message_context.tools]
    called: list[str] = []
    for at, message in enumerate(asked.messages):
        said, answered = message.user_input_message, message.assistant_response_message
        if (said is None) != bool(at % 2) or (answered is None) == bool(at % 2):
            raise BadRequest("history: user and assistant must alternate, the user first")
        if said is not None:
            _check_user(said, called)
            if said.user_input_message_context.tools and said is not asked.current:
                raise BadRequest("history: tools belong to the current message")
        if answered is not None:
            called = _check_assistant(answered, {tool.name for tool in tools})
    for tool in tools:
        _check_tool(tool)


def _check_user(message: UserMessage, called: list[str]) -> None:
    if not message.content:
        raise BadRequest("userInputMessage: content must not be empty")
    results = message.user_input_message_context.tool_results
    if [result.tool_use_id for result in results] != called:
        raise BadRequest("toolResults must answer the toolUses of the message before")
    if any(not result.content for result in results):
        raise BadRequest("toolResults: content must not be empty")
    if len(message.images) > MOST_IMAGES:
        raise BadRequest(f"images: at most {MOST_IMAGES} are allowed")


def _check_assistant(message: AssistantMessage, declared: set[str]) -> list[str]:
    """The ids of its calls."""
    if not message.content:
        raise BadRequest("assistantResponseMessage: content must not be empty")
    for use in message.tool_uses:
        if use.name not in declared:
            raise BadRequest(f"toolUses: the tool {use.name} is not declared")
    return [use.tool_use_id for use in message.tool_uses]


def _check_tool(tool: Specification) -> None:
    if not 1 <= len(tool.description) <= _LONGEST_DESCRIPTION:
        raise BadRequest(f"tools: the description of {tool.name} is too short or too long")
    schema = read_request(tool.input_schema.json, dict[str, Any])
    if schema.get("type") != "object":
        raise BadRequest(f"tools: the schema of {tool.name} is no object")
    _check_schema(schema)


def _check_schema(schema: Any) -> None:
    """Of the schemas within only those of properties and items are looked at."""
    if not isinstance(schema, dict):
        return
    for keyword in _REFUSED_KEYWORDS:
        if keyword in schema:
            raise BadRequest(f"tools: {keyword} is not allowed in a schema")
    if any(value is None for value in schema.values()):
        raise BadRequest("tools: null is not allowed in a schema")
    if schema.get("required") == [] or schema.get("properties") == {}:
        raise BadRequest("tools: required and properties must not be empty")
    for inner in (schema.get("properties") or {}).values():
        _check_schema(inner)
    _check_schema(schema.get("items"))
