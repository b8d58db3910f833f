"""Google's keys in their two spellings."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import BadRequest
from aiproxy.wire.gemini.spelling import camel_case
from tests import corpus


class SpellingTests(SynchronousTestCase):
    """snake_case becomes camelCase, and nothing else changes."""

    def test_users_own_keys(self) -> None:
        """Arguments, results and labels keep their keys, also those that look like Google's."""
        own = {"mime_type": 1, "function_call": {"will_continue": 2}}
        body = {
            "contents": [
                {
                    "parts": [
                        {"function_call": {"name": "f", "args": own}, "thought_signature": "s"},
                        {"function_response": {"name": "f", "response": own}},
                    ]
                }
            ],
            "labels": own,
        }
        self.assertEqual(
            json.loads(camel_case(json.dumps(body).encode())),
            {
                "contents": [
                    {
                        "parts": [
                            {"functionCall": {"name": "f", "args": own}, "thoughtSignature": "s"},
                            {"functionResponse": {"name": "f", "response": own}},
                        ]
                    }
                ],
                "labels": own,
            },
        )

    def test_unknown_keys(self) -> None:
        """What is not Google's as we know it keeps its spelling."""
        body = b'{"new_field":{"top_p":1},"safety_settings":[]}'
        self.assertEqual(camel_case(body), b'{"new_field":{"top_p":1},"safetySettings":[]}')

    def test_camel_case_is_left_alone(self) -> None:
        """Bytes without snake_case are the same bytes."""
        body = b'{ "contents": [ ],  "generationConfig": {"topP": 1.00} }'
        self.assertIs(camel_case(body), body)

    def test_recorded(self) -> None:
        """Recorded requests in snake_case are respelled once and for all."""
        for case in corpus.cases("gemini", "snake-case"):
            once = camel_case(case.request or b"")
            self.assertNotEqual(once, case.request)
            self.assertEqual(camel_case(once), once)

    def test_no_object(self) -> None:
        """What is no object is refused."""
        self.assertRaises(BadRequest, camel_case, b'["top_p": 1]')
