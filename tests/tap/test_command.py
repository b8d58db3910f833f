"""The command line."""

from __future__ import annotations

from typing import Any

from twisted.python.reflect import namedAny
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.tap.command import Options, log_observer


class OptionsTests(SynchronousTestCase):
    """What stands behind `twistd -n aiproxy`."""

    def options(self, *arguments: str, **twistd: Any) -> dict[str, Any]:
        """The options of twistd itself after these of ours."""
        parent = {"nodaemon": True, **twistd}
        options = Options()
        options.parent = parent  # type: ignore[assignment]
        options.parseOptions(list(arguments))
        return parent

    def test_observer(self) -> None:
        """Events go to our observer, which twistd finds by its name."""
        self.assertIs(namedAny(self.options()["logger"]), log_observer)

    def test_own_choice(self) -> None:
        """Whoever tells twistd where to log gets that."""
        for choice in ({"logfile": "x"}, {"syslog": True}):
            self.assertNotIn("logger", self.options(**choice))
        self.assertEqual(self.options(logger="mine")["logger"], "mine")

    def test_wrong(self) -> None:
        """Unknown options are refused."""
        self.assertRaises(UsageError, Options().parseOptions, ["--demmo"])

    def test_config(self) -> None:
        """The file is config.yaml here unless told otherwise."""
        options = Options()
        options.parseOptions([])
        self.assertEqual(options["config"], "config.yaml")
        options.parseOptions(["-c", "x.yaml"])
        self.assertEqual(options["config"], "x.yaml")
