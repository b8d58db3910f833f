"""What encoding may change in a recorded Gemini request, done to both sides of a comparison."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from aiproxy.wire.gemini.schema import for_gemini, from_openapi
from aiproxy.wire.gemini.spelling import camel_case
from aiproxy.wire.jsontext import raw


def comparable(body: Any) -> Any:
    """
    A request without its choices of spelling:

    - snake_case keys, and names of roles and modes;
    - empty texts, contents and settings, and settings that say what is so anyway;
    - contents of the same role one after the other;
    - schemas in OpenAPI's dialect;
    - thoughts without a signature, which nobody may send back;
    - an answer's text in pieces, arguments in pieces;
    - base64 in the URL-safe alphabet.
    """
    body = json.loads(camel_case(json.dumps(body).encode()))
    out = {key: value for key, value in body.items() if key != "model" and value}
    out["contents"] = _contents(body["contents"])
    if "systemInstruction" in out:
        out["systemInstruction"] = [part["text"] for part in out["systemInstruction"]["parts"]]
    out["tools"] = sorted(_tools(body.get("tools") or ()), key=_sorted)
    config = _generation(out.pop("generationConfig", {}))
    calling = out.get("toolConfig", {}).get("functionCallingConfig", {})
    if calling.get("mode") == "AUTO":
        allowed = calling.pop("allowedFunctionNames", None)
        if allowed:
            out["tools"] = [tool for tool in out["tools"] if tool.get("name") in allowed]
    return {**out, "generationConfig": config}


def _contents(contents: Any) -> list[Any]:
    out: list[Any] = []
    for content in contents:
        role = "model" if content.get("role") == "model" else "user"
        parts = [part for part in map(_part, content["parts"]) if part]
        if out and out[-1]["role"] == role:
            out[-1]["parts"] += parts
        elif parts:
            out.append({"role": role, "parts": parts})
    return [{**content, "parts": _joined(content["parts"])} for content in out]


def _sorted(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _joined(parts: Any) -> list[Any]:
    """Texts with nothing but text in them, that follow one another."""
    out: list[Any] = []
    for part in parts:
        if out and out[-1].keys() == part.keys() == {"text"}:
            out[-1] = {"text": out[-1]["text"] + part["text"]}
        else:
            out.append(part)
    return out


def _part(part: Any) -> Any:
    if part.get("thought") and "thoughtSignature" not in part:
        return None
    if part.get("text") == "" and "thoughtSignature" not in part:
        return None
    if "functionCall" in part:
        call = {"args": {}, **part["functionCall"]}
        for piece in call.pop("partialArgs", ()):
            call["args"][piece["jsonPath"][2:]] = piece["numberValue"]
        return {**part, "functionCall": call}
    if "inlineData" in part:
        data = part["inlineData"]["data"].replace("-", "+").replace("_", "/")
        return {**part, "inlineData": {**part["inlineData"], "data": data}}
    if part.get("thoughtSignature") and len(part) <= 2 and part.get("thought"):
        return {"text": "", **part}
    return part


def _tools(tools: Any) -> Iterator[Any]:
    """Every function and every other tool for itself."""
    for tool in tools:
        for key, value in tool.items():
            if key != "functionDeclarations":
                yield {key: value}
                continue
            for function in value:
                found = function.pop("parameters", None)
                found = function.pop("parametersJsonSchema", None) or found
                if not function.get("description"):
                    function.pop("description", None)
                yield {**function, "schema": _schema(found)}


def _schema(schema: Any) -> Any:
    return json.loads(bytes(for_gemini(from_openapi(raw(schema)))))


def _generation(config: Any) -> Any:
    out = {key: value for key, value in config.items() if value not in (None, {}, ["TEXT"])}
    schema = out.pop("responseSchema", None) or out.pop("responseJsonSchema", None)
    if schema is not None:
        out.pop("responseJsonSchema", None)
        out["schema"] = _schema(schema)
    if "thinkingConfig" in out:
        thinking = {
            key: value for key, value in out["thinkingConfig"].items() if value is not False
        }
        if "thinkingLevel" in thinking:
            thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
        out["thinkingConfig"] = thinking
    return out
