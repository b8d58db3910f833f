"""The configuration as this program can use it."""

from __future__ import annotations

import os
from dataclasses import replace

from aiproxy.providers import API_TYPES, PROVIDERS
from aiproxy.services import reloader
from aiproxy.settings import Settings


def read(path: str) -> Settings:
    """Raises: SettingsError."""
    return usable(reloader.load(path, os.environ, API_TYPES))


def usable(settings: Settings) -> Settings:
    """The settings without the upstreams that this version cannot speak to; a warning for each."""
    left_out = [
        upstream
        for upstream in settings.upstreams
        if upstream.enabled and upstream.api_type not in PROVIDERS
    ]
    warnings = (
        f"upstream {upstream.name}: api_type {upstream.api_type} is not supported by this "
        "version, it is left out"
        for upstream in left_out
    )
    return replace(
        settings,
        upstreams=tuple(upstream for upstream in settings.upstreams if upstream not in left_out),
        warnings=(*settings.warnings, *warnings),
    )
