"""
snake_case keys made camelCase.

Google's API takes both spellings of every field, and some clients mix them. The codec knows only
camelCase, so a request that has snake_case keys is respelled first. Only the keys of the API's own
objects are touched: what users put into arguments, results, schemas and labels stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from aiproxy.ir import JSON
from aiproxy.wire.jsontext import raw, read_request, try_read

_Tree = Mapping[str, "_Tree"]
"""An object's fields by their camelCase names, with the fields of what is inside."""

_LEAF: _Tree = {}


def _leaves(*names: str) -> dict[str, _Tree]:
    return dict.fromkeys(names, _LEAF)


_BLOB = _leaves("mimeType", "data", "displayName")
_FILE = _leaves("mimeType", "fileUri", "displayName")
_RESULT_PART: _Tree = {"inlineData": _BLOB, "fileData": _FILE}
_PARTIAL = _leaves(
    "jsonPath", "stringValue", "numberValue", "boolValue", "nullValue", "willContinue"
)
_PART: _Tree = {
    **_leaves("thoughtSignature", "mediaResolution", "partMetadata", "executableCode"),
    "codeExecutionResult": _LEAF,
    "inlineData": _BLOB,
    "fileData": _FILE,
    "functionCall": {"partialArgs": _PARTIAL, **_leaves("willContinue")},
    "functionResponse": {"parts": _RESULT_PART, **_leaves("willContinue")},
    "videoMetadata": _leaves("startOffset", "endOffset"),
    "toolCall": _leaves("toolType"),
    "toolResponse": _leaves("toolType"),
}
_CONTENT: _Tree = {"parts": _PART}
_TOOL: _Tree = {
    "functionDeclarations": _leaves("parametersJsonSchema", "responseJsonSchema"),
    **_leaves("googleSearch", "googleSearchRetrieval", "codeExecution", "urlContext", "fileSearch"),
    **_leaves("googleMaps", "computerUse", "mcpServers", "enterpriseWebSearch"),
}
_TOOL_CONFIG: _Tree = {
    "functionCallingConfig": _leaves("allowedFunctionNames", "streamFunctionCallArguments"),
    **_leaves("retrievalConfig", "includeServerSideToolInvocations"),
}
_GENERATION: _Tree = {
    **_leaves("maxOutputTokens", "topP", "topK", "presencePenalty", "frequencyPenalty"),
    **_leaves("responseLogprobs", "candidateCount", "stopSequences", "responseMimeType"),
    **_leaves("responseSchema", "responseJsonSchema", "responseModalities", "speechConfig"),
    **_leaves("mediaResolution", "audioTimestamp", "imageConfig", "routingConfig"),
    "thinkingConfig": _leaves("includeThoughts", "thinkingBudget", "thinkingLevel"),
}
_REQUEST: dict[str, _Tree] = {
    "contents": _CONTENT,
    "systemInstruction": _CONTENT,
    "tools": _TOOL,
    "toolConfig": _TOOL_CONFIG,
    "generationConfig": _GENERATION,
    **_leaves("safetySettings", "cachedContent", "serviceTier"),
}
_REQUEST["generateContentRequest"] = dict(_REQUEST)

_HUMP = re.compile(r"(?<=[a-z0-9])([A-Z])")
_UNDERSCORE = re.compile(r"_([a-z])")


def _snake(name: str) -> str:
    return _HUMP.sub(r"_\1", name).lower()


def _names(tree: _Tree) -> Iterator[str]:
    for name, inner in tree.items():
        yield name
        yield from _names(inner)


_SPELLINGS = sorted({_snake(name) for name in _names(_REQUEST)} - {*_names(_REQUEST)})
_SUSPECT = re.compile(rb'"(?:%s)"\s*:' % "|".join(_SPELLINGS).encode())

# How these end, from the last underscore on: there are few of those, and they are found fast.
_ENDS = sorted({name.rpartition("_")[2] for name in _SPELLINGS})
_HINT = re.compile(rb'_(?:%s)"\s*:' % "|".join(_ENDS).encode())


def camel_case(body: bytes) -> bytes:
    """
    A request's body with the API's own keys in camelCase; the very same bytes when they are.

    Raises: BadRequest when `body` is no JSON object.
    """
    if _HINT.search(body) is None or _SUSPECT.search(body) is None:
        return body
    members = read_request(body, dict[str, msgspec.Raw])
    return bytes(raw(_respelled(members, _REQUEST)))


def _respelled(members: Mapping[str, JSON], tree: _Tree) -> dict[str, JSON]:
    out: dict[str, JSON] = {}
    for key, value in members.items():
        camel = _UNDERSCORE.sub(lambda match: match[1].upper(), key)
        name = camel if camel in tree else key
        inner = tree.get(name)
        out[name] = _within(value, inner) if inner else value
    return out


def _within(value: JSON, tree: _Tree) -> JSON:
    """`value`, an object or a list of objects, respelled; anything else as it is."""
    members = try_read(value, dict[str, msgspec.Raw])
    if members is not None:
        return raw(_respelled(members, tree))
    items = try_read(value, list[msgspec.Raw])
    if items is not None:
        return raw([_within(item, tree) for item in items])
    return value
