"""
YAML text -> frozen Settings, strictly: every problem at once, each with its line and path.

Pure: the environment and the files with secrets come in through a `Source`. `parse` raises
`SettingsError` and nothing else, whatever the text. No text made here ever shows a secret.
"""

from aiproxy.settings.changes import check_reload, diff
from aiproxy.settings.decode import is_loopback, parse
from aiproxy.settings.model import (
    ApiKey,
    ApiType,
    BreakerSettings,
    CredentialKind,
    Home,
    LogSettings,
    Settings,
    Source,
    Timeouts,
    Upstream,
)
from aiproxy.settings.report import summary, unused

__all__ = [
    "ApiKey",
    "ApiType",
    "BreakerSettings",
    "CredentialKind",
    "Home",
    "LogSettings",
    "Settings",
    "Source",
    "Timeouts",
    "Upstream",
    "check_reload",
    "diff",
    "is_loopback",
    "parse",
    "summary",
    "unused",
]
