"""
The import table: which part of aiproxy may know which other part.

A unit is a module or package directly under `aiproxy`. UNITS lists them from the bottom up, so
an arrow to a unit further down the list runs upwards and is refused. Adding a unit means adding
a row; nothing else here names a module.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from twisted.trial.unittest import SynchronousTestCase

PACKAGE = Path(__file__).resolve().parents[1] / "aiproxy"
MAX_LINES = 400

# Every other unit may import these.
LEAVES = frozenset({"errors", "redaction"})

TWISTED = frozenset({"twisted", "zope.interface"})
REACTOR = "twisted.internet.reactor"


@dataclass(frozen=True)
class Unit:
    """
    What one unit may import.

    inside: other units, besides LEAVES.
    outside: libraries, besides the standard one; a name covers its submodules.
    pure: bytes in, bytes out: no files, no sockets, no clock, no processes.
    """

    inside: frozenset[str]
    outside: frozenset[str]
    pure: bool = False


def unit(inside: str = "", outside: str = "", *, pure: bool = False) -> Unit:
    """A row of the table, names separated by blanks."""
    return Unit(frozenset(inside.split()), frozenset(outside.split()), pure)


_SERVED = "ir codings messages settings framing wire routing providers upstream services"

UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        "redaction": unit(pure=True),
        "errors": unit("redaction", pure=True),
        "ir": unit(outside="msgspec", pure=True),
        "messages": unit(outside="msgspec", pure=True),
        "codings": unit(outside="zstandard brotli", pure=True),
        "settings": unit("messages", "yaml", pure=True),
        "framing": unit(pure=True),
        "wire": unit("framing ir", "msgspec", pure=True),
        "routing": unit("settings", pure=True),
        "providers": unit("wire framing messages settings ir", pure=True),
        "aside": unit(pure=True),
        "outcome": unit(outside="twisted.internet.defer twisted.python.failure"),
        "http1": unit(outside="twisted.internet.tcp twisted.logger twisted.web.http_headers"),
        "upstream": unit(
            "framing messages settings codings http1 aside outcome",
            "twisted zope.interface treq hyperlink httptools OpenSSL service_identity",
        ),
        "services": unit(
            "upstream providers routing messages settings codings outcome",
            "twisted zope.interface",
        ),
        # Time and Deferreds, but no sockets: those are upstream's and web's.
        "translate": unit(
            f"{_SERVED} aside outcome",
            "twisted.internet.defer twisted.internet.interfaces twisted.internet.task"
            " twisted.logger twisted.python.failure zope.interface",
        ),
        "web": unit(
            "translate services wire messages settings ir codings http1 aside outcome",
            "twisted zope.interface klein werkzeug msgspec httptools",
        ),
        "logs": unit("settings", "twisted zope.interface"),
        "simulator": unit(
            "wire framing ir codings messages", "twisted zope.interface klein werkzeug msgspec"
        ),
        "workers": unit("routing", "twisted msgspec"),
        "tap": unit(
            f"{_SERVED} aside translate web logs simulator workers", "twisted zope.interface"
        ),
    }
)

# Parts of the standard library that touch the world outside the process.
IMPURE = unit(
    outside="asyncio fcntl fileinput glob http.client http.server io.open linecache logging mmap"
    " multiprocessing os pathlib sched select selectors shutil signal socket socketserver sqlite3"
    " ssl subprocess tempfile threading time urllib.request"
).outside
# Exceptions: paths as mere text.
HARMLESS = frozenset({"pathlib.PurePath", "pathlib.PurePosixPath"})
IMPURE_CALLS = frozenset({"open", "print", "input"})
CLOCKS = frozenset({"now", "utcnow", "today"})


class Module:
    """One module of aiproxy, and all that is wrong with it."""

    def __init__(self, name: str, source: str, *, is_package: bool = False) -> None:
        """name: dotted, "aiproxy.wire.contract"; source: its text."""
        self.name = name
        self.package = name if is_package else name.rpartition(".")[0]
        self.file = name.replace(".", "/") + ("/__init__.py" if is_package else ".py")
        self.tree = ast.parse(source)
        self.unit = name.split(".")[1] if "." in name else ""
        self.title = self.unit or "aiproxy/__init__.py"

    def violations(self) -> Iterator[str]:
        """One line each: file:line, what was found, which rule it breaks."""
        if self.unit and self.unit not in UNITS:
            yield f"{self.file}:1: {self.unit} is in no row of UNITS in tests/test_layers.py"
            return
        rules = UNITS.get(self.unit, Unit(frozenset(), frozenset(), pure=True))
        for line, name in self.imports():
            if broken := self._import_rule(name, rules):
                yield f"{self.file}:{line}: imports {name}: {broken}"
        for node in ast.walk(self.tree):
            if broken := self._code_rule(node, rules):
                yield f"{self.file}:{getattr(node, 'lineno', 1)}: {broken}"

    def imports(self) -> Iterator[tuple[int, str]]:
        """Line and full dotted name of everything imported, wherever it stands."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                base = self.package.split(".")[: 1 - node.level or None] if node.level else []
                origin = ".".join([*base, *filter(None, [node.module])])
                for alias in node.names:
                    yield node.lineno, f"{origin}.{alias.name}"

    def _import_rule(self, name: str, rules: Unit) -> str:
        """The rule that importing this breaks, "" when it breaks none."""
        parts = name.split(".")
        if parts[0] == "aiproxy":
            return self._inside_rule(parts[1] if len(parts) > 1 else "", rules)
        if _under(name, {REACTOR}) and self.unit != "tap":
            return "only tap imports the reactor"
        if parts[0] in sys.stdlib_module_names:
            if rules.pure and _under(name, IMPURE) and not _under(name, HARMLESS):
                return f"{self.title} is pure: no files, no sockets, no clock"
            return ""
        if _under(name, rules.outside):
            return ""
        allowed = ", ".join(["the standard library", *sorted(rules.outside)])
        return f"outside aiproxy, {self.title} may import {allowed}"

    def _inside_rule(self, target: str, rules: Unit) -> str:
        allowed = rules.inside if self.unit in LEAVES else rules.inside | LEAVES
        if target in allowed or target in {"", "__version__", self.unit}:
            return ""
        if target not in UNITS:
            return f"{target} is in no row of UNITS in tests/test_layers.py"
        return f"{self.title} may import {', '.join(sorted(allowed)) or 'nothing of aiproxy'}"

    def _code_rule(self, node: ast.AST, rules: Unit) -> str:
        """The rule that this piece of code breaks, "" when it breaks none."""
        if self.unit != "providers" and _asks_which(node, "api_type"):
            return "asks which api_type it has: that knowledge belongs into providers"
        if self.unit == "translate" and _asks_which(node, "wire"):
            return "asks which wire it has: that knowledge belongs into the wire's own module"
        if rules.pure and isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
                return f"calls {called.id}(): {self.title} is pure"
            if (
                isinstance(called, ast.Attribute)
                and called.attr in CLOCKS
                and _last_name(called.value) in {"datetime", "date"}
            ):
                return f"reads the clock: {self.title} is pure, time is an argument"
        return ""


def _under(name: str, roots: frozenset[str] | set[str]) -> bool:
    """Whether this is one of these modules, or something inside one."""
    return any(name == root or name.startswith(root + ".") for root in roots)


def _last_name(node: ast.AST) -> str:
    """`wire` for wire, self.wire and entry["wire"]; "" for anything else."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case _:
            return ""


def _asks_which(node: ast.AST, word: str) -> bool:
    """
    Whether this branches on the value of a thing of that name: ==, !=, in (...), match.

    Asking whether two such things are the same is no such question.
    """
    if isinstance(node, ast.Match):
        return _last_name(node.subject) == word
    if not isinstance(node, ast.Compare):
        return False
    operands = [node.left, *node.comparators]
    for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
        named = [_last_name(left), _last_name(right)].count(word)
        if isinstance(operator, (ast.Eq, ast.NotEq)) and named == 1:
            return True
        listed = isinstance(right, (ast.Tuple, ast.List, ast.Set))
        if isinstance(operator, (ast.In, ast.NotIn)) and listed and _last_name(left) == word:
            return True
    return False


def found(name: str, source: str, *, is_package: bool = False) -> list[str]:
    """All violations in one module's text."""
    return list(Module(name, source, is_package=is_package).violations())


class PackageTests(SynchronousTestCase):
    """aiproxy as it is."""

    def test_imports_and_purity(self) -> None:
        """Every module keeps to its row of the table."""
        broken: list[str] = []
        for path in sorted(PACKAGE.rglob("*.py")):
            parts = ["aiproxy", *path.relative_to(PACKAGE).with_suffix("").parts]
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts)
            broken += found(name, path.read_text(encoding="utf-8"), is_package=is_package)
        self.assertEqual(broken, [], "\n" + "\n".join(broken))

    def test_length(self) -> None:
        """No module is so long that one cannot keep it in mind."""
        long = [
            f"{path.relative_to(PACKAGE.parent)}: {lines} lines, at most {MAX_LINES}"
            for path in sorted(PACKAGE.rglob("*.py"))
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
        ]
        self.assertEqual(long, [], "\n" + "\n".join(long))

    def test_table_runs_downwards(self) -> None:
        """Each row names only rows above it, so no circle of units can be allowed by mistake."""
        order = list(UNITS)
        for name, rules in UNITS.items():
            below = set(order[: order.index(name)])
            self.assertLessEqual(rules.inside, below, f"{name} looks upwards")
            if rules.pure:
                impure = [other for other in rules.inside if not UNITS[other].pure]
                self.assertEqual(impure, [], f"{name} is pure")
                self.assertFalse(rules.outside & TWISTED, f"{name} is pure")


class CheckerTests(SynchronousTestCase):
    """The checker sees what it is there to see."""

    def test_upward_import(self) -> None:
        """An import that runs upwards is named with file, line, import and rule."""
        [line] = found("aiproxy.wire.chat", "import re\nfrom aiproxy.services import balancer\n")
        self.assertEqual(
            line,
            "aiproxy/wire/chat.py:2: imports aiproxy.services.balancer: "
            "wire may import errors, framing, ir, redaction",
        )

    def test_every_spelling_of_an_import(self) -> None:
        """Plain, from, relative, aliased and local imports are all seen."""
        for source in (
            "import aiproxy.web.root",
            "from aiproxy import web",
            "from aiproxy.web import root as r",
            "from ..web import root",
            "from .. import web",
            "def f():\n    from aiproxy.web.root import Root\n",
        ):
            self.assertEqual(len(found("aiproxy.wire.chat", source)), 1, source)
        self.assertEqual(len(found("aiproxy.wire", "from .. import web", is_package=True)), 1)
        self.assertEqual(len(found("aiproxy", "from .errors import X", is_package=True)), 0)

    def test_allowed(self) -> None:
        """What the table allows passes: leaves, the own unit, rows below, listed libraries."""
        source = (
            "import msgspec\nfrom aiproxy import ir\nfrom aiproxy.errors import BadRequest\n"
            "from aiproxy.redaction import Secret\nfrom . import contract\n"
        )
        self.assertEqual(found("aiproxy.wire.chat", source), [])
        self.assertEqual(found("aiproxy.tap", "from twisted.internet import reactor"), [])
        self.assertEqual(found("aiproxy.errors", "from aiproxy.redaction import Secret"), [])

    def test_libraries(self) -> None:
        """A library that the row does not list is refused, Twisted in a pure unit first of all."""
        self.assertEqual(len(found("aiproxy.routing.breaker", "import twisted.logger")), 1)
        self.assertEqual(len(found("aiproxy.settings", "import msgspec")), 1)
        self.assertEqual(len(found("aiproxy.services.drain", "import treq")), 1)
        self.assertEqual(len(found("aiproxy.translate", "from twisted.web import client")), 1)

    def test_reactor(self) -> None:
        """The reactor is tap's alone."""
        for source in ("from twisted.internet import reactor", f"import {REACTOR} as r"):
            [line] = found("aiproxy.services.drain", source)
            self.assertIn("only tap imports the reactor", line)

    def test_purity(self) -> None:
        """Files, sockets, processes and clocks are refused in a pure unit, and only there."""
        for source in (
            "import os.path",
            "from os import path",
            "from pathlib import Path",
            "import time",
            "from time import monotonic",
            "import socket",
            "open('x')",
            "from datetime import datetime\ndatetime.now()",
            "import datetime\ndatetime.datetime.now(datetime.timezone.utc)",
        ):
            self.assertEqual(len(found("aiproxy.routing.breaker", source)), 1, source)
            self.assertEqual(found("aiproxy.services.drain", source), [], source)
        for source in ("from pathlib import PurePosixPath", "from datetime import timedelta"):
            self.assertEqual(found("aiproxy.routing.breaker", source), [], source)

    def test_unknown_unit(self) -> None:
        """A module in no row, and an import of one, each say what to do about it."""
        [line] = found("aiproxy.gadgets.one", "import os")
        self.assertIn("gadgets is in no row of UNITS in tests/test_layers.py", line)
        [line] = found("aiproxy.services.drain", "from aiproxy import gadgets")
        self.assertIn("gadgets is in no row of UNITS", line)

    def test_api_type(self) -> None:
        """Branching on an api_type is for providers only; looking one up is for everyone."""
        for source in (
            "if upstream.api_type == 'kiro': pass",
            "x = 1 if 'kiro' != api_type else 2",
            "if entry['api_type'] in ('codex', 'kiro'): pass",
            "match upstream.api_type:\n    case 'kiro': pass\n",
        ):
            self.assertEqual(len(found("aiproxy.services.balancer", source)), 1, source)
            self.assertEqual(found("aiproxy.providers.kiro", source), [], source)
        for source in ("PROVIDERS[upstream.api_type]", "if api_type not in PROVIDERS: pass"):
            self.assertEqual(found("aiproxy.services.balancer", source), [], source)

    def test_wire(self) -> None:
        """The translator does not ask which wire it has, only whether two are one; others may."""
        source = "if call.wire == 'chat': pass"
        self.assertEqual(len(found("aiproxy.translate", source)), 1)
        self.assertEqual(len(found("aiproxy.translate.attempt", source)), 1)
        self.assertEqual(found("aiproxy.web.root", source), [])
        self.assertEqual(found("aiproxy.translate", "if call.wire == provider.wire: pass"), [])
