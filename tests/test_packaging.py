"""What is installed, and what an installation needs."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path
from types import MappingProxyType
from unittest import SkipTest

from twisted.application.service import IServiceMaker, ServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import aiproxy

ROOT = Path(__file__).resolve().parents[1]


def installed() -> Distribution:
    """The installed aiproxy; SkipTest where the tests run from a bare checkout."""
    for distribution in distributions(name="aiproxy"):
        if distribution.read_text("RECORD"):
            return distribution
    raise SkipTest("aiproxy is not installed here; `make test` installs it")


def canonical(name: str) -> str:
    """A distribution's name as the package index compares it, extras cut off."""
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


def floors() -> dict[str, str]:
    """FLOORS of setup.py: distribution to oldest version."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="FLOORS")], value=value):
                table: dict[str, str] = ast.literal_eval(value)
                return {canonical(name): floor for name, floor in table.items()}
    raise LookupError("setup.py has no FLOORS")


class PluginTests(SynchronousTestCase):
    """What twistd sees."""

    def test_found(self) -> None:
        """Twistd finds exactly one `aiproxy`, without importing the program itself for it."""
        found = [p for p in getPlugins(IServiceMaker) if isinstance(p, ServiceMaker)]
        self.assertEqual([p.module for p in found if p.tapname == "aiproxy"], ["aiproxy.tap"])

    def test_no_package_of_our_own(self) -> None:
        """Our plug-in folder holds no __init__.py, which would hide Twisted's own plug-ins."""
        self.assertEqual([str(path) for path in (ROOT / "twisted").rglob("__init__.py")], [])


class InstalledTests(SynchronousTestCase):
    """What an installation holds."""

    def test_version(self) -> None:
        """The distribution carries the version that the package names."""
        self.assertEqual(installed().version, aiproxy.__version__)

    def test_files(self) -> None:
        """Every module is installed, the plug-in too, and nothing that belongs to others."""
        files = {str(file) for file in installed().files or ()}
        ours = {str(path.relative_to(ROOT)) for path in (ROOT / "aiproxy").rglob("*.py")}
        self.assertEqual(ours - files, set())
        foreign = {
            file
            for file in files - ours
            if file.endswith(".py") and file != "twisted/plugins/aiproxy_plugin.py"
        }
        self.assertEqual(foreign, set())
        self.assertIn("twisted/plugins/aiproxy_plugin.py", files)
        self.assertIn("aiproxy/py.typed", files)

    def test_python(self) -> None:
        """An interpreter that is too old is refused by the installer."""
        self.assertEqual(installed().metadata["Requires-Python"], ">=3.10")


class DependencyTests(SynchronousTestCase):
    """What an installation needs."""

    # Where a library's name differs from its package's; Twisted brings zope, Klein brings werkzeug.
    LIBRARY = MappingProxyType(
        {"yaml": "pyyaml", "OpenSSL": "pyopenssl", "zope": "twisted", "werkzeug": "klein"}
    )

    def test_declared(self) -> None:
        """Every library that aiproxy imports is declared."""
        used = {
            canonical(self.LIBRARY.get(name, name))
            for path in (ROOT / "aiproxy").rglob("*.py")
            for name in self.imported(path)
        }
        self.assertEqual(used - set(floors()), set())

    def imported(self, path: Path) -> set[str]:
        """Top-level names of the foreign packages that one module imports."""
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=aliases):
                    names.update(alias.name.partition(".")[0] for alias in aliases)
                case ast.ImportFrom(module=str(module), level=0):
                    names.add(module.partition(".")[0])
        return names - sys.stdlib_module_names - {"aiproxy"}

    def test_floors(self) -> None:
        """Each declared library has a floor in the metadata, so that an old one is replaced."""
        wanted = {f"{name}>={floor}" for name, floor in floors().items()}
        declared = {
            canonical(line.partition(">=")[0]) + ">=" + line.partition(">=")[2]
            for line in installed().requires or ()
            if "extra ==" not in line
        }
        self.assertEqual(declared, wanted)


class DebianTests(SynchronousTestCase):
    """The Debian package agrees with the program."""

    def test_version(self) -> None:
        """The newest entry of its changelog is this version."""
        first = (ROOT / "debian" / "changelog").read_text(encoding="utf-8").partition("\n")[0]
        self.assertRegex(first, rf"^aiproxy \({re.escape(aiproxy.__version__)}[-)]")

    def test_dependencies(self) -> None:
        """It depends on the same libraries as setup.py, from the same versions on."""
        control = (ROOT / "debian" / "control").read_text(encoding="utf-8")
        debian_names = {"pyyaml": "yaml", "pyopenssl": "openssl"}
        wanted = {(debian_names.get(name, name), floor) for name, floor in floors().items()}
        self.assertEqual(set(re.findall(r"python3-(\S+) \(>= ([\d.]+)\)", control)), wanted)

    def test_service(self) -> None:
        """The service reads the configuration file that the package installs."""
        unit = (ROOT / "debian" / "aiproxy.service").read_text(encoding="utf-8")
        placed = (ROOT / "debian" / "aiproxy.install").read_text(encoding="utf-8")
        [config] = re.findall(r"--config (\S+)", unit)
        folder, _, name = config.lstrip("/").rpartition("/")
        self.assertIn(f"{folder}/{name} {folder}", placed)
