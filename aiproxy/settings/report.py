"""What a configuration amounts to, for a person: the output of `--check`. No secret is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from aiproxy.settings.model import Settings, Upstream


def summary(settings: Settings, auth_files: Sequence[str] = ()) -> str:
    """
    Where it listens, its upstreams, the models they serve, what is never used, warnings.

    auth_files: a line for each, which somebody else has read.
    """
    sections = (
        ("", _listens(settings)),
        ("Upstreams", _upstreams(settings)),
        ("Auth files", auth_files),
        ("Models", _models(settings)),
        ("Never used", unused(settings)),
        ("Warnings", settings.warnings),
    )
    blocks = []
    for title, lines in sections:
        if title and lines:
            blocks.append("\n".join((f"{title}:", *(f"  {line}" for line in lines))))
        elif lines:
            blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def unused(settings: Settings) -> tuple[str, ...]:
    """What is written and has no effect, one line each."""
    return (*_disabled(settings), *_unreachable_mappings(settings), *_idle_fallbacks(settings))


def _listens(settings: Settings) -> tuple[str, ...]:
    host = f"[{settings.bind}]" if ":" in settings.bind else settings.bind
    keys = _count(len(settings.api_keys), "api-key") if settings.api_keys else "no api-key"
    place = "the socket of systemd" if settings.socket_activation else f"{host}:{settings.port}"
    return (f"Listens on {place}, {keys}",)


def _upstreams(settings: Settings) -> tuple[str, ...]:
    return tuple(
        f"{upstream.name}: {upstream.api_type}, {_host(upstream)}, weight {upstream.weight}, "
        f"{_credentials(upstream)}, {_count(len(upstream.available_models), 'model', 'any model')}"
        for upstream in _enabled(settings)
    )


def _enabled(settings: Settings) -> tuple[Upstream, ...]:
    return tuple(upstream for upstream in settings.upstreams if upstream.enabled)


def _host(upstream: Upstream) -> str:
    return urlsplit(upstream.base_url).netloc or "the vendor's host"


def _credentials(upstream: Upstream) -> str:
    if upstream.auth_files:
        return _count(len(upstream.auth_files), "auth file")
    return _count(len(upstream.tokens), "token")


def _models(settings: Settings) -> tuple[str, ...]:
    """Each model with the upstreams that serve it and what they call it."""
    enabled = _enabled(settings)
    named = {
        model: None
        for upstream in enabled
        for model in upstream.available_models or upstream.model_mappings
    }
    lines = [f"{model}: {_served_by(enabled, model)}" for model in sorted(named)]
    open_ended = [upstream.name for upstream in enabled if not upstream.available_models]
    if open_ended:
        lines.append(f"{'any other' if named else 'any'}: {', '.join(open_ended)}")
    return tuple(lines)


def _served_by(enabled: tuple[Upstream, ...], model: str) -> str:
    return ", ".join(
        upstream.name
        if upstream.mapped(model) == model
        else f"{upstream.name} (as {upstream.mapped(model)})"
        for upstream in enabled
        if upstream.serves(model)
    )


def _disabled(settings: Settings) -> Iterator[str]:
    for upstream in settings.upstreams:
        if not upstream.enabled:
            yield f"upstream {upstream.name}: disabled"


def _unreachable_mappings(settings: Settings) -> Iterator[str]:
    for upstream in _enabled(settings):
        for model in upstream.model_mappings:
            if not upstream.serves(model):
                yield (
                    f"upstream {upstream.name}: model_mappings of {model}, "
                    "which is not in its available_models"
                )


def _idle_fallbacks(settings: Settings) -> Iterator[str]:
    """
    Fallbacks that lead to no upstream.

    A model that nobody serves may still have a useful one: its calls go there at once.
    """
    enabled = _enabled(settings)
    links = settings.model_fallback
    served: dict[str, bool] = {}
    for source in links:
        trail = []
        model = source
        while model in links and model not in served:
            trail.append(model)
            model = links[model]
        useful = served.get(model, False)
        # Backwards: a link is useful when its target is served or leads on to one that is.
        for link in reversed(trail):
            target = links[link]
            useful = useful or any(upstream.serves(target) for upstream in enabled)
            served[link] = useful
        if not served[source]:
            yield f"model_fallback of {source}: no upstream serves {links[source]} or what follows"


def _count(number: int, noun: str, none: str = "") -> str:
    if not number:
        return none or f"no {noun}"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
