"""A value that fits a JSON Schema, the same each time: arguments and structured answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEPEST = 12
_LONGEST = 1000

_TEXTS: Mapping[str, str] = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "ada@example.org",
    "uri": "https://example.org/",
    "uuid": "6f1c2d3e-4a5b-4c6d-8e7f-901234567890",
}


def sample(schema: Any, name: str = "value") -> Any:
    """
    A value for `schema`: every property is there, texts say their own name.

    schema: parsed JSON, types in lower or (Gemini) upper case; whatever is no schema gives a text.
    Patterns are not looked at.
    """
    return _Sampler(schema).value(schema, name, 0)


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root

    def value(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return _text({}, name)
        for key in ("const", "default", "example"):
            if key in schema:
                return schema[key]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][0]
        if isinstance(schema.get("$ref"), str):
            return self.value(self._found(schema["$ref"]), name, depth + 1)
        for key in ("anyOf", "oneOf"):
            if isinstance(schema.get(key), list) and schema[key]:
                return self.value(schema[key][0], name, depth + 1)
        if isinstance(schema.get("allOf"), list):
            return self._merged(schema["allOf"], name, depth)
        return self._typed(schema, name, depth)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        match _type(schema):
            case "object":
                properties = schema.get("properties")
                inner = properties.items() if isinstance(properties, dict) else ()
                return {key: self.value(value, key, depth + 1) for key, value in inner}
            case "array":
                count = min(max(1, _number(schema, "minItems", 1)), 3)
                return [self.value(schema.get("items"), name, depth + 1) for _ in range(count)]
            case "integer":
                return _number(schema, "minimum", _number(schema, "exclusiveMinimum", 6) + 1)
            case "number":
                return _number(schema, "minimum", _number(schema, "exclusiveMinimum", 6) + 1) + 0.5
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _text(schema, name)

    def _merged(self, schemas: list[Any], name: str, depth: int) -> Any:
        values = [self.value(schema, name, depth + 1) for schema in schemas]
        objects = [value for value in values if isinstance(value, dict)]
        if not objects:
            return values[0] if values else _text({}, name)
        return {key: value for each in objects for key, value in each.items()}

    def _found(self, reference: str) -> Any:
        """The schema behind "#/$defs/x"."""
        found = self._root
        for step in reference.removeprefix("#").split("/"):
            if step:
                found = found.get(step) if isinstance(found, dict) else None
        return found


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if isinstance(kind, str):
        return kind.lower()
    return "object" if "properties" in schema else "string"


def _text(schema: Mapping[str, Any], name: str) -> str:
    known = _TEXTS.get(str(schema.get("format")))
    # Not only ASCII, so that escapes and cut code points show.
    text = known or f"{name} é漢😀"
    return text.ljust(min(_number(schema, "minLength", 0), _LONGEST), ".")


def _number(schema: Mapping[str, Any], key: str, default: int) -> int:
    value = schema.get(key)
    try:
        return int(value) if value is not None else default
    except (TypeError, ValueError, OverflowError):
        return default
