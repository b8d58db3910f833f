"""
Chooses the upstream of each attempt and learns from how it ends.

Every public method is synchronous, so that a choice is atomic: the caller may wait between a
pick and its report, and the configuration may change meanwhile. A report about an upstream that
is gone or is another machine by now is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from aiproxy.errors import ErrorReply, NoUpstream
from aiproxy.messages import Value
from aiproxy.routing import models
from aiproxy.routing.breaker import Breaker, OpenPair, Probe, identity
from aiproxy.routing.budget import RetryBudget
from aiproxy.routing.cooldown import Cooldowns
from aiproxy.routing.faults import NOT_FOUND, Fault
from aiproxy.routing.news import News
from aiproxy.routing.retryafter import MAX_SECONDS
from aiproxy.routing.roundrobin import MAX_MODEL_CHARACTERS, SmoothRoundRobin
from aiproxy.services.credentials import Credentials
from aiproxy.settings import Settings, Upstream

_MAX_MODELS = 1024


class Pick(Value, frozen=True):
    """
    One attempt's upstream. Report it once: succeeded, failed or released.

    model: the client model of this hop, not the mapped one.
    probe: set when the attempt tries out an upstream whose breaker is open.
    """

    upstream: Upstream
    model: str
    probe: Probe | None = None


def _weights(upstreams: Iterable[Upstream]) -> dict[str, int]:
    return {upstream.name: upstream.weight for upstream in upstreams}


def _nobody(news: News) -> None:
    """There are no other processes."""


class Balancer(Service):
    """
    Round-robin, breaker and pauses over the upstreams of the current settings.

    credentials: tells which upstreams have no credential that may be used now.
    tell: lets other processes know what was found out here; `hear` takes what they found.
    """

    log = Logger()

    def __init__(self, settings: Settings, credentials: Credentials, clock: IReactorTime) -> None:
        self._clock = clock
        self._credentials = credentials
        self._settings = settings
        self._upstreams = {u.name: u for u in settings.upstreams if u.enabled}
        self._servers: dict[str, tuple[Upstream, ...]] = {}
        self._turns = SmoothRoundRobin(_weights(self._upstreams.values()))
        self._breaker = Breaker(settings.circuit_breaker, self._upstreams.values())
        self._pauses: Cooldowns[tuple[str, str]] = Cooldowns()
        self._budget = RetryBudget()
        self.tell: Callable[[News], None] = _nobody

    def apply(self, settings: Settings) -> None:
        """Follow a new configuration; what is known of unchanged upstreams stays."""
        before = self._upstreams
        self._settings = settings
        self._upstreams = {u.name: u for u in settings.upstreams if u.enabled}
        self._servers.clear()
        self._turns.replace(_weights(self._upstreams.values()))
        self._breaker.adopt(settings.circuit_breaker, self._upstreams.values())
        self._budget.keep(self._upstreams)
        self._pauses.keep(lambda pair: self._is_current(before[pair[0]]))

    def pick(self, model: str, tried: Collection[str] = ()) -> Pick | None:
        """
        The next upstream for `model`, or None when no other one can be asked now.

        tried: names that this call has asked for this model already.
        """
        now = self._clock.seconds()
        allows = self._breaker.allows
        eligible = [
            upstream.name
            for upstream in self._serving(model)
            if allows(upstream.name, model, now) and self._rest(upstream, model, now) <= 0
        ]
        name = self._turns.pick(model, eligible, tried)
        if name is None:
            return None
        return Pick(self._upstreams[name], model, self._breaker.begin(name, model, now))

    def _serving(self, model: str) -> tuple[Upstream, ...]:
        """The upstreams that may be asked for `model` at all."""
        serving = self._servers.get(model)
        if serving is None:
            serving = tuple(models.serving(self._upstreams.values(), model))
            # Clients may make up names; to begin anew costs less than to keep an order.
            if len(self._servers) >= _MAX_MODELS:
                self._servers.clear()
            if len(model) <= MAX_MODEL_CHARACTERS:
                self._servers[model] = serving
        return serving

    def succeeded(self, pick: Pick) -> None:
        """The attempt was answered, terminal event included."""
        if not self._is_current(pick.upstream):
            return
        if self._breaker.succeeded(pick.upstream.name, pick.model):
            self.tell(News("closed", pick.upstream.name, pick.model))

    def failed(self, pick: Pick, fault: Fault, retry_after: float | None = None) -> None:
        """
        The attempt failed with all its credentials; counts once if the fault counts at all.

        retry_after: seconds after which the upstream may be asked again, when it said so.
        """
        name, model = pick.upstream.name, pick.model
        if not self._is_current(pick.upstream):
            return
        now = self._clock.seconds()
        if retry_after:
            self._pause(pick, retry_after)
        limits = self._settings.circuit_breaker
        if not fault.counted(retry_after, limits.cooldown_seconds):
            self.released(pick)
        elif self._breaker.failed(name, model, now, pick.probe, fault.name):
            self.log.warn(  # noqa: G010 (Twisted's name)
                "breaker of {upstream}/{model} opened after {failures} failures, last: {fault}",
                upstream=name,
                model=model,
                failures=limits.failures,
                fault=fault.name,
            )
            self.tell(News("opened", name, model, reason=fault.name))

    def second_chance(self, pick: Pick, fault: Fault, reply: ErrorReply) -> float | None:
        """
        Seconds to wait until the same call may try this upstream once more, None for never.

        Call it when no other upstream is left, instead of a report; meanwhile the upstream rests.
        """
        wait = fault.patience(reply)
        now = self._clock.seconds()
        if wait is None or not self._budget.spend(pick.upstream.name, now):
            return None
        if wait and self._is_current(pick.upstream):
            self._pause(pick, wait)
        return wait

    def hear(self, news: News) -> None:
        """Another process with the same configuration has found this out."""
        if news.upstream not in self._upstreams or len(news.model) > MAX_MODEL_CHARACTERS:
            return
        now = self._clock.seconds()
        match news.found:
            case "opened":
                self._breaker.open(news.upstream, news.model, now, news.reason)
            case "closed":
                self._breaker.succeeded(news.upstream, news.model)
                self._pauses.clear((news.upstream, news.model))
            case "paused" if news.credential:
                self._credentials.hear(self._upstreams[news.upstream], news)
            case "paused":
                self._pauses.start((news.upstream, news.model), news.seconds, now)

    def released(self, pick: Pick) -> None:
        """The attempt ended without telling anything of the upstream: the client left."""
        if pick.probe is not None:
            self._breaker.released(pick.probe)

    def why_none(self, model: str) -> NoUpstream:
        """The error for a call that found no upstream to ask at all."""
        if not self._upstreams:
            return NoUpstream("No upstream is configured.", status=503, kind="unavailable")
        serving = models.serving(self._upstreams.values(), model)
        now = self._clock.seconds()
        reasons = (self._breaker.reason(upstream.name, model, now) for upstream in serving)
        # To wait helps no client that asks for what none of them has.
        if all(reason == NOT_FOUND.name for reason in reasons):
            return NoUpstream(
                f"No upstream serves the model {model[:MAX_MODEL_CHARACTERS]!r}.",
                status=404,
                kind="model_not_found",
            )
        soonest, is_throttled = min(self._wait(upstream, model, now) for upstream in serving)
        return NoUpstream(
            f"Every upstream that serves {model[:MAX_MODEL_CHARACTERS]!r} is resting.",
            status=429 if is_throttled else 503,
            kind="rate_limit" if is_throttled else "unavailable",
            retry_after=soonest,
        )

    def unavailable(self) -> tuple[OpenPair, ...]:
        """The pairs whose breaker is open, sorted by upstream, then model."""
        return self._breaker.open_pairs(self._clock.seconds())

    def reset(self, upstream: str, model: str) -> bool:
        """Close a breaker by hand; False when it was not open."""
        if not self._breaker.reset(upstream, model):
            return False
        self._pauses.clear((upstream, model))
        self.tell(News("closed", upstream, model))
        self.log.info("breaker of {upstream}/{model} reset", upstream=upstream, model=model)
        return True

    def models(self) -> tuple[str, ...]:
        """The listed models that can be answered now: `GET /models`."""
        now = self._clock.seconds()
        return models.available(
            self._upstreams.values(),
            lambda upstream, model: self._breaker.is_closed(upstream, model, now),
        )

    def advertised_models(self) -> tuple[str, ...]:
        """Every model name meant for clients: `GET /v1/models`."""
        return models.advertised(self._upstreams.values())

    def _wait(self, upstream: Upstream, model: str, now: float) -> tuple[float, bool]:
        """Seconds until it may be asked, and whether its credentials are what it waits for."""
        credentials = self._credentials.soonest(upstream, model)
        others = max(
            self._breaker.wait(upstream.name, model, now),
            self._pauses.left((upstream.name, model), now),
        )
        return max(credentials, others), credentials > 0 and credentials >= others

    def _pause(self, pick: Pick, seconds: float) -> None:
        """A pause of its credentials is enough, and ends when one of them gets a new login."""
        name, model = pick.upstream.name, pick.model
        rests = self._credentials.soonest(pick.upstream, model) > 0
        if not rests and len(model) <= MAX_MODEL_CHARACTERS:
            seconds = min(seconds, MAX_SECONDS)
            self._pauses.start((name, model), seconds, self._clock.seconds())
            self.tell(News("paused", name, model, seconds=seconds))

    def _rest(self, upstream: Upstream, model: str, now: float) -> float:
        """Seconds for which the upstream asked not to be asked."""
        return max(
            self._pauses.left((upstream.name, model), now),
            self._credentials.soonest(upstream, model),
        )

    def _is_current(self, upstream: Upstream) -> bool:
        current = self._upstreams.get(upstream.name)
        return current is upstream or (
            current is not None and identity(current) == identity(upstream)
        )
