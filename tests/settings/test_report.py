"""Tests of `aiproxy.settings.report`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.settings import summary, unused
from tests.settings.samples import load, one_upstream, upstream_text


class SummaryTests(SynchronousTestCase):
    """The text of `--check`."""

    def test_whole(self) -> None:
        """Address, upstreams, models, leftovers and warnings, without secrets."""
        text = 'bind: "::1"\napi-key: canary\nheartbeat: 1\nupstreams:\n'
        text += upstream_text("token: [canary, k]\navailable_models: [m, l]\nweight: 3")
        text += upstream_text("model_mappings: {m: x}", "b")
        text += "  - {name: c, api_type: codex, auth_files: f, available_models: z}\n"
        text += "  - {name: d, enabled: no}\n"
        self.assertEqual(
            summary(load(text)),
            "Listens on [::1]:8080, 1 api-key\n\n"
            "Upstreams:\n"
            "  a: anthropic, host.test, weight 3, 2 tokens, 2 models\n"
            "  b: anthropic, host.test, weight 1, 1 token, any model\n"
            "  c: codex, the vendor's host, weight 1, 1 auth file, 1 model\n\n"
            "Models:\n"
            "  l: a, b\n"
            "  m: a, b (as x)\n"
            "  z: b, c\n"
            "  any other: b\n\n"
            "Never used:\n"
            "  upstream d: disabled\n\n"
            "Warnings:\n"
            '  config.yaml:3: heartbeat: ignored: heartbeats are sent as "keepalive" says',
        )

    def test_empty(self) -> None:
        """An empty configuration has a summary too."""
        self.assertTrue(summary(load("")).startswith("Listens on 127.0.0.1:8080, no api-key"))


class UnusedTests(SynchronousTestCase):
    """What is written in vain."""

    def test_mappings(self) -> None:
        """A mapping of a model that the upstream does not offer is never reached."""
        found = unused(load(one_upstream("available_models: [a]\nmodel_mappings: {a: b, c: d}")))
        self.assertEqual(
            found, ("upstream a: model_mappings of c, which is not in its available_models",)
        )

    def test_fallbacks(self) -> None:
        """A fallback counts when its chain comes to a model that somebody serves."""
        text = "model_fallback: {a: b, b: c, x: y, y: z, w: x}\n"
        found = unused(load(text + one_upstream("available_models: [c]")))
        self.assertEqual(
            [line.split(":")[0] for line in found], [f"model_fallback of {m}" for m in "xyw"]
        )
        self.assertEqual(unused(load(text + one_upstream())), ())
