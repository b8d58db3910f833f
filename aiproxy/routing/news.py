"""What one process has found out about an upstream, for others that use the same one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Found: TypeAlias = Literal["opened", "closed", "paused"]


@dataclass(frozen=True, slots=True)
class News:
    """
    found: the breaker of (upstream, model) opened or closed, or somebody was asked to wait.
    reason: name of the fault that opened it. seconds: to wait from now.
    credential: who is to wait, as the credentials service names it; "" for (upstream, model).
    model: "" when a credential waits whatever the model.
    """

    found: Found
    upstream: str
    model: str
    reason: str = ""
    seconds: float = 0.0
    credential: str = ""
