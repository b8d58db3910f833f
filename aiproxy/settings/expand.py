"""
Texts completed from the environment, paths resolved, secrets read from files.

`${NAME}` and `${NAME:-default}`; `$${` stands for a plain `${`. What a variable or a file holds
never becomes part of a problem.
"""

from __future__ import annotations

import posixpath  # names only; nothing here touches a file
import re

from aiproxy.redaction import redact
from aiproxy.settings.model import Source
from aiproxy.settings.reading import Place, check_printable

FILE = "file:"

_REFERENCE = re.compile(
    r"\$(?:(?P<escape>\$)(?=\{)|\{(?P<name>[A-Za-z_]\w*)(?P<default>:-[^}]*)?\}|(?P<wrong>\{))",
    re.ASCII,
)


class Expander:
    """
    Reads texts for one part of the configuration.

    lenient: unset variables and unreadable files are no problem; what is disabled needs neither.
    """

    def __init__(self, source: Source, *, lenient: bool = False) -> None:
        self._source = source
        self._lenient = lenient

    def text(self, place: Place) -> str | None:
        """The text at `place`, completed; "" when absent, None when wrong."""
        raw = place.text()
        if raw is None:
            return None
        wrong = False

        def value(match: re.Match[str]) -> str:
            nonlocal wrong
            if match["escape"]:
                return "$"
            if match["wrong"]:
                wrong = True
                place.complain('a "${" that is no ${NAME} or ${NAME:-default}; write "$${" for it')
                return ""
            found = self._variable(place, match["name"], match["default"])
            wrong = wrong or found is None
            return found or ""

        # A block scalar (|) ends with a line break that nobody means.
        completed = _REFERENCE.sub(value, raw).rstrip("\r\n")
        return None if wrong else check_printable(place, completed)

    def _variable(self, place: Place, name: str, default: str | None) -> str | None:
        value = self._source.environ.get(name)
        if default is not None:
            return value or default.removeprefix(":-")
        if value is None and not self._lenient:
            place.complain(f"the environment variable {name} is not set")
            return None
        return value or ""

    def trimmed(self, place: Place) -> str | None:
        """The text at `place` without blanks around it."""
        text = self.text(place)
        return None if text is None else text.strip()

    def path(self, place: Place) -> str | None:
        """
        The path at `place`, "" when blank.

        Relative ones start from the folder of the configuration, `~` is the home folder.
        """
        text = self.text(place)
        return self._resolved(place, text) if text and text.strip() else text and ""

    def _resolved(self, place: Place, text: str) -> str | None:
        home = ""
        if text == "~" or text.startswith("~/"):
            home, text = self._source.environ.get("HOME", ""), text[2:]
            if not home:
                if not self._lenient:
                    place.complain('"~" needs the environment variable HOME')
                return None
        folder = posixpath.dirname(self._source.path)
        return check_printable(place, posixpath.normpath(posixpath.join(folder, home, text)))

    def secrets(self, place: Place) -> tuple[str, ...]:
        """The texts of a scalar-or-list, trimmed; those of the form file:PATH are read."""
        found = []
        for item in place.texts():
            text = self.trimmed(item)
            if text is not None and text.startswith(FILE):
                text = self._secret_file(item, text[len(FILE) :].strip())
            found.append(text)
        return _each_once(found)

    def secret_files(self, place: Place) -> tuple[str, ...]:
        """What the files hold that a scalar-or-list names."""
        paths = ((item, self.trimmed(item)) for item in place.texts())
        return _each_once([self._secret_file(item, path) if path else None for item, path in paths])

    def paths(self, place: Place) -> tuple[str, ...]:
        """The paths of a scalar-or-list."""
        return _each_once([self.path(item) for item in place.texts()])

    def _secret_file(self, place: Place, name: str) -> str | None:
        path = self._resolved(place, name) if name else None
        if path is None:
            if not name:
                place.complain("names no file")
            return None
        try:
            secret = self._source.read_file(path).strip()
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "it is no text file"
            if not self._lenient:
                place.complain(f"cannot read the secret file {redact(path)}: {reason}")
            return None
        if not secret and not self._lenient:
            place.complain(f"the secret file {redact(path)} is empty")
        return check_printable(place, secret)


def _each_once(texts: list[str | None]) -> tuple[str, ...]:
    """Without blanks and repetitions, in order."""
    return tuple(dict.fromkeys(text for text in texts if text))
