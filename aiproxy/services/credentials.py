"""
Which credential pays for the next try at an upstream.

A token list, and a list of auth files, take turns: each upstream call starts one further than the
last, then goes round, each at most once. One that was asked to pause is passed over until its time
has come. A conversation begins with the credential that served it last, where the upstream's
settings say so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from typing import NamedTuple, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aiproxy.errors import BadRequest, CredentialError
from aiproxy.messages import Credential
from aiproxy.outcome import forget
from aiproxy.providers.contract import Call
from aiproxy.providers.conversation import conversation_key
from aiproxy.redaction import Secret
from aiproxy.routing.affinity import Affinity
from aiproxy.routing.cooldown import Cooldowns
from aiproxy.routing.news import News
from aiproxy.routing.roundrobin import MAX_MODEL_CHARACTERS
from aiproxy.services.logins import Logins
from aiproxy.settings import Upstream

LONGEST_PAUSE_SECONDS = 6 * 3600.0
"""A used-up quota is looked at again after this, whatever its vendor said of its reset."""

Source: TypeAlias = Secret | str
"""A token, or the path of an auth file."""


class _Pause(NamedTuple):
    """What rests. model: "" for all of them."""

    upstream: str
    source: Source
    model: str


class Credentials:
    """
    The turns and pauses of every upstream's credentials; they outlive a reload.

    tell: lets other processes know of pauses; `hear` takes what they know.
    """

    log = Logger()

    def __init__(self, logins: Logins, clock: IReactorTime) -> None:
        self._logins = logins
        self._clock = clock
        self._calls: dict[str, int] = {}
        self._pauses: Cooldowns[_Pause] = Cooldowns()
        self._affinity: Affinity[tuple[str, str], Source] = Affinity()
        self.tell: Callable[[News], None] = _nobody
        logins.when_changed(self._file_changed)

    def next_credential(
        self, upstream: Upstream, call: Call, model: str, tried: Sequence[Credential] = ()
    ) -> Deferred[Credential | None]:
        """
        The credential for the next try of one upstream call; None when there is no other one.

        model: the client's. tried: those that this call has used already, in order; () begins.
        Fails with CredentialError when the only ones left cannot be used.
        """
        return Deferred.fromCoroutine(self.choose(upstream, call, model, tried))

    def renewed(self, upstream: Upstream, credential: Credential) -> Deferred[Credential | None]:
        """
        The credential anew, after the upstream did not accept it; None when there is nothing new.
        """
        return Deferred.fromCoroutine(self.renew(upstream, credential))

    def refused(self, upstream: Upstream, credential: Credential) -> None:
        """The upstream does not accept it, as new as it can be."""
        if credential.path:
            self._logins.refused(credential.path, upstream)

    def cooled(
        self, upstream: Upstream, credential: Credential, seconds: float, model: str = ""
    ) -> None:
        """The upstream asked not to see this credential for so long, with `model` or with any."""
        if len(model) > MAX_MODEL_CHARACTERS:
            return
        source = credential.path or credential.secret
        self._start(upstream, source, model, seconds)
        self.log.info(
            "{upstream}/{model}: {credential} rests for {seconds:.0f}s",
            upstream=upstream.name,
            model=model or "*",
            credential=credential.label,
            seconds=min(seconds, LONGEST_PAUSE_SECONDS),
        )
        self.tell(
            News("paused", upstream.name, model, seconds=seconds, credential=_name_of(source))
        )

    def hear(self, upstream: Upstream, news: News) -> None:
        """Another process was asked not to use a credential."""
        for source in self._sources(upstream):
            if _name_of(source) == news.credential:
                self._start(upstream, source, news.model, news.seconds)

    def soonest(self, upstream: Upstream, model: str) -> float:
        """Seconds until some credential may be used; 0 when one may now or there are none."""
        if not self._pauses:
            return 0.0
        waits = [
            self._rest(upstream, source, model)
            for source in self._sources(upstream)
            if not (isinstance(source, str) and self._logins.is_blocked(source, upstream))
        ]
        return min(waits, default=0.0)

    async def choose(
        self, upstream: Upstream, call: Call, model: str, tried: Sequence[Credential] = ()
    ) -> Credential | None:
        """`next_credential` for coroutines, which nearly always have to wait for nothing."""
        sources = self._sources(upstream)
        key = self._conversation(upstream, call) if len(sources) > 1 else None
        failure: CredentialError | None = None
        for position in self._order(upstream, sources, key, tried):
            source = sources[position]
            if self._rest(upstream, source, model) > 0:
                continue
            try:
                credential = await self._credential(upstream, sources, position)
            except CredentialError as error:
                failure = error.anew()
                forget(error)
                continue
            if key is not None:
                self._affinity.chosen(key, source)
            return credential
        if failure is not None:
            raise failure.anew()
        return None

    async def _credential(
        self, upstream: Upstream, sources: Sequence[Source], position: int
    ) -> Credential:
        source, place = sources[position], f"{position + 1} of {len(sources)}"
        if isinstance(source, Secret):
            return Credential(f"token {place}", source)
        login = await self._logins.use(source, upstream)
        label = f"auth file {place} ({os.path.basename(source)})"
        return Credential(label, login.access_token, login, source)

    async def renew(self, upstream: Upstream, credential: Credential) -> Credential | None:
        """`renewed` for coroutines."""
        if not credential.path:
            return None
        try:
            login = await self._logins.renew(credential.path, upstream, credential.secret)
        except CredentialError as error:
            # It is in the log already; the next credential is as good.
            forget(error)
            return None
        if login is None:
            self.refused(upstream, credential)
            return None
        return Credential(credential.label, login.access_token, login, credential.path)

    def _order(
        self,
        upstream: Upstream,
        sources: Sequence[Source],
        key: tuple[str, str] | None,
        tried: Sequence[Credential],
    ) -> Iterator[int]:
        """Positions to try, those of `tried` left out."""
        if len(sources) == 1 and not tried:
            return iter((0,))
        used = {credential.path or credential.secret for credential in tried}
        last = tried[-1].path or tried[-1].secret if tried else None
        start = self._begin(upstream, len(sources)) if last is None else _after(sources, last)
        order = [(start + offset) % len(sources) for offset in range(len(sources))]
        kept = self._affinity.choice(key) if key is not None else None
        order.sort(key=lambda position: sources[position] != kept)
        return (position for position in order if sources[position] not in used)

    def _conversation(self, upstream: Upstream, call: Call) -> tuple[str, str] | None:
        if not upstream.affinity:
            return None
        try:
            return upstream.name, conversation_key(call)
        except BadRequest:
            # It may pass all the same, as it is.
            return None

    def _sources(self, upstream: Upstream) -> Sequence[Source]:
        return upstream.tokens if self._logins.provider(upstream) is None else upstream.auth_files

    def _start(self, upstream: Upstream, source: Source, model: str, seconds: float) -> None:
        pause = _Pause(upstream.name, source, model)
        self._pauses.start(pause, min(seconds, LONGEST_PAUSE_SECONDS), self._clock.seconds())

    def _rest(self, upstream: Upstream, source: Source, model: str) -> float:
        if not self._pauses:
            return 0.0
        now = self._clock.seconds()
        return max(
            self._pauses.left(_Pause(upstream.name, source, ""), now),
            self._pauses.left(_Pause(upstream.name, source, model), now),
        )

    def _begin(self, upstream: Upstream, count: int) -> int:
        if count < 2:
            return 0
        start = self._calls.get(upstream.name, 0)
        self._calls[upstream.name] = start + 1
        return start % count

    def _file_changed(self, path: str) -> None:
        """A new login has its own quota."""
        self._pauses.keep(lambda pause: pause.source != path)


def _nobody(news: News) -> None:
    """There are no other processes."""


def _name_of(source: Source) -> str:
    """What other processes of the same configuration know it by; never the secret itself."""
    return source if isinstance(source, str) else sha256(source.reveal().encode()).hexdigest()


def _after(sources: Sequence[Source], last: Source) -> int:
    """Where a call goes on; the start when the list has lost that one since."""
    try:
        return (sources.index(last) + 1) % len(sources)
    except ValueError:
        return 0
