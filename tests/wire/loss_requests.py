"""The rows of the loss table that are about requests, group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.wire.loss_content import CONTENT, ROLES
from tests.wire.loss_options import LIMITS, OUTPUT, STATE
from tests.wire.loss_probes import Feature
from tests.wire.loss_reasoning import REASONING
from tests.wire.loss_tools import RESULTS, TOOLS

GROUPS: Mapping[str, Sequence[Feature]] = {
    "Roles and system text": ROLES,
    "Content parts": CONTENT,
    "Tools": TOOLS,
    "Tool results": RESULTS,
    "Reasoning": REASONING,
    "Sampling and limits": LIMITS,
    "Output format": OUTPUT,
    "Metadata and state": STATE,
}
