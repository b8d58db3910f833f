"""Which upstreams serve a model, what stands in for it, and which models are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from aiproxy.settings import Upstream


def serving(upstreams: Iterable[Upstream], model: str) -> tuple[Upstream, ...]:
    """The enabled upstreams that serve `model`, in order."""
    return tuple(upstream for upstream in upstreams if upstream.enabled and upstream.serves(model))


def fallback_chain(model: str, model_fallback: Mapping[str, str]) -> tuple[str, ...]:
    """`model` and what stands in for it, in order, each once: a cycle ends the chain."""
    if model not in model_fallback:
        return (model,)
    chain = [model]
    seen = {model}
    following = model_fallback.get(model)
    while following is not None and following not in seen:
        chain.append(following)
        seen.add(following)
        following = model_fallback.get(following)
    return tuple(chain)


def available(
    upstreams: Iterable[Upstream], is_closed: Callable[[str, str], bool]
) -> tuple[str, ...]:
    """
    What `GET /models` shows: the listed models that some upstream can answer now.

    is_closed: tells of an upstream's name and a client model whether their breaker is closed.
    Upstreams without a list add nothing; mapped names never appear. Sorted, each once.
    """
    return tuple(
        sorted(
            {
                model
                for upstream in upstreams
                if upstream.enabled
                for model in upstream.available_models
                if is_closed(upstream.name, model)
            }
        )
    )


def advertised(upstreams: Iterable[Upstream]) -> tuple[str, ...]:
    """
    What `GET /v1/models` shows: every model name that the configuration mentions to clients.

    Upstreams without a list add the client names of their mappings. A breaker changes nothing
    here: clients keep this list for long. Sorted, each once.
    """
    return tuple(
        sorted(
            {
                model
                for upstream in upstreams
                if upstream.enabled
                for model in upstream.available_models or upstream.model_mappings
            }
        )
    )
