"""Configurations to test with, and where they pretend to come from."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from aiproxy.errors import SettingsError
from aiproxy.settings import ApiType, Settings, Source, Upstream, parse

API_TYPES: Mapping[str, ApiType] = {
    "anthropic": ApiType("tokens"),
    "openai": ApiType("tokens"),
    "responses": ApiType("tokens"),
    "gemini": ApiType("tokens"),
    "claudecode": ApiType("auth_files", affinity=True),
    "codex": ApiType("auth_files", affinity=True, metadata={"version": "1.2", "originator": "cli"}),
    "geminicli": ApiType("auth_files"),
    "antigravity": ApiType("auth_files"),
    "kiro": ApiType("auth_files", affinity=True),
}
AUTH_FILE_TYPES = tuple(
    name for name, api_type in API_TYPES.items() if api_type.credentials == "auth_files"
)

CANARY = "canary-0123456789"
"""A secret that must not appear in any text."""

ENVIRON = {"HOME": "/home/user", "TOKEN": "canary-from-environment", "EMPTY": ""}


def source(
    files: Mapping[str, str] | None = None,
    *,
    path: str = "config.yaml",
    environ: Mapping[str, str] | None = None,
) -> Source:
    """A world with these files and this environment, and nothing else."""
    found = files or {}

    def read_file(name: str) -> str:
        if name not in found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return found[name]

    return Source(path, ENVIRON if environ is None else environ, read_file, API_TYPES)


def load(
    text: str,
    files: Mapping[str, str] | None = None,
    *,
    path: str = "config.yaml",
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings that `text` says."""
    return parse(text, source(files, path=path, environ=environ))


def problems(
    text: str, files: Mapping[str, str] | None = None, *, environ: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """What is wrong with `text`, () when nothing is."""
    try:
        load(text, files, environ=environ)
    except SettingsError as error:
        return error.problems
    return ()


def upstream_text(lines: str = "", name: str = "a") -> str:
    """One item of `upstreams` that is complete, with more `lines`; later ones may not repeat it."""
    given = {line.partition(":")[0].strip() for line in lines.splitlines()}
    fixed = {"name": name, "base_url": "https://host.test", "token": "t"}
    whole = [f"{key}: {value}" for key, value in fixed.items() if key not in given]
    whole += [line for line in lines.splitlines() if line.strip()]
    return "  - " + "\n    ".join(whole) + "\n"


def one_upstream(lines: str = "") -> str:
    """A configuration with a single upstream."""
    return "upstreams:\n" + upstream_text(lines)


def upstream(lines: str = "", files: Mapping[str, str] | None = None) -> Upstream:
    """The upstream that these lines, and a name, URL and token where absent, describe."""
    (only,) = load(one_upstream(lines), files).upstreams
    return only


def tokens(of: Upstream) -> tuple[str, ...]:
    """Its tokens in plain text."""
    return tuple(token.reveal() for token in of.tokens)
