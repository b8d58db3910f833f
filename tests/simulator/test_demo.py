"""The demo's configuration."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import simulator
from aiproxy.providers import API_TYPES, PROVIDERS
from aiproxy.providers.contract import AuthFile, LoginProvider
from aiproxy.routing.models import advertised, serving
from aiproxy.settings import Settings, Source, parse


def settings() -> Settings:
    """The demo's, for a simulator on port 9000."""
    text = simulator.DEMO_CONFIG.format(port=9000, folder="/demo")
    return parse(text, Source("demo", {}, lambda path: "", API_TYPES))


class DemoTests(SynchronousTestCase):
    """DEMO_CONFIG"""

    def test_parses(self) -> None:
        """It is accepted without a warning, on 127.0.0.1:8080 and without a key."""
        demo = settings()
        self.assertEqual(demo.warnings, ())
        self.assertEqual((demo.bind, demo.port, demo.api_keys), ("127.0.0.1", 8080, ()))

    def test_upstreams(self) -> None:
        """Every api_type is there, each at the simulator, and serves echo."""
        demo = settings()
        self.assertEqual({upstream.api_type for upstream in demo.upstreams}, set(PROVIDERS))
        for upstream in demo.upstreams:
            self.assertTrue(upstream.base_url.startswith("http://127.0.0.1:9000"))
            self.assertTrue(upstream.serves("echo"))
            self.assertEqual(upstream.mapped("echo"), "echo")

    def test_logins(self) -> None:
        """There is a file for each login, which its api_type can read."""
        named = [path for upstream in settings().upstreams for path in upstream.auth_files]
        self.assertEqual(sorted(named), sorted(f"/demo/{name}" for name in simulator.DEMO_LOGINS))
        for name, document in simulator.DEMO_LOGINS.items():
            provider = PROVIDERS[name.removesuffix(".json")]
            assert isinstance(provider, LoginProvider)
            login = provider.read_login(AuthFile(name, document, lambda _: None))
            self.assertTrue(login.refresh_token)

    def test_models(self) -> None:
        """Mapped names and a fallback can be tried; any other name is answered too."""
        demo = settings()
        listed = advertised(demo.upstreams)
        for model in ("echo", "thinking", "tool", "claude-demo", "gpt-demo", "busy"):
            self.assertIn(model, listed)
        self.assertEqual(dict(demo.model_fallback), {"busy": "echo"})
        self.assertTrue(serving(demo.upstreams, "claude-sonnet-4-5"))

    def test_site(self) -> None:
        """The module gives a site that is ready to listen."""
        self.assertIsNot(simulator.site(), simulator.site())
