"""Tools that Claude knows without a schema, and that the client runs, for other vendors' models."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.wire import OUTBOUND, anthropic, relay

TOOLS: tuple[tuple[Any, set[str]], ...] = (
    ({"type": "bash_20250124", "name": "bash"}, {"command", "restart"}),
    ({"type": "bash_20241022", "name": "bash"}, {"command"}),
    (
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool",
         "max_characters": 900},
        {"command", "path", "insert_text", "view_range"},
    ),
    ({"type": "text_editor_20250124", "name": "str_replace_editor"}, {"command", "new_str"}),
    ({"type": "memory_20250818", "name": "memory"}, {"command", "old_path", "file_text"}),
    (
        {"type": "computer_20251124", "name": "computer", "display_width_px": 800,
         "display_height_px": 600},
        {"action", "coordinate", "region"},
    ),
)  # fmt: skip
"""Definition, and some of the arguments that Anthropic documents."""


def decoded(*tools: Any, **members: Any) -> ir.Request:
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}],
             "tools": tools, **members}  # fmt: skip
    return anthropic.decode_request(json.dumps(asked).encode(), "/v1/messages")


class VendorToolTests(SynchronousTestCase):
    """They go home as they came, and to others as functions."""

    def test_functions(self) -> None:
        """Each other wire gets name, description and the documented arguments."""
        for tool, arguments in TOOLS:
            for wire in ("chat", "responses", "gemini", "kiro"):
                encoded = relay.encode_for(OUTBOUND[wire], decoded(tool))
                for word in (tool["name"], *arguments):
                    self.assertIn(f'"{word}"'.encode(), encoded.body, wire)
                self.assertNotIn(tool["type"].encode(), encoded.body)
            own = json.loads(anthropic.encode_request(decoded(tool)).body)
            self.assertEqual(own["tools"], [tool])

    def test_what_is_said_besides(self) -> None:
        """Members without a place elsewhere are reported; a screen's size is told to the model."""
        losses = relay.encode_for(OUTBOUND["chat"], decoded(TOOLS[2][0])).losses
        self.assertEqual(losses, (ir.Loss("max-characters"),))
        encoded = relay.encode_for(OUTBOUND["chat"], decoded(TOOLS[5][0]))
        self.assertEqual(encoded.losses, ())
        self.assertIn(b"800 x 600", encoded.body)

    def test_choice(self) -> None:
        """One of them may be demanded."""
        request = decoded(TOOLS[0][0], tool_choice={"type": "tool", "name": "bash"})
        body = json.loads(relay.encode_for(OUTBOUND["responses"], request).body)
        self.assertEqual(body["tool_choice"], {"type": "function", "name": "bash"})

    def test_toolsets(self) -> None:
        """What has no name of its own, or runs at the vendor, is no tool of the client's."""
        for kind in ("computer_toolset_20260801", "code_execution_20250825", "bash_20250124"):
            self.assertIsInstance(decoded({"type": kind}).tools[0], ir.HostedTool)
