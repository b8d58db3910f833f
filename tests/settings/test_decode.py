"""Tests of `aiproxy.settings.decode`, and of the sample configuration."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.settings import ApiKey, BreakerSettings, Timeouts, diff
from aiproxy.settings.decode import BREAKER_KEYS, LOG_KEYS, TOP_KEYS
from aiproxy.settings.reading import MAX_PROBLEMS
from aiproxy.settings.upstreams import CLIENT_TIMEOUTS, UPSTREAM_KEYS, UPSTREAM_TIMEOUTS
from tests.settings.samples import CANARY, load, one_upstream, problems, tokens

SAMPLE = Path(__file__).resolve().parents[2] / "etc" / "aiproxy" / "config.yaml"


class FindingsCase(SynchronousTestCase):
    """Assertions about whole configurations."""

    def refused(self, text: str, *expected: str) -> None:
        """These problems and no other, each by a part of its line."""
        found = problems(text)
        self.assertEqual(len(found), len(expected), found)
        for problem, part in zip(found, expected, strict=True):
            self.assertIn(part, problem)


class DocumentTests(FindingsCase):
    """The file as a whole."""

    def test_full(self) -> None:
        """T001 (ours: with api-key, since others can reach it): values as given."""
        text = "bind: 0.0.0.0\nlisten: :9000\ndefault_max_tokens: 8192\napi-key: k\n"
        found = load(text + one_upstream("weight: 10"))
        self.assertEqual((found.bind, found.port), ("0.0.0.0", 9000))
        self.assertEqual((found.default_max_tokens, found.upstreams[0].weight), (8192, 10))
        self.assertEqual(found.warnings, ())

    def test_defaults(self) -> None:
        """T002, T051: an empty file is valid, and says all defaults."""
        for text in ("", "# nothing\n", "---\n", "upstreams:\nlog:\ntimeouts: ~\n"):
            found = load(text)
            self.assertEqual((found.bind, found.port, found.api_keys), ("127.0.0.1", 8080, ()))
            self.assertEqual((found.default_max_tokens, found.upstreams), (4096, ()))
            self.assertEqual(dict(found.model_fallback), {})
            self.assertEqual(found.timeouts, Timeouts(10, 60, 600, 120, 120, 10, 60))
            self.assertEqual(found.circuit_breaker, BreakerSettings(3, 1800, 15))
            self.assertEqual((found.keepalive_seconds, found.drain_timeout_seconds), (10, 30))
            self.assertEqual(found.max_request_bytes, 64 * 1024 * 1024)
            self.assertEqual(found.max_concurrent_requests, 512)
            self.assertIn("none is enabled", found.warnings[0])

    def test_no_mapping(self) -> None:
        """T050: a text or a list is no configuration, and neither is broken YAML."""
        for text in ("text", "- a", "42"):
            self.refused(text, "config.yaml:1: must be a mapping")
        self.refused("bind: 127.0.0.1\n\tlisten: 1", "config.yaml:2: not valid YAML")
        self.assertEqual(load("listen: :1\n---\nlisten: [").port, 1)

    def test_duplicates(self) -> None:
        """T048: a key that is there twice is refused at any level."""
        self.refused("listen: :1\nlisten: :1", 'config.yaml:2: "listen" is there twice')
        self.refused("log:\n  file: a\n  file: b", 'config.yaml:3: log: "file" is there twice')
        self.refused("model_fallback: {a: b, a: c}", 'model_fallback: "a" is there twice')

    def test_anchors(self) -> None:
        """T052: anchors, aliases, merge keys, a BOM; ours: `x-` keys as their place."""
        found = load(
            "\ufeffx-base: &base {base_url: https://h.test, token: &t tok, weight: 3}\n"
            "upstreams:\n  - {<<: *base, name: a, weight: 5}\n  - {<<: *base, name: *t}\n"
        )
        self.assertEqual([(u.name, u.weight) for u in found.upstreams], [("a", 5), ("tok", 3)])
        self.assertEqual(tokens(found.upstreams[1]), ("tok",))

    def test_unknown_keys(self) -> None:
        """T049 (ours: refused): with line, path and the nearest key."""
        text = "api_key: k\n" + one_upstream("wieght: 1") + "log: {compres: 1}\nzzz: 1\n"
        self.refused(
            text,
            'config.yaml:1: api_key: unknown key, did you mean "api-key"?',
            'config.yaml:6: upstreams[0].wieght: unknown key, did you mean "weight"?',
            'config.yaml:7: log.compres: unknown key, did you mean "compress"?',
            "config.yaml:8: zzz: unknown key (known: bind, listen, ",
        )

    def test_forgotten_blank(self) -> None:
        """A secret that became a key for want of a blank is not shown."""
        for text in (f"{{token:{CANARY}}}", f"api-key:{CANARY}: x", f"? 'a {CANARY}'\n: x"):
            (found,) = problems(text)
            self.assertNotIn(CANARY, found)

    def test_ignored_keys(self) -> None:
        """What the replaced program documented and never read is a warning."""
        text = "heartbeat: true\n" + one_upstream("must_stream: true\nsupports_responses: 1")
        text += "compression: x\n"
        found = load(text).warnings
        self.assertEqual(
            [re.split(r": (?=ignored)", line)[0] for line in found],
            [
                "config.yaml:1: heartbeat",
                "config.yaml:6: upstreams[0].must_stream",
                "config.yaml:7: upstreams[0].supports_responses",
                "config.yaml:8: compression",
            ],
        )

    def test_all_in_file_order(self) -> None:
        """Every problem at once, sorted by line."""
        text = "upstreams: 5\nlisten: x\nlog: [a]\ndefault_max_tokens: many\nbind: '1 2'\n"
        found = [problem.split(":")[1] for problem in problems(text)]
        self.assertEqual(found, ["1", "2", "3", "4", "5"])

    def test_too_many(self) -> None:
        """Thousands of problems end in a short list."""
        found = problems("".join(f"k{n}: 1\n" for n in range(5000)))
        self.assertEqual(len(found), MAX_PROBLEMS + 1)
        self.assertIn("more than", found[-1])


class AddressTests(FindingsCase):
    """bind and listen."""

    def test_bind(self) -> None:
        """T057: addresses of both kinds, with and without brackets, and host names."""
        for text, bind in (
            ('"::1"', "::1"),
            ('"[::1]"', "::1"),
            ("127.0.0.2", "127.0.0.2"),
            ("localhost", "localhost"),
            ("''", "127.0.0.1"),
        ):
            self.assertEqual(load(f"bind: {text}").bind, bind)
        self.assertEqual(load('bind: "::"\napi-key: k').bind, "::")
        for text in ("a b", '"127.0.0.1:80"', '"http://x"', "'[::1'"):
            self.refused(f"bind: {text}", "config.yaml:1: bind: must be an IP address")

    def test_socket_activation(self) -> None:
        """Ours: systemd's socket, whose address only the running program can see."""
        self.assertTrue(load("listen: systemd\nbind: 0.0.0.0").socket_activation)
        self.assertFalse(load("listen: ':80'").socket_activation)

    def test_listen(self) -> None:
        """T054 (ours: a bare port works): ":" and a port."""
        for text, port in (("':9'", 9), (":9", 9), ("8080", 8080), ("''", 8080), (":0", 0)):
            self.assertEqual(load(f"listen: {text}").port, port)
        for text in ("127.0.0.1:80", ":http", ":70000", ":-1", "':'", "1_0"):
            self.refused(f"listen: {text}", "config.yaml:1: listen: must be")

    def test_exposed(self) -> None:
        """Ours: an address that others can reach needs a key, or a clear word."""
        for bind in ("0.0.0.0", '"::"', "10.0.0.1", "host.test"):
            self.refused(f"bind: {bind}", "bind: reachable from other machines without api-key")
            load(f"bind: {bind}\napi-key: k")
            load(f"bind: {bind}\nallow_unauthenticated: yes")
        self.refused("bind: 0.0.0.0\napi-key: ['', ' ']", "bind: reachable")
        self.refused("bind: 0.0.0.0\napi-key: ['${NOWHERE}']", "api-key[0]: the environment")


class ApiKeyTests(FindingsCase):
    """api-key."""

    def test_forms(self) -> None:
        """T016, T018, T019: one or a list; scalars by their text; no blanks, no repetitions."""
        for text, keys in (
            ("k", "k"),
            ("[123, true, 1.5, ~, '']", "123 true 1.5"),
            ("[k1, k2, '', k3, k1]", "k1 k2 k3"),
            ("[' k ', k]", "k"),
            ("", ""),
            ("['', ' ']", ""),
        ):
            expected = tuple(ApiKey.of(key) for key in keys.split())
            self.assertEqual(load(f"api-key: {text}").api_keys, expected)

    def test_blank(self) -> None:
        """Entries that are all blank leave the door open: a warning says so."""
        self.assertIn("api-key: every entry is blank", load("api-key: ' '").warnings[0])

    def test_wrong(self) -> None:
        """T015: numbers, mappings and nested lists are no keys."""
        for text in ("123", "{a: b}", "true"):
            self.refused(f"api-key: {text}", "config.yaml:1: api-key: must be text or a list")
        self.refused("api-key: [[a]]", "config.yaml:1: api-key[0]: must be text")

    def test_digest(self) -> None:
        """sha256:HEX is the key with that digest; anything but 64 digits is refused."""
        digest = hashlib.sha256(b"k").hexdigest()
        (found,) = load(f"api-key: [sha256:{digest.upper()}, k]").api_keys
        self.assertTrue(found.matches("k"))
        for text in ("", "12", digest[:-1], digest + "0", "g" * 64):
            self.refused(f"api-key: 'sha256:{text}'", "api-key: sha256: must be followed by 64")


class NumberTests(FindingsCase):
    """Numbers at the top level."""

    def test_defaults_for_nothing(self) -> None:
        """T004: zero and less are the default, fractions are cut off."""
        for text, seconds in (("-1", 60), ("0", 60), ("1.5", 1), ("90", 90)):
            found = load(f"upstream_request_timeout: {text}\ndefault_max_tokens: {text}")
            self.assertEqual(found.timeouts.headers, seconds)
            self.assertEqual(found.default_max_tokens, 4096 if seconds == 60 else seconds)
        self.refused('upstream_request_timeout: "30"', "must be a whole number, without quotes")

    def test_headers_timeout(self) -> None:
        """timeouts.headers is upstream_request_timeout unless it is given."""
        text = "upstream_request_timeout: 5\ntimeouts: {headers: 7.5, client_body: 3}"
        found = load(text).timeouts
        self.assertEqual((found.headers, found.client_body, found.idle), (7.5, 3, 120))

    def test_log(self) -> None:
        """T055: limits below one are the default; sizes in bytes, ages in seconds."""
        text = "log: {max_size: 0, max_backups: -1, max_age: 0, compress: yes, file: ~/a.log}"
        found = load(text).log
        self.assertEqual(found.file, "/home/user/a.log")
        self.assertEqual((found.max_size_bytes, found.max_backups), (100 << 20, 3))
        self.assertEqual((found.max_age_seconds, found.compress), (28 * 86400, True))
        self.assertEqual(load("log: {file: x.log}", path="/etc/c.yaml").log.file, "/etc/x.log")

    def test_workers(self) -> None:
        """Ours: a number of processes, or one for each processor."""
        for text, workers in (("", 1), ("workers: 3", 3), ("workers: auto", 0)):
            self.assertEqual(load(text).workers, workers)
        for text in ("workers: 0", "workers: -1", "workers: many", "workers: 1000"):
            self.refused(text, "config.yaml:1: workers: must be ")

    def test_ranges(self) -> None:
        """Ours: new keys refuse what makes no sense."""
        for text in (
            "keepalive: 0",
            "keepalive: -1",
            "drain_timeout: -1",
            "drain_timeout: 1e300",
            "max_concurrent_requests: 0",
            "max_request_bytes: 10",
            "circuit_breaker: {failures: 0}",
            "circuit_breaker: {cooldown: -1}",
            "circuit_breaker: {probe_after: .inf}",
            "timeouts: {client_header: 0}",
            "upstream_request_timeout: 9000000000000000000",
        ):
            self.refused(text, ": must be ")
        self.assertEqual(load("drain_timeout: 0").drain_timeout_seconds, 0)
        self.assertEqual(load("circuit_breaker: {failures: 5}").circuit_breaker.failures, 5)


class FallbackTests(FindingsCase):
    """model_fallback."""

    def test_entries(self) -> None:
        """T045: what stands in for what."""
        self.assertEqual(
            dict(load("model_fallback: {a: b, q: b}").model_fallback), {"a": "b", "q": "b"}
        )

    def test_circles(self) -> None:
        """T046: circles of any length are refused, once each; chains that meet are fine."""
        self.refused("model_fallback: {a: b, b: a}", '["a"]: goes in a circle: a -> b -> a')
        self.refused("model_fallback: {a: a}", '["a"]: goes in a circle: a -> a')
        text = "model_fallback:\n  x: b\n  c: a\n  a: b\n  b: c\n  d: d\n"
        self.refused(text, ':3: model_fallback["c"]: goes in a circle: c -> a -> b -> c', ":6: ")
        load("model_fallback: {a: zz, q: zz, zz: y}")

    def test_blank(self) -> None:
        """T047: blank names are refused on both sides."""
        for text in ("{a: ''}", "{a: }", "{'': a}", "{' ': a}", "{a: ' '}", "{~: a}"):
            self.refused(f"model_fallback: {text}", "a model name is blank")
        self.refused("model_fallback: [a]", "model_fallback: must be a mapping")


class SampleTests(SynchronousTestCase):
    """The configuration that is shipped."""

    def setUp(self) -> None:
        self.text = SAMPLE.read_text()

    def test_loads(self) -> None:
        """As it is: no problem, no warning, and nothing but defaults."""
        found = load(self.text, path=str(SAMPLE))
        self.assertEqual(found.warnings, ())
        plain = load("upstreams:" + self.text.split("\nupstreams:")[1].split("\n# --- ")[0])
        self.assertEqual(diff(plain, found), ())
        self.assertEqual(found.bind, "127.0.0.1")

    def test_examples(self) -> None:
        """With every example switched on: no problem either, and every key is there."""
        text = re.sub(r"(?m)^( *)#(?=[a-z_-]+:)", r"\1", self.text)
        text = text.replace("enabled: false", "enabled: true")
        files = {"keys/client": "a", "keys/anthropic": "b", "keys/oauth-client": "c"}
        found = load(text, files)
        self.assertEqual(found.warnings, ())
        self.assertEqual(len(found.upstreams[0].tokens), 2)
        keys = (*TOP_KEYS, *UPSTREAM_KEYS, *LOG_KEYS, *BREAKER_KEYS)
        for key in (*keys, *UPSTREAM_TIMEOUTS, *CLIENT_TIMEOUTS):
            self.assertRegex(text, rf"(?m)^ *(- )?{key}:")
