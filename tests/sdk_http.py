"""The HTTP library below an official SDK, whose transport a test can replace."""

from __future__ import annotations

import importlib
from importlib.metadata import requires
from typing import Any


def http_of(package: str) -> Any:
    """
    What `package` sends requests with: "httpx2", or its predecessor "httpx" in older versions.

    Both may be installed, one for each SDK; only a package's own requirement tells.
    """
    needed = [need for need in requires(package) or () if "extra" not in need]
    names = {name for name in ("httpx", "httpx2") if any(_is_for(name, need) for need in needed)}
    (name,) = names
    return importlib.import_module(name)


def _is_for(name: str, requirement: str) -> bool:
    rest = requirement.removeprefix(name)
    return rest != requirement and not rest[:1].isalnum()
