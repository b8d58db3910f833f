"""The configuration, with all that it may say and refer to here."""

from __future__ import annotations

import os

from aiproxy.providers import API_TYPES
from aiproxy.services import reloader
from aiproxy.settings import Settings


def read(path: str) -> Settings:
    """Raises: SettingsError."""
    return reloader.load(path, os.environ, API_TYPES)


def understood(text: str, path: str) -> Settings:
    """What the file at `path` would say with this text. Raises: SettingsError."""
    return reloader.understood(text, path, os.environ, API_TYPES)
