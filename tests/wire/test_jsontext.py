"""JSON in and out, with our errors and nothing lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest, UpstreamProtocolError
from aiproxy.wire import jsontext
from tests import strategies


class Shape(msgspec.Struct):
    """A request in small."""

    model: str | None = None
    parts: list[int] | None = None


class ReadingTests(SynchronousTestCase):
    def test_a_bad_request_names_the_field(self) -> None:
        """The message says where, for a person and as `param`."""
        error = self.assertRaises(BadRequest, jsontext.read_request, b'{"parts": [1, "x"]}', Shape)
        self.assertEqual(error.reply.param, "parts[1]")
        self.assertIn("parts[1]", error.reply.message)

    @given(st.binary(max_size=40) | st.just(b"[" * 10_000) | st.just(b'{"parts":' * 10_000))
    def test_no_other_error(self, body: bytes) -> None:
        """Whatever the bytes, each side gets its own error and never another."""
        try:
            jsontext.read_request(body, Shape)
        except BadRequest:
            self.assertRaises(UpstreamProtocolError, jsontext.read_reply, body, Shape)
            self.assertIsNone(jsontext.try_read(body, Shape))

    def test_lone_surrogates_do_not_stop_a_message(self) -> None:
        """They cannot be sent in UTF-8, so they are replaced, wherever they stand."""
        body = jsontext.write({"a\ud800": ["\udfff", Shape(model="x\ud83d")]})
        self.assertEqual(json.loads(body), {"a?": ["?", {"model": "x?", "parts": None}]})

    def test_half_a_character_is_read(self) -> None:
        """An escape without its other half is a replacement character; whole ones stay."""
        for written, text in (
            (rb"x\ud83d", "x\ufffd"),
            (rb"\uDE00x", "\ufffdx"),
            (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
            (rb"\\ud83d\ud83d", "\\ud83d\ufffd"),
        ):
            body = b'{"model": "%b"}' % written
            self.assertEqual(jsontext.read_request(body, Shape).model, text)
            self.assertEqual(jsontext.read_reply(body, Shape).model, text)
            self.assertEqual(jsontext.try_read(body.decode(), Shape), Shape(model=text))


_KEYS = st.sampled_from([b'"ab"', b'"\\u0061b"', b'"a\\u0062"', b'"b"', b'"a\\"b"', b'"\\"ab"'])
"""Of members: the same names in several spellings, and what looks like them."""

_VALUES = _KEYS | st.sampled_from([b'"m"', b'{"ab":"m"}', b'[{"ab": 1}, "ab"]', b'"x\\"ab"'])


class MemberTests(SynchronousTestCase):
    def test_read(self) -> None:
        """One member is read as it should be, or counts as absent."""
        members = {"a": msgspec.Raw(b"1"), "b": msgspec.Raw(b'"x"')}
        found = [jsontext.read_member(members, name, int) for name in ("a", "b", "c")]
        self.assertEqual(found, [1, None, None])

    def test_only_the_member_changes(self) -> None:
        """White space, order, number spelling and unknown members stay, to the digit."""
        body = b'{ "x": 1.10,\n  "model" : "a",\t"seed": 12345678901234567890, "y": "\\u00e9" }'
        changed = jsontext.with_member(body, "model", jsontext.raw("b"))
        self.assertEqual(changed, body.replace(b'"a"', b'"b"'))

    def test_a_name_that_also_stands_deeper(self) -> None:
        """Only the top-level member is meant; the values of all others stay as they are."""
        body = b'{"tools":[{"model": 1.0}],"model":"a","n":1e2}'
        changed = jsontext.with_member(body, "model", jsontext.raw("b"))
        self.assertEqual(changed, b'{"tools":[{"model": 1.0}],"model":"b","n":1e2}')

    def test_added_and_removed(self) -> None:
        """A member that was not there is appended; None takes one away."""
        self.assertEqual(jsontext.with_member(b'{"a":1}', "b", jsontext.raw(2)), b'{"a":1,"b":2}')
        self.assertEqual(jsontext.with_member(b'{"a":1,"b":2}', "a", None), b'{"b":2}')
        self.assertEqual(jsontext.with_member(b'{ "a": 1 }', "b", None), b'{ "a": 1 }')

    def test_other_spellings(self) -> None:
        """The member that a reader sees is set, however its key is spelled and how often."""
        for body in (
            b'{"a":{"model":"m"},"mod\\u0065l":"m"}',
            b'{"a":["\\"model\\":\\"m\\"", {"model" : "m"}],"\\u006D\\u006fdel":"m"}',
            b'{"model":"m","mod\\u0065l":"m"}',
            b'{"mod\\u0065l":"m","model":"m"}',
            b'{"model":"x","model":"m"}',
        ):
            changed = jsontext.with_member(body, "model", jsontext.raw("new"))
            self.assertEqual(json.loads(changed), {**json.loads(body), "model": "new"})

    @given(
        st.dictionaries(strategies.texts(), strategies.json_values(), max_size=4),
        strategies.texts(),
        st.booleans(),
    )
    def test_equal_to_setting_it_in_a_mapping(
        self, members: dict[str, object], name: str, is_there: bool
    ) -> None:
        """For any object and any name, also when key or value look like other text."""
        if is_there:
            members = {**members, name: name}
        body = json.dumps(members).encode()
        changed = json.loads(jsontext.with_member(body, name, jsontext.raw("new")))
        self.assertEqual(changed, {**members, name: "new"})
        self.assertEqual(list(changed), list({**members, name: "new"}))


class SplicedTests(SynchronousTestCase):
    """One member's text exchanged."""

    def test_where_it_stands(self) -> None:
        """At the beginning, at the end, with white space; all other bytes stay."""
        for body in (
            b'{"model":"m","n":1.0}',
            b'{"a":"\\u00e9", "model" : "m"}',
            b'{"model":\n"m"}',
            b'{"tools":[{"model":"n"}],"mo\\u0064el":"m"}',
        ):
            model = jsontext.read_request(body, dict[str, msgspec.Raw])["model"]
            changed = jsontext.spliced(body, model, b'"new"')
            self.assertEqual(changed, body.replace(b'"m"', b'"new"'))

    @given(st.lists(st.tuples(_KEYS, _VALUES), min_size=1, max_size=5))
    def test_never_another_one(self, members: list[tuple[bytes, bytes]]) -> None:
        """What is changed is the member that a reader sees, however many look like it."""
        body = b"{%b}" % b",".join(b"%b:%b" % member for member in members)
        seen = json.loads(body)
        for name, text in jsontext.read_request(body, dict[str, msgspec.Raw]).items():
            changed = jsontext.spliced(body, text, b'"new"')
            self.assertEqual(json.loads(changed or b""), {**seen, name: "new"})

    def test_of_something_else(self) -> None:
        """What was not read from the body is nowhere in it."""
        self.assertIsNone(jsontext.spliced(b'{"a":1}', jsontext.raw(1), b"2"))


class ArgumentsTests(SynchronousTestCase):
    def test_objects_pass_as_they_are(self) -> None:
        """Key order and number spelling are the model's."""
        text = '{"z": 1.0, "a": {}}'
        self.assertEqual(bytes(jsontext.arguments_object(text)), text.encode())

    def test_what_is_no_object_is_kept(self) -> None:
        """Empty text is an empty object; anything else travels under a name."""
        self.assertEqual(bytes(jsontext.arguments_object(" ")), b"{}")
        for text in ("[1]", '{"cut": ', "plain"):
            self.assertEqual(json.loads(bytes(jsontext.arguments_object(text))), {"_raw": text})


class ExtrasTests(SynchronousTestCase):
    def test_unknown_members_in_order_without_nulls(self) -> None:
        """null means absent; known members are read elsewhere."""
        body = b'{"b": 1.50, "model": "m", "a": null, "c": []}'
        extras = jsontext.extras_of("chat", body, frozenset({"model"}))
        assert extras is not None
        self.assertEqual([(k, bytes(v)) for k, v in extras.fields], [("b", b"1.50"), ("c", b"[]")])
        self.assertEqual(list(jsontext.fields_for("chat", extras)), ["b", "c"])
        self.assertEqual(jsontext.fields_for("gemini", extras), {})
        self.assertIsNone(jsontext.extras_of("chat", b'{"model": 1}', frozenset({"model"})))


class WriteMembersTests(SynchronousTestCase):
    @given(
        st.dictionaries(
            strategies.texts(),
            strategies.json_values() | st.lists(strategies.json_values(2), min_size=5, max_size=9),
        )
    )
    def test_same_bytes(self, members: dict[str, Any]) -> None:
        """An object in steps is the object in one."""
        self.assertEqual(jsontext.write_members(members), jsontext.write(members))
