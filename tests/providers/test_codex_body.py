"""What Codex's backend takes of a Responses request."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.providers.codex_body import Fitted, fitted, fitted_compact

USER = {"role": "user", "content": "hi"}


def fit(*, parallel: bool = True, **members: Any) -> Fitted:
    return fitted(
        json.dumps({"model": "m", "input": "hi", **members}).encode(), "key-1", parallel=parallel
    )


def sent(*, parallel: bool = True, **members: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(fit(parallel=parallel, **members).body)
    return found


def lost(**members: Any) -> list[str]:
    return [loss.feature for loss in fit(**members).losses]


class ForcedTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """What the backend insists on is there, whatever was asked."""
        whole = {
            "model": "m",
            "instructions": "",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "hi"}],
                }
            ],
            "stream": True,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "tool_choice": "auto",
            "prompt_cache_key": "key-1",
        }
        self.assertEqual(sent(), whole)
        self.assertEqual(sent(stream=False, store=True, include=None), whole)
        self.assertEqual(fit(stream=False, store=True).losses, ())

    def test_include(self) -> None:
        """Proofs are asked for once, after what the client asked for."""
        for given_, expected in (
            (["a"], ["a", "reasoning.encrypted_content"]),
            (["reasoning.encrypted_content", "a"], ["reasoning.encrypted_content", "a"]),
            ("a", ["reasoning.encrypted_content"]),
        ):
            self.assertEqual(sent(include=given_)["include"], expected)

    def test_own_wishes_stay(self) -> None:
        """Instructions, choice, cache key and all that the backend knows are the client's."""
        wishes: dict[str, Any] = {
            "instructions": "be brief",
            "tool_choice": "none",
            "prompt_cache_key": "mine",
            "reasoning": {"effort": "high", "novelty": 1.10},
            "text": {"verbosity": "low"},
            "client_metadata": {"a": "b"},
            "service_tier": "priority",
            "novelty": [1],
        }
        found = sent(**wishes)
        self.assertEqual({name: found[name] for name in wishes}, wishes)
        self.assertEqual(fit(**wishes).key, "mine")

    def test_parallel_calls(self) -> None:
        """A default where there are tools, nothing where there are none."""
        tools: list[Any] = [{"type": "function", "name": "f"}]
        self.assertIs(sent(tools=tools)["parallel_tool_calls"], True)
        self.assertIs(sent(parallel=False, tools=tools)["parallel_tool_calls"], False)
        self.assertIs(sent(tools=tools, parallel_tool_calls=False)["parallel_tool_calls"], False)
        light = [{"type": "additional_tools", "tools": tools}]
        self.assertIs(sent(parallel=False, input=light)["parallel_tool_calls"], False)
        nothing: tuple[list[Any] | None, ...] = ([], None)
        for none in nothing:
            found = sent(tools=none, parallel_tool_calls=True)
            self.assertNotIn("parallel_tool_calls", found)


class DeletedTests(SynchronousTestCase):
    def test_deleted(self) -> None:
        """What the backend refuses is left out and reported."""
        cases: tuple[tuple[str, Any], ...] = (
            ("max_output_tokens", 5),
            ("max_completion_tokens", 5),
            ("temperature", 0.5),
            ("top_p", 0.5),
            ("truncation", "auto"),
            ("context_management", [{"type": "x"}]),
            ("user", "u"),
            ("metadata", {"a": "b"}),
            ("prompt_cache_retention", "24h"),
            ("prompt_cache_options", {}),
            ("safety_identifier", "s"),
            ("generate", False),
            ("service_tier", "flex"),
        )
        for name, value in cases:
            self.assertNotIn(name, sent(**{name: value}))
            self.assertEqual(lost(**{name: value}), [name.replace("_", "-")])

    def test_nothing_lost(self) -> None:
        """Fields that ask for nothing go without a word."""
        cases: tuple[tuple[str, Any], ...] = (
            ("truncation", "disabled"),
            ("metadata", {}),
            ("background", False),
            ("service_tier", "auto"),
            ("service_tier", "default"),
            ("temperature", None),
            ("previous_response_id", None),
            ("stream_options", {"include_obfuscation": False}),
        )
        for name, value in cases:
            self.assertNotIn(name, sent(**{name: value}))
            self.assertEqual(lost(**{name: value}), [], name)

    def test_stream_options(self) -> None:
        """One option of the stream is known there."""
        options = {"include_obfuscation": True, "reasoning_summary_delivery": "x"}
        self.assertEqual(
            sent(stream_options=options)["stream_options"], {"reasoning_summary_delivery": "x"}
        )

    def test_server_state(self) -> None:
        """A conversation that only the public API keeps cannot be gone on with."""
        cases: tuple[tuple[str, Any], ...] = (
            ("previous_response_id", "resp_1"),
            ("conversation", {"id": "c"}),
            ("background", True),
        )
        for name, value in cases:
            with self.assertRaises(BadRequest) as caught:
                fit(**{name: value})
            self.assertEqual(caught.exception.reply.param, name)

    def test_cache_marks(self) -> None:
        """Marks on parts are left out; the parts stay."""
        part = {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}}
        item = {"role": "user", "content": [part, {"type": "input_text", "text": "b"}]}
        found = sent(input=[item])["input"][0]["content"]
        self.assertEqual(
            found, [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
        )
        self.assertEqual(lost(input=[item]), ["prompt-cache-breakpoint"])


class RewrittenTests(SynchronousTestCase):
    def test_roles(self) -> None:
        """The system speaks as the developer."""
        found = sent(input=[{"role": "system", "content": "s"}, USER])["input"]
        self.assertEqual(found, [{"role": "developer", "content": "s"}, USER])

    def test_unknown_items(self) -> None:
        """Items that we do not know, and odd ones, go on to the digit."""
        body = b'{"model":"m","input":[{"type":"new", "x" : 1.10}, 5, "text",null]}'
        found = fitted(body, "k", parallel=True).body
        self.assertIn(b'"input":[{"type":"new", "x" : 1.10}, 5, "text",null]', found)

    def test_web_search(self) -> None:
        """The preview of the web search is its final form here."""
        found = sent(
            tools=[{"type": "web_search_preview_2025_03_11", "x": 1}, {"type": "web_search"}],
            tool_choice={"type": "web_search_preview"},
        )
        self.assertEqual(found["tools"], [{"type": "web_search", "x": 1}, {"type": "web_search"}])
        self.assertEqual(found["tool_choice"], {"type": "web_search"})

    def test_long_names(self) -> None:
        """A long name is one short name wherever it stands, and the way back is known."""
        name = "mcp__server__" + "x" * 70
        call = {"type": "function_call", "call_id": "c", "name": name, "arguments": "{}"}
        function = {"type": "function", "name": name}
        space = {"type": "namespace", "name": "n", "tools": [function]}
        fit_ = fit(
            input=[call, {"type": "additional_tools", "tools": [function]}],
            tools=[function, space, {"type": "custom", "name": "short"}],
            tool_choice={"type": "allowed_tools", "mode": "auto", "tools": [function]},
        )
        found = json.loads(fit_.body)
        names = {
            found["input"][0]["name"],
            found["input"][1]["tools"][0]["name"],
            found["tools"][0]["name"],
            found["tools"][1]["tools"][0]["name"],
            found["tool_choice"]["tools"][0]["name"],
        }
        (short,) = names
        self.assertLessEqual(len(short), 64)
        self.assertEqual(fit_.renamed, {short: name})
        self.assertEqual(found["tools"][2]["name"], "short")

    @given(st.lists(st.text(min_size=65, max_size=90), min_size=2, unique=True))
    def test_names_stay_apart(self, names: list[str]) -> None:
        """Any two names are still two."""
        fit_ = fit(tools=[{"type": "function", "name": name} for name in names])
        self.assertEqual(sorted(fit_.renamed.values()), sorted(names))

    def test_long_ids(self) -> None:
        """A call and its result share the shortened id; others keep theirs."""
        long = "call_" + "z" * 90
        found = sent(
            input=[
                {"type": "function_call", "call_id": long, "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": long, "output": "x"},
                {"type": "function_call_output", "call_id": "a.b", "output": "x"},
            ]
        )["input"]
        self.assertLessEqual(len(found[0]["call_id"]), 64)
        self.assertEqual(found[0]["call_id"], found[1]["call_id"])
        self.assertEqual(found[2]["call_id"], "a.b")


class CompactTests(SynchronousTestCase):
    def test_compact(self) -> None:
        """No stream, nothing that is refused, and nothing else that was not there."""
        body = {"model": "m", "input": [USER], "stream": True, "temperature": 1, "x": 1}
        fit_ = fitted_compact(json.dumps(body).encode())
        self.assertEqual(
            json.loads(fit_.body), {"model": "m", "input": [USER], "x": 1, "instructions": ""}
        )
        self.assertEqual([loss.feature for loss in fit_.losses], ["temperature"])


class TotalityTests(SynchronousTestCase):
    @given(
        st.dictionaries(
            st.sampled_from(
                ["input", "tools", "tool_choice", "include", "service_tier", "stream_options"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=70),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(["type", "name", "tools", "call_id", "role", "content"]),
                        inner,
                        max_size=3,
                    )
                ),
                max_leaves=12,
            ),
        )
    )
    def test_anything(self, members: dict[str, Any]) -> None:
        """Whatever the members are, a JSON object comes out that is a stream."""
        self.assertIs(sent(**members)["stream"], True)
