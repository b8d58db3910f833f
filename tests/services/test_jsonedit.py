"""Single values change, everything else of a JSON text stays as it was."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.services.jsonedit import edited

TEXTS = st.text('ab"\\/{},: \n\té漢😀', max_size=5)
SCALARS = st.sampled_from([None, True, 0, -7, 2**70, 1.5, 1e-300]) | TEXTS
INNER = st.dictionaries(TEXTS, SCALARS | st.lists(SCALARS, max_size=2), max_size=3)
VALUES = SCALARS | INNER | st.dictionaries(TEXTS, INNER, max_size=2)
DOCUMENTS = st.dictionaries(TEXTS, VALUES, max_size=4)
PATHS = st.lists(TEXTS, min_size=1, max_size=3).map(tuple)
STYLES = st.sampled_from(
    [
        {"indent": 2},
        {"indent": "\t"},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"indent": 4, "separators": (" , ", " : ")},
    ]
)


class EditedTests(SynchronousTestCase):
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(DOCUMENTS, STYLES, PATHS, VALUES)
    def test_as_json(
        self, document: dict[str, Any], style: dict[str, Any], path: tuple[str, ...], value: Any
    ) -> None:
        """The result says what the document with that value would say."""
        text = json.dumps(document, **style)
        place: Any = document
        for name in path[:-1]:
            place = place.setdefault(name, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            self.assertRaises(ValueError, edited, text, [(path, value)])
            return
        place[path[-1]] = value
        changed = json.loads(edited(text, [(path, value)]))
        self.assertEqual(changed, document)
        self.assertEqual(list(changed), list(document))

    def test_bytes(self) -> None:
        """Spacing, order, numbers and unknown members stay, byte for byte."""
        for before, after in (
            ('{"a": 1.0, "t": "x",\n  "z":[ 1,2 ]}\n', '{"a": 1.0, "t": "new",\n  "z":[ 1,2 ]}\n'),
            ('{"t":"x","n":1e400}', '{"t":"new","n":1e400}'),
            ('{\n  "a": 1\n}', '{\n  "a": 1,\n  "t": "new"\n}'),
            ('{"a":1}', '{"a":1,"t":"new"}'),
            ("{}", '{"t": "new"}'),
            (" { } ", ' {"t": "new" } '),
            ('{"t": 1, "t": {"t": 2}}', '{"t": 1, "t": "new"}'),
        ):
            self.assertEqual(edited(before, [(("t",), "new")]), after)

    def test_inside(self) -> None:
        """A value in an inner object is found, and objects that are missing are made."""
        text = '{\n  "tokens": {\n    "id": "i",\n    "access": "a"\n  }\n}'
        changes = [(("tokens", "access"), "b"), (("tokens", "refresh"), "r"), (("x", "y"), None)]
        self.assertEqual(
            edited(text, changes),
            '{\n  "tokens": {\n    "id": "i",\n    "access": "b",\n    "refresh": "r"\n  },\n'
            '  "x": {"y": null}\n}',
        )

    def test_no_object(self) -> None:
        """Anything else raises ValueError."""
        for text in ("", "[]", "1", "{", '{"a"', '{"a":', '{"a":1', '{"a":1,}', "{,}", '{"a" 1}'):
            self.assertRaises(ValueError, edited, text, [(("t",), 1)])
