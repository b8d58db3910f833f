"""
JSON Schema as Gemini's older `parameters` takes it: the part that OpenAPI 3.0 has, too.

References are resolved, what the dialect has another word for is said in that word, and rules that
it has none for become hints in the description, which the model at least reads. Pure: the client's
schema stays as it is, and the same schema always gives the same bytes.

Source: Gemini API reference, Schema; which keywords are refused is known from its errors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import unquote

from aiproxy.errors import BadRequest
from aiproxy.ir import JSON
from aiproxy.wire.jsontext import MAX_DEPTH, raw, try_read
from aiproxy.wire.losses import Losses
from aiproxy.wire.schemas import refuse_deep

Object: TypeAlias = dict[str, Any]
Alternatives: TypeAlias = Literal["kept", "first"]

_KEPT = (
    *("type", "format", "description", "nullable", "enum", "properties", "required", "items"),
    *("anyOf", "minimum", "maximum", "minLength", "maxLength", "pattern", "minItems", "maxItems"),
    *("minProperties", "maxProperties"),
)
"""Keywords that the dialect has, in the order in which they are written."""

_SILENT = (
    *("$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "readOnly"),
    *("writeOnly", "deprecated", "examples", "example", "propertyOrdering"),
)
"""Keywords that constrain nothing."""

_FORMATS: Mapping[str, frozenset[str]] = {
    "string": frozenset(("date-time", "enum")),
    "integer": frozenset(("int32", "int64")),
    "number": frozenset(("float", "double")),
}
_ANYTHING = "any JSON value"
_LONGEST_HINT = 80
_MOST_SCHEMAS = 5000
"""Of one tool, all references resolved: they may double at each level."""


def for_parameters(schema: JSON, losses: Losses, alternatives: Alternatives = "kept") -> JSON:
    """
    `schema` for a declaration's `parameters`.

    alternatives: "first" for models that take no `anyOf`: its first branch, the others as a hint.
    Raises: BadRequest when it is nested too deeply.
    """
    refuse_deep(schema)
    root = try_read(schema, dict[str, Any]) or {}
    cleaned = _Cleaner(root, losses, alternatives).schema(root, frozenset(), 0)
    if cleaned.get("type") == "object":
        return raw(cleaned)
    properties: Object = {}
    for branch in _listed(cleaned.get("anyOf")):
        properties = {**branch.get("properties", {}), **properties}
    return raw({"type": "object", "properties": properties})


class _Cleaner:
    """Cleans the schemas of one tool. root: what references point into."""

    def __init__(self, root: Object, losses: Losses, alternatives: Alternatives) -> None:
        self._root, self._losses, self._alternatives = root, losses, alternatives
        self._left = _MOST_SCHEMAS

    def schema(self, value: Any, within: frozenset[str], depth: int) -> Object:
        """within: the references that led here. Raises: BadRequest."""
        if depth > MAX_DEPTH:
            raise BadRequest("a schema is nested too deeply")
        self._left -= 1
        hints: list[str] = []
        members, within = self._resolved(value, within, hints, depth)
        _settle_null(members)
        branches = self._branches(members, hints)
        if branches:
            return self._chosen(members, branches, within, hints, depth)
        _settle_values(members, hints)
        _settle_type(members, hints)
        self._settle_format(members, hints)
        self._note(members, hints)
        self._descend(members, within, depth)
        return _hinted({name: members[name] for name in _KEPT if name in members}, hints)

    # ── references and alternatives ──

    def _resolved(
        self, value: Any, within: frozenset[str], hints: list[str], depth: int
    ) -> tuple[Object, frozenset[str]]:
        """A schema without `$ref` and `allOf`, and the references that are now within it."""
        if depth > MAX_DEPTH:
            raise BadRequest("a schema is nested too deeply")
        if not isinstance(value, dict):
            return {}, within
        members = dict(value)
        while isinstance(reference := members.pop("$ref", None), str):
            target = None if reference in within else self._target(reference)
            if target is None or self._left <= 0:
                self._losses.approximated("tool-schema")
                hints.append(f"like {reference.rpartition('/')[2] or 'the whole'}"[:_LONGEST_HINT])
                return {"type": "object", **_only(members, ("description",))}, within
            within |= {reference}
            members = {**target, **members}
        branches = members.pop("allOf", None)
        for branch in branches if isinstance(branches, list) else ():
            inner, within = self._resolved(branch, within, hints, depth + 1)
            members = _merged(members, inner)
        return members, within

    def _target(self, reference: str) -> Object | None:
        """Where a reference into this schema points."""
        if not reference.startswith("#"):
            return None
        node: Any = self._root
        for step in reference[1:].split("/")[1:]:
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and name.isdecimal() and int(name) < len(node):
                node = node[int(name)]
            elif isinstance(node, dict) and name in node:
                node = node[name]
            else:
                return None
        return node if isinstance(node, dict) else None

    def _branches(self, members: Object, hints: list[str]) -> list[Object]:
        """The alternatives, taken out of `members`; those that only demand members are hints."""
        found = [*_listed(members.pop("anyOf", None)), *_listed(members.pop("oneOf", None))]
        branches = [branch for branch in found if isinstance(branch, dict)]
        if all(branch.keys() <= {"required"} for branch in branches):
            demands = [" and ".join(map(str, _listed(b.get("required")))) for b in branches]
            if any(demands):
                self._losses.approximated("tool-schema")
                hints.append(f"needed: {' or '.join(filter(None, demands))}"[:_LONGEST_HINT])
            return []
        return branches

    def _chosen(
        self,
        base: Object,
        branches: Iterable[Object],
        within: frozenset[str],
        hints: list[str],
        depth: int,
    ) -> Object:
        """Every alternative with what all of them share: nothing may stand beside `anyOf`."""
        cleaned: list[Object] = []
        nullable = base.get("nullable", False)
        for branch in branches:
            resolved, inner = self._resolved(branch, within, hints, depth)
            if resolved.get("type") == "null":
                nullable = True
                continue
            each = self.schema(_merged(resolved, base), inner, depth + 1)
            nullable = each.pop("nullable", False) or nullable
            if each not in cleaned:
                cleaned.append(each)
        if not cleaned:
            cleaned.append({"type": "string"})
        if nullable:
            cleaned = [{**each, "nullable": True} for each in cleaned]
        if len(cleaned) > 1 and self._alternatives == "kept":
            return {"anyOf": [_hinted(cleaned[0], hints), *cleaned[1:]]}
        if len(cleaned) > 1:
            self._losses.approximated("tool-schema")
            hints.append("or " + ", ".join(_named(each) for each in cleaned[1:]))
        return _hinted(cleaned[0], hints)

    # ── one schema's keywords ──

    def _settle_format(self, members: Object, hints: list[str]) -> None:
        wanted = members.get("format")
        if wanted is not None and wanted not in _FORMATS.get(str(members.get("type")), ()):
            del members["format"]
            hints.append(f"format: {wanted}"[:_LONGEST_HINT])

    def _note(self, members: Object, hints: list[str]) -> None:
        """Rules that the dialect has no word for."""
        for name in [name for name in members if name not in _KEPT]:
            value = members.pop(name)
            if name in _SILENT or (name == "additionalProperties" and isinstance(value, bool)):
                continue
            if name != "default":
                self._losses.approximated("tool-schema")
            said = json.dumps(value, ensure_ascii=False)
            if value is not None and len(said) <= _LONGEST_HINT:
                hints.append(f"{name}: {said}")

    def _descend(self, members: Object, within: frozenset[str], depth: int) -> None:
        properties = members.get("properties")
        if isinstance(properties, dict):
            members["properties"] = {
                name: self.schema(inner, within, depth + 1) for name, inner in properties.items()
            }
        else:
            members.pop("properties", None)
        known = members.get("properties", {})
        required = [name for name in _listed(members.pop("required", None)) if name in known]
        if required:
            members["required"] = list(dict.fromkeys(required))
        if members.get("type") == "array":
            members["items"] = self.schema(members.get("items"), within, depth + 1)
        else:
            members.pop("items", None)
        if not isinstance(members.get("description", ""), str):
            del members["description"]


def _hinted(schema: Object, hints: Iterable[str]) -> Object:
    """`schema` with `hints` behind its description."""
    text = "; ".join(dict.fromkeys(hints))
    if not text:
        return schema
    said = schema.get("description")
    return {**schema, "description": f"{said} ({text})" if said else text}


def _settle_null(members: Object) -> None:
    """That null is allowed too, said as a type, is `nullable`."""
    kinds = members.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if isinstance(kind, str)]
        rest = [kind for kind in named if kind != "null"]
        if len(rest) < len(named):
            members["nullable"] = True
        members.pop("type")
        if len(rest) == 1:
            members["type"] = rest[0]
        elif rest:
            members["anyOf"] = [*_listed(members.get("anyOf")), *({"type": kind} for kind in rest)]
    if not isinstance(members.get("nullable", False), bool) or members.get("nullable") is False:
        members.pop("nullable")


def _settle_values(members: Object, hints: list[str]) -> None:
    """A constant is an enumeration of one, and an enumeration has only texts."""
    if "const" in members:
        members["enum"] = [members.pop("const")]
    values = members.pop("enum", None)
    if not isinstance(values, list) or not values:
        return
    if None in values:
        members["nullable"] = True
    texts = [value for value in values if isinstance(value, str) and value]
    if texts and len(texts) == len([value for value in values if value is not None]):
        members["type"], members["enum"] = "string", list(dict.fromkeys(texts))
        return
    said = ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
    hints.append(f"one of {said}"[:_LONGEST_HINT])
    if "type" not in members:
        members["type"] = _type_of(next((v for v in values if v is not None), ""))


def _settle_type(members: Object, hints: list[str]) -> None:
    """Every schema has a type. A list is like its first item."""
    first = next(iter(_listed(members.get("prefixItems"))), None)
    if isinstance(first, dict) and not isinstance(members.get("items"), dict):
        members["items"] = first
    if isinstance(members.get("type"), str):
        members["type"] = members["type"].lower()
        return
    members.pop("type", None)
    if "properties" in members:
        members["type"] = "object"
    elif "items" in members or "prefixItems" in members:
        members["type"] = "array"
    else:
        members["type"] = "string"
        hints.append(_ANYTHING)


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
    return "string"


def _merged(one: Object, other: Object) -> Object:
    """A schema that demands what both demand, as far as one can say it."""
    merged = {**other, **one}
    if isinstance(one.get("properties"), dict) and isinstance(other.get("properties"), dict):
        merged["properties"] = {**one["properties"], **other["properties"]}
    required = [*_listed(one.get("required")), *_listed(other.get("required"))]
    if required:
        merged["required"] = required
    texts = [each["description"] for each in (one, other) if each.get("description")]
    if texts:
        merged["description"] = " ".join(str(text) for text in dict.fromkeys(texts))
    return merged


def _named(schema: Object) -> str:
    """A branch that is not sent, in a word or two."""
    said = schema.get("description") or schema.get("type") or "another"
    return str(said)[:_LONGEST_HINT]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _only(members: Object, names: Iterable[str]) -> Object:
    return {name: members[name] for name in names if name in members}
