"""
Which credential pays for the next try at an upstream.

A token list takes turns: each upstream call starts one further than the last, then goes round,
each token at most once. A token that was asked to pause is passed over until its time has come.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from aiproxy.messages import Credential
from aiproxy.redaction import Secret
from aiproxy.routing.cooldown import Cooldowns
from aiproxy.settings import Upstream


class Credentials:
    """The turns and pauses of every upstream's credentials; they outlive a reload."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._calls: dict[str, int] = {}
        self._pauses: Cooldowns[tuple[str, Secret]] = Cooldowns()

    def next_credential(
        self, upstream: Upstream, tried: Sequence[Credential] = ()
    ) -> Deferred[Credential | None]:
        """
        The credential for the next try of one upstream call; None when there is no other one.

        tried: those that this call has used already, in order; () begins a call.
        Raises: CredentialError when one that exists cannot be used.
        """
        tokens = upstream.tokens
        start = self._begin(upstream) if not tried else _after(tokens, tried[-1])
        used = {credential.secret for credential in tried}
        now = self._clock.seconds()
        for offset in range(len(tokens)):
            position = (start + offset) % len(tokens)
            token = tokens[position]
            if token in used or self._pauses.left((upstream.name, token), now) > 0:
                continue
            return succeed(Credential(f"token {position + 1} of {len(tokens)}", token))
        return succeed(None)

    def cooled(self, upstream: Upstream, credential: Credential, seconds: float) -> None:
        """The upstream asked not to see this credential for so long."""
        self._pauses.start((upstream.name, credential.secret), seconds, self._clock.seconds())

    def soonest(self, upstream: Upstream) -> float:
        """Seconds until some credential may be used; 0 when one may now or there are none."""
        if not self._pauses or not upstream.tokens:
            return 0.0
        now = self._clock.seconds()
        return min(self._pauses.left((upstream.name, token), now) for token in upstream.tokens)

    def _begin(self, upstream: Upstream) -> int:
        count = len(upstream.tokens)
        if count < 2:
            return 0
        start = self._calls.get(upstream.name, 0)
        self._calls[upstream.name] = start + 1
        return start % count


def _after(tokens: Sequence[Secret], credential: Credential) -> int:
    """Where a call goes on; the start when the list has lost that token since."""
    try:
        return (tokens.index(credential.secret) + 1) % len(tokens)
    except ValueError:
        return 0
