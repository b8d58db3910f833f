"""Tests of `aiproxy.settings.upstreams`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.redaction import Secret
from tests.settings.samples import (
    AUTH_FILE_TYPES,
    CANARY,
    load,
    one_upstream,
    problems,
    tokens,
    upstream,
    upstream_text,
)


class UpstreamsCase(SynchronousTestCase):
    """Assertions about single upstreams."""

    def refused(self, lines: str, *expected: str) -> None:
        """The upstream has exactly these problems, by path and the beginning of the message."""
        found = problems(one_upstream(lines))
        self.assertEqual(len(found), len(expected), found)
        for problem, part in zip(found, expected, strict=True):
            self.assertIn(f"upstreams[0]{part}", problem)


class DefaultsTests(UpstreamsCase):
    """What is not written."""

    def test_minimal(self) -> None:
        """T002: only name, base_url and token."""
        found = upstream()
        self.assertEqual(
            (found.name, found.enabled, found.api_type, found.weight), ("a", True, "anthropic", 1)
        )
        self.assertEqual((found.base_url, found.request_compression), ("https://host.test", ""))
        self.assertEqual((found.http_headers, found.available_models), ((), ()))
        self.assertEqual((found.affinity, dict(found.model_mappings)), (False, {}))
        self.assertEqual(found.timeouts, load("").timeouts)

    def test_mixed_types(self) -> None:
        """T033: upstreams of several types side by side, in file order."""
        text = "upstreams:\n" + upstream_text(name="a")
        text += upstream_text("api_type: openai", "b")
        text += "  - {name: c, api_type: codex, auth_files: x}\n"
        text += "  - {name: d, api_type: kiro, auth_files: y}\n"
        found = load(text).upstreams
        self.assertEqual([u.api_type for u in found], ["anthropic", "openai", "codex", "kiro"])

    def test_null_item(self) -> None:
        """T053: a null item is dropped; the numbers in problems are those of the file."""
        self.assertEqual(len(load(one_upstream() + "  -\n").upstreams), 1)
        (found,) = problems("upstreams:\n  -\n  - {name: a, enabled: false, weigth: 1}\n")
        self.assertIn("upstreams[1].weigth: unknown key", found)


class WeightTests(UpstreamsCase):
    """T003."""

    def test_weight(self) -> None:
        """Numbers below one are one, fractions are cut off, null is the default."""
        for text, weight in (("0", 1), ("-4", 1), ("2.7", 2), ("10", 10), ("", 1), ("0x10", 16)):
            self.assertEqual(upstream(f"weight: {text}").weight, weight)

    def test_wrong(self) -> None:
        """Texts, quoted numbers and lists are no numbers."""
        for text in ('"5"', "heavy", "[5]", ".inf", "true"):
            self.refused(f"weight: {text}", ".weight: must be a whole number")


class NameTests(UpstreamsCase):
    """Names."""

    def test_required(self) -> None:
        """T028: no name or a blank one is refused, also of a disabled upstream."""
        for name in ("", "''", "'  '", "~"):
            self.refused(f"name: {name}", ".name: is required")
            self.refused(f"name: {name}\nenabled: false", ".name: is required")

    def test_unique(self) -> None:
        """T029: trimmed, and unique without regard to case, also among disabled ones."""
        self.assertEqual(upstream("name: ' a '").name, "a")
        for first, second in (("a", "a"), ("A", "a"), ("' A'", "'a '")):
            text = "upstreams:\n" + upstream_text(f"name: {first}")
            text += upstream_text(f"name: {second}\nenabled: no")
            (found,) = problems(text)
            self.assertIn("upstreams[1].name: the upstream on line 2 has this name", found)

    def test_literal(self) -> None:
        """T054: a text field takes what is written, whatever it looks like."""
        self.assertEqual(upstream("name: 12").name, "12")
        self.assertEqual(upstream("name: 1_0.50").name, "1_0.50")
        self.refused("name: [a]", ".name: must be text")


class TokenTests(UpstreamsCase):
    """Tokens."""

    def test_forms(self) -> None:
        """T005, T006: one text or a list in order."""
        self.assertEqual(tokens(upstream("token: sk-single")), ("sk-single",))
        self.assertEqual(tokens(upstream("token: [c, a, b]")), ("c", "a", "b"))
        self.assertEqual(upstream("token: x").tokens, (Secret("x"),))

    def test_cleaned(self) -> None:
        """T007, T008, T011 (ours: trimmed as well): blanks and repetitions are dropped."""
        self.assertEqual(tokens(upstream("token: [a, b, a]")), ("a", "b"))
        self.assertEqual(tokens(upstream("token: [x, '  ', '', ~, y]")), ("x", "y"))
        self.assertEqual(tokens(upstream("token: [' a ', a]")), ("a",))

    def test_required(self) -> None:
        """T009, T010: a token type needs one that is not blank."""
        for token in ("", "'  '", "['', ' ']", "[]"):
            self.refused(f"token: {token}", ".token: api_type anthropic needs at least one token")

    def test_wrong(self) -> None:
        """T012, T015, T017: only texts, or a list of scalars."""
        for token in ("true", "123", "1.5", "2024-01-01", "{a: b}"):
            self.refused(f"token: {token}", ".token: must be text or a list of texts")
        self.refused("token: [[a]]", ".token[0]: must be text")

    def test_yes_is_text(self) -> None:
        """As in yaml.v3, `yes` is a text where a text is wanted."""
        self.assertEqual(tokens(upstream("token: yes")), ("yes",))

    def test_unfit_for_a_header(self) -> None:
        """A token with line breaks or letters beyond ASCII is refused without showing it."""
        self.refused('token: "canary\\nx"', ".token: holds a line break")
        self.refused('token: "canarý"', ".token: holds a character")
        self.assertNotIn("canar", problems(one_upstream('token: "canary\\nx"'))[0])

    def test_block_scalar(self) -> None:
        """The line break that ends a block scalar is no part of a token."""
        self.assertEqual(tokens(upstream("token: |\n      key")), ("key",))


class AuthFileTests(UpstreamsCase):
    """Files of a vendor's login."""

    def files(self, lines: str) -> tuple[str, ...]:
        """The auth files of a codex upstream."""
        return upstream(f"api_type: codex\nbase_url:\ntoken:\nauth_files: {lines}").auth_files

    def test_forms(self) -> None:
        """T020, T021, T022, T024: one or a list, in order, without blanks and repetitions."""
        self.assertEqual(self.files("/f"), ("/f",))
        self.assertEqual(self.files("[/c, /a, /b, /a, /c]"), ("/c", "/a", "/b"))
        self.assertEqual(self.files("[/A, /a]"), ("/A", "/a"))
        self.assertEqual(self.files("['', /valid, '  ']"), ("/valid",))

    def test_same_file(self) -> None:
        """T023: two spellings of one path are one file."""
        self.assertEqual(self.files("[a.json, ./a.json]"), ("a.json",))
        self.assertEqual(self.files("[/x/../x/f, /x/f]"), ("/x/f",))

    def test_resolved(self) -> None:
        """Ours: relative paths start from the configuration's folder, ~ is the home folder."""
        text = "upstreams: [{name: a, api_type: codex, auth_files: [x/y, ~/z, '~']}]"
        (found,) = load(text, path="/etc/aiproxy/config.yaml").upstreams
        self.assertEqual(found.auth_files, ("/etc/aiproxy/x/y", "/home/user/z", "/home/user"))

    def test_required(self) -> None:
        """T025, T026, T027: each type with auth files needs one, and nothing else."""
        for api_type in AUTH_FILE_TYPES:
            for files in ("", "''", "['', ' ']"):
                self.refused(
                    f"api_type: {api_type}\nauth_files: {files}",
                    f".auth_files: api_type {api_type} needs at least one file",
                )
            text = f"upstreams: [{{name: a, api_type: {api_type}, auth_files: f}}]"
            self.assertEqual(load(text).warnings, ())

    def test_wrong(self) -> None:
        """T013: a number is no path."""
        self.refused("api_type: codex\nauth_files: 123", ".auth_files: must be text or a list")

    def test_token_ignored(self) -> None:
        """A credential of the wrong kind is no problem but is mentioned."""
        (found,) = load(one_upstream("api_type: codex\nauth_files: f")).warnings
        self.assertIn("upstreams[0].token: ignored", found)
        (found,) = load(one_upstream("auth_files: f")).warnings
        self.assertIn("upstreams[0].auth_files: ignored", found)

    def test_overrides(self) -> None:
        """base_url and token_url replace a vendor's hosts; a plain token needs no token_url."""
        found = upstream("api_type: codex\nauth_files: f\ntoken:\ntoken_url: http://127.0.0.1:1/t/")
        self.assertEqual(found.base_url, "https://host.test")
        self.assertEqual(found.token_url, "http://127.0.0.1:1/t")
        self.refused("token_url: https://x.test", ".token_url: api_type anthropic has no use")


class ApiTypeTests(UpstreamsCase):
    """api_type."""

    def test_names(self) -> None:
        """T030, T042: nothing is anthropic; names are exact; disabled ones may be anything."""
        self.assertEqual(upstream("api_type: ''").api_type, "anthropic")
        self.assertEqual(upstream("api_type: gemini").api_type, "gemini")
        self.refused("api_type: opanai", '.api_type: unknown api_type, did you mean "openai"?')
        self.refused("api_type: Anthropic", ".api_type: unknown api_type, did you mean")
        self.refused("api_type: ' '", ".api_type: unknown api_type (known: anthropic, ")
        self.assertEqual(upstream("api_type: other\nenabled: false").api_type, "other")


class BaseUrlTests(UpstreamsCase):
    """base_url."""

    def test_required(self) -> None:
        """T031: a token type needs one."""
        self.refused("base_url: ''", ".base_url: api_type anthropic needs the address")
        (url, token) = problems("upstreams: [{name: a}]")
        self.assertIn("base_url", url)
        self.assertIn("token", token)

    def test_slash(self) -> None:
        """A slash at the end, and blanks around, are no part of it."""
        self.assertEqual(upstream("base_url: ' http://h:1/x/ '").base_url, "http://h:1/x")

    def test_wrong(self) -> None:
        """Ours: what cannot be an address of a server is refused."""
        for url in (
            "host.test",
            "ftp://h",
            "https://",
            "http://h:x",
            "http://h:99999",
            "http://[h",
        ):
            self.refused(f'base_url: "{url}"', ".base_url: ")
        for url in (
            "https://user:canary@h",
            "https://h?key=canary",
            "https://h/#x",
            "https://h/a b",
        ):
            self.refused(f'base_url: "{url}"', ".base_url: ")
            self.assertNotIn("canary", problems(one_upstream(f'base_url: "{url}"'))[0])


class DisabledTests(UpstreamsCase):
    """enabled."""

    def test_words(self) -> None:
        """T034: no and off switch off, null does not, a quoted word is refused."""
        for word, enabled in (("no", False), ("off", False), ("N", False), ("", True), ("y", True)):
            self.assertIs(upstream(f"enabled: {word}").enabled, enabled)
        self.refused('enabled: "false"', ".enabled: must be true or false")
        self.refused("enabled: 0", ".enabled: must be true or false")

    def test_needs_only_a_name(self) -> None:
        """T032: a disabled upstream lacks nothing, but counts."""
        (found,) = load("upstreams: [{name: a, enabled: false}]").upstreams
        self.assertEqual((found.name, found.enabled), ("a", False))

    def test_no_secrets_needed(self) -> None:
        """Neither unset variables nor missing files matter to a disabled upstream."""
        lines = "enabled: no\ntoken: [file:nowhere, '${NOWHERE}']\nauth_files: ${NOWHERE}"
        self.assertEqual(upstream(lines).tokens, ())


class HeaderTests(UpstreamsCase):
    """http_headers."""

    def test_canonical(self) -> None:
        """T035, T036, T039: names as Go writes them, values as they are written."""
        found = upstream("http_headers: {x-custom: 1, ' authorization ': true, X-NULL: }")
        expected = (("X-Custom", "1"), ("Authorization", "true"), ("X-Null", ""))
        self.assertEqual(found.http_headers, expected)

    def test_wrong(self) -> None:
        """T037, T038: repeated, blank and impossible names are refused, also when disabled."""
        self.refused(
            "http_headers: {X-Custom: a, x-custom: b}", '.http_headers["x-custom"]: the same'
        )
        self.refused(
            "http_headers: {' ': a}\nenabled: no", '.http_headers[" "]: the key is no name'
        )
        self.refused("http_headers: {a b: c}", '.http_headers["a b"]: the key is no name')
        self.refused('http_headers: {a: "x\\r\\ny"}', '.http_headers["a"]: holds a line break')
        self.refused("http_headers: {a: [b]}", '.http_headers["a"]: must be text')

    def test_not_shown(self) -> None:
        """A header may be a credential."""
        self.assertNotIn("canary", repr(upstream("http_headers: {authorization: canary}")))


class ModelTests(UpstreamsCase):
    """available_models and model_mappings."""

    def test_models(self) -> None:
        """T014: one text or a list; names are taken as they are."""
        self.assertEqual(upstream("available_models: m").available_models, ("m",))
        self.assertEqual(upstream("available_models: [4, ' m']").available_models, ("4", " m"))
        self.refused("available_models: 123", ".available_models: must be text or a list")

    def test_mappings(self) -> None:
        """Keys and values are texts."""
        self.assertEqual(dict(upstream("model_mappings: {1: 2}").model_mappings), {"1": "2"})
        self.refused("model_mappings: [a]", ".model_mappings: must be a mapping")
        self.refused("model_mappings: {a: {b: c}}", '.model_mappings["a"]: must be text')


class CompressionTests(UpstreamsCase):
    """T043: request_compression."""

    def test_words(self) -> None:
        """Known words in any case; anything else is none, with one warning."""
        words = {"": "", "none": "", "identity": "", "'  GZIP  '": "gzip", "x-gzip": "gzip"}
        words |= {"zstd": "zstd", "X-Zstd": "zstd", "br": "br", "snappy": ""}
        for word, coding in words.items():
            found = load(one_upstream(f"request_compression: {word}"))
            self.assertEqual(found.upstreams[0].request_compression, coding)
            self.assertEqual(len(found.warnings), word == "snappy")


class OverrideTests(UpstreamsCase):
    """What an upstream takes from the top level unless it says otherwise."""

    def test_timeouts(self) -> None:
        """Single timeouts are replaced; those of clients are no matter of an upstream."""
        text = "timeouts: {idle: 5, connect: 2.5}\n" + one_upstream("timeouts: {idle: 7}")
        found = load(text).upstreams[0].timeouts
        self.assertEqual((found.idle, found.connect, found.headers), (7, 2.5, 60))
        self.refused("timeouts: {client_body: 1}", ".timeouts.client_body: unknown key")
        self.refused("timeouts: {idle: 0}", ".timeouts.idle: must be at least")
        self.refused("timeouts: {idle: -1}", ".timeouts.idle: must be at least")
        self.refused("timeouts: {idle: .nan}", ".timeouts.idle: must be a number")
        self.refused("timeouts: 5", ".timeouts: must be a mapping")

    def test_affinity(self) -> None:
        """Own word, else the top level's, else the api_type's habit."""
        self.assertIs(upstream("affinity: on").affinity, True)
        self.assertIs(load("affinity: no\n" + one_upstream()).upstreams[0].affinity, False)
        text = "affinity: no\n" + one_upstream("affinity: yes")
        self.assertIs(load(text).upstreams[0].affinity, True)
        self.assertIs(upstream("affinity:").affinity, False)
        lines = "api_type: codex\nauth_files: a.json"
        self.assertIs(upstream(lines).affinity, True)
        self.assertIs(load("affinity: no\n" + one_upstream(lines)).upstreams[0].affinity, False)

    def test_metadata(self) -> None:
        """What is configured replaces the api_type's defaults; it cannot add to them."""
        lines = "api_type: codex\nauth_files: a.json\nmetadata: "
        self.assertEqual(
            dict(upstream(lines + "{version: '2'}").metadata), {"version": "2", "originator": "cli"}
        )
        self.refused(
            lines + "{versoin: '2'}", '.metadata["versoin"]: api_type codex has no such metadata'
        )
        self.refused(
            "metadata: {version: '2'}",
            '.metadata["version"]: api_type anthropic has no such metadata',
        )

    def test_client_secret(self) -> None:
        """One secret, for renewals only."""
        lines = "api_type: codex\nauth_files: a.json\noauth_client_secret: "
        found = upstream(lines + CANARY).oauth_client_secret
        self.assertEqual(found.reveal(), CANARY)
        self.refused(lines + "[a, b]", ".oauth_client_secret: there can be only one")
        self.refused(
            "oauth_client_secret: x",
            ".oauth_client_secret: api_type anthropic has no use for it",
        )
