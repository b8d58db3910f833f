"""Which schemas OpenAI would enforce."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.ir import JSON
from aiproxy.wire.strict import is_enforceable

_CLOSED = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


class EnforceableTests(SynchronousTestCase):
    def test_schemas(self) -> None:
        """Objects at any depth must be closed and require all they have."""
        text = {"type": "string"}
        for schema, expected in (
            (_CLOSED, True),
            ({**_CLOSED, "properties": {"a": text}, "required": ["a"]}, True),
            ({**_CLOSED, "properties": {"a": text}}, False),
            ({**_CLOSED, "properties": {"a": {"type": "object"}}, "required": ["a"]}, False),
            ({**_CLOSED, "properties": {"a": {"items": {"properties": {}}}}}, False),
            ({**_CLOSED, "$defs": {"a": {"type": "object"}}}, False),
            ({**_CLOSED, "required": 3}, False),
            ({"type": "object"}, False),
            (text, False),
            ([], False),
        ):
            self.assertEqual(is_enforceable(JSON(json.dumps(schema).encode())), expected, schema)
        self.assertFalse(is_enforceable(None))

    def test_depth(self) -> None:
        """A schema nested beyond reason is not enforceable, and no stack overflows."""
        deep = b'{"items":' * 1000 + b"{}" + b"}" * 1000
        self.assertFalse(is_enforceable(JSON(b'{"type":"object","items":' + deep + b"}")))
