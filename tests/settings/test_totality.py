"""Whatever a configuration says: settings or a SettingsError, and no secret in any text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import SettingsError
from aiproxy.settings import Settings, diff, summary
from aiproxy.settings.decode import BREAKER_KEYS, LOG_KEYS, TOP_KEYS
from aiproxy.settings.upstreams import UPSTREAM_KEYS
from tests.settings.samples import CANARY, load, problems

VALID = f"""\
bind: 0.0.0.0
listen: :9000
api-key: [{CANARY}, sha256:{"0" * 64}]
default_max_tokens: 8192
model_fallback: {{a: b, b: c}}
timeouts: {{idle: 5}}
upstreams:
  - name: one
    base_url: https://one.test/
    token: [{CANARY}, '${{CANARY}}']
    token_file: secrets
    weight: 10
    http_headers: {{authorization: {CANARY}}}
    model_mappings: {{a: x}}
    available_models: [a, b]
  - name: two
    api_type: codex
    auth_files: [x, ~/y]
    enabled: no
"""


def structures() -> st.SearchStrategy[Any]:
    """Anything that YAML can say, with the keys that a configuration has."""
    keys = st.sampled_from(
        [*TOP_KEYS, *UPSTREAM_KEYS, *LOG_KEYS, *BREAKER_KEYS, "x", "<<", 1, None]
    )
    scalars = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=5)
        | st.dates()
        | st.binary(max_size=3)
        | st.sampled_from(["codex", "${TOKEN}", "file:x", ":80", "http://h", "sha256:x", "~/a"])
    )
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
        max_leaves=30,
    )


def documents() -> st.SearchStrategy[Any]:
    """A configuration's outline, filled with anything."""
    whole = st.dictionaries(st.sampled_from(TOP_KEYS), structures(), max_size=8)
    entries = st.lists(
        st.dictionaries(st.sampled_from(UPSTREAM_KEYS), structures(), max_size=8), max_size=3
    )
    return st.builds(lambda top, ups: {**top, "upstreams": ups}, whole, entries) | structures()


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A valid configuration, mistyped in a few places; secrets as such stay whole."""
    lines = VALID.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        number = draw(st.integers(0, len(lines) - 1))
        column = draw(st.integers(0, len(lines[number])))
        change = draw(st.text(alphabet=":-[]{},&*!|>'\"#%@ \t~0a<", max_size=3))
        how = draw(st.sampled_from(["insert", "drop", "repeat", "indent", "swap"]))
        line = lines[number]
        match how:
            case "insert" if CANARY not in line:
                lines[number] = line[:column] + change + line[column:]
            case "insert":
                lines[number] = line.replace(CANARY, CANARY + change)
            case "drop" if len(lines) > 1:
                del lines[number]
            case "repeat":
                lines.insert(number, line)
            case "indent":
                lines[number] = " " + line
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[number], lines[other] = lines[other], line
    return "\n".join(lines)


class TotalityTests(SynchronousTestCase):
    """Whatever the file says."""

    def outcome(self, text: str) -> Iterator[str]:
        """Every text that `text` leads to."""
        environ = {"HOME": "/home/user", "CANARY": CANARY + "-e", "TOKEN": CANARY}
        try:
            found: Settings = load(text, {"secrets": CANARY + "-f\n"}, environ=environ)
        except SettingsError as error:
            yield from error.problems
            yield str(error)
            return
        yield repr(found)
        yield summary(found)
        yield from found.warnings
        yield from diff(load(""), found)

    def test_valid(self) -> None:
        """The configuration that is damaged below is a valid one."""
        found = self.outcome(VALID)
        self.assertTrue(next(found).startswith("Settings("))
        self.assertFalse([text for text in found if CANARY in text])

    @given(st.text() | st.text(alphabet="ab:-[]{},\n &*!|>'\"#?%@~<.0\t$"))
    def test_text(self, text: str) -> None:
        """Any text is settings or a SettingsError."""
        self.assertTrue(list(self.outcome(text)))

    @given(documents())
    def test_structures(self, document: Any) -> None:
        """Any YAML is settings or a SettingsError, each problem on one line."""
        text = yaml.safe_dump(document, allow_unicode=True)
        for problem in problems(text):
            self.assertNotIn("\n", problem)

    @given(damaged())
    def test_secrets_stay_secret(self, text: str) -> None:
        """However a configuration is mistyped, no message shows a secret."""
        for shown in self.outcome(text):
            self.assertNotIn(CANARY, shown)

    def test_alias_bomb(self) -> None:
        """A small text that stands for billions of values is refused at once."""
        bomb = "x-0: &x0 {name: a}\n" + "".join(
            f"x-{n}: &x{n} [{','.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 20)
        )
        self.assertIn("values", problems(bomb + "upstreams: *x19\n")[0])
