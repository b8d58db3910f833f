"""
Where bytes go, and who pays: one module per api_type, or one row of `apikey` for a plain key.

`PROVIDERS` lists every api_type; `API_TYPES` is what a configuration needs to know of them.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiproxy.providers import antigravity, apikey, claudecode, codex, geminicli, kiro
from aiproxy.providers.contract import Provider
from aiproxy.settings import ApiType

PROVIDERS: Mapping[str, Provider] = {
    provider.api_type: provider
    for provider in (
        *apikey.ROWS,
        codex.CODEX,
        claudecode.CLAUDECODE,
        geminicli.GEMINICLI,
        antigravity.ANTIGRAVITY,
        kiro.KIRO,
    )
}

API_TYPES: Mapping[str, ApiType] = {name: provider.settings for name, provider in PROVIDERS.items()}
