"""
What geminicli and antigravity have in common as providers.

A Gemini request goes into the envelope member by member, each as it was written; only what Code
Assist would refuse is taken out or changed, and reported.
"""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorReply
from aiproxy.ir import JSON
from aiproxy.messages import Credential, Headers, HttpReply, HttpRequest, Login, header
from aiproxy.providers.codeassist import errors, project
from aiproxy.providers.codeassist import login as logins
from aiproxy.providers.contract import Call, Change, Envelope, Flow, LoginProvider, Prepared
from aiproxy.providers.conversation import conversation_key
from aiproxy.providers.outgoing import passes_as_it_is, translated, with_overrides
from aiproxy.settings import Upstream
from aiproxy.wire.contract import Encoded
from aiproxy.wire.gemini.contents_out import OPENING
from aiproxy.wire.gemini.spelling import camel_case
from aiproxy.wire.jsontext import raw, read_member, read_request, text_of, try_read, write
from aiproxy.wire.losses import Losses, feature_name

_API = "/v1internal"
_OPENING = raw({"role": "user", "parts": [{"text": OPENING}]})
_USER = raw("user")


class CodeAssistProvider(LoginProvider):
    """
    members: of a Gemini request that the API takes.
    agent: how the User-Agent of the vendor's own program begins, which passes as it is.
    always_streams: whether whole answers are asked for as streams, too.
    """

    wire = "gemini"
    members: frozenset[str]
    agent: str
    always_streams: bool

    def serves(self, call: Call) -> bool:
        return call.head.operation in ("generate", "count")

    def prepare(
        self, call: Call, model: str, upstream: Upstream, credential: Credential
    ) -> Prepared:
        losses = Losses()
        encoded = self._gemini(call, model)
        request = read_request(encoded.body, dict[str, JSON])
        stream, envelope = False, None
        if call.head.operation == "count":
            action, body = "countTokens", self._counting(model, _countable(request))
        else:
            stream = call.head.stream or self.always_streams
            action = "streamGenerateContent?alt=sse" if stream else "generateContent"
            taken = self._taken(request, losses)
            envelope = self._fit(taken, model, upstream, losses)
            account = _project(credential.login, upstream)
            body = self._wrapped(call, model, account, taken)
        accept = "text/event-stream" if stream else "application/json"
        headers = (("Accept", accept), *self._headers(call.headers, model, upstream))
        headers += _bearer(credential.secret.reveal())
        http = HttpRequest(
            "POST",
            f"{_api(self._bases(upstream)[0])}:{action}",
            with_overrides(headers, upstream.http_headers),
            write(body),
        )
        return Prepared(http, stream, _merged(encoded, losses), envelope)

    def elsewhere(self, prepared: Prepared, upstream: Upstream) -> tuple[Prepared, ...]:
        first, *others = self._bases(upstream)
        action = prepared.http.url.removeprefix(_api(first))
        return tuple(
            ir.replace(prepared, http=ir.replace(prepared.http, url=_api(base) + action))
            for base in others
        )

    def judge(self, reply: HttpReply, said: ErrorReply, now: float) -> ErrorReply:
        return errors.judged(reply, said, now)

    # ── the login ──

    def is_stale(self, login: Login, now: float) -> bool:
        return logins.is_stale(login, now)

    def renew(self, login: Login, upstream: Upstream, now: float) -> Flow:
        return logins.renewed(login, upstream, now)

    def lacks(self, login: Login, upstream: Upstream) -> bool:
        return not _project(login, upstream)

    def discover(self, login: Login, upstream: Upstream, now: float) -> Flow:
        headers = self._headers((), "", upstream) + _bearer(login.access_token.reveal())
        headers = with_overrides(headers, upstream.http_headers)
        load, onboard = (
            _api(upstream.base_url or upstream.metadata[name])
            for name in ("discovery_url", "onboarding_url")
        )
        found = yield from project.found(self._account(load, onboard, headers, upstream))
        return (Change(("project_id",), found),)

    # ── what each api_type has of its own ──

    @abstractmethod
    def _fit(
        self, request: dict[str, JSON], model: str, upstream: Upstream, losses: Losses
    ) -> Envelope:
        """Changes in `request` what the API would refuse; what takes the answers apart."""

    @abstractmethod
    def _wrapped(
        self, call: Call, model: str, account: str, request: dict[str, JSON]
    ) -> Mapping[str, Any]:
        """The envelope. account: the project's id, "" when there is none."""

    @abstractmethod
    def _counting(self, model: str, contents: list[JSON]) -> Mapping[str, Any]:
        """The body that asks how many tokens `contents` have."""

    @abstractmethod
    def _account(
        self, load_url: str, onboard_url: str, headers: Headers, upstream: Upstream
    ) -> project.Account: ...

    # ── requests ──

    def _gemini(self, call: Call, model: str) -> Encoded:
        if passes_as_it_is(call, self.wire):
            return Encoded(camel_case(call.body))
        return translated(call, self.wire, model)

    def _taken(self, request: Mapping[str, JSON], losses: Losses) -> dict[str, JSON]:
        """What of `request` the API has a place for."""
        for name in request.keys() - self.members - {"model"}:
            losses.dropped(feature_name(name))
        taken = {name: value for name, value in request.items() if name in self.members}
        if "contents" in taken:
            taken["contents"] = _begun(taken["contents"])
        return taken

    def _headers(self, passed: Headers, model: str, upstream: Upstream) -> Headers:
        agent = header(passed, "user-agent") or ""
        if not agent.startswith(self.agent):
            metadata = upstream.metadata
            agent = metadata["user_agent"].replace("{version}", metadata["version"])
            agent = agent.replace("/{model}", f"/{model}" if model else "")
        return (("Content-Type", "application/json"), ("User-Agent", agent))

    def _bases(self, upstream: Upstream) -> list[str]:
        """Where to ask, in this order. A configured base_url is meant to be the only place."""
        if upstream.base_url:
            return [upstream.base_url]
        return upstream.metadata["base_urls"].split() or [upstream.metadata["discovery_url"]]


def request_id(call: Call) -> str:
    """A UUID that is the call's, in all of its attempts."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, call.id))


def conversation(call: Call) -> str:
    """The same for all calls of one conversation; a body that cannot be read is one of its own."""
    try:
        return conversation_key(call)
    except BadRequest:
        return call.id


def _api(base: str) -> str:
    base = base.rstrip("/")
    return base if base.endswith(_API) else base + _API


def _bearer(token: str) -> Headers:
    return (("Authorization", f"Bearer {token}"),)


def _project(login: Login | None, upstream: Upstream) -> str:
    """The project that the auth file names, else the configured one."""
    known = login.details.get("project", "") if login is not None else ""
    return known or upstream.metadata["project_id"]


def _merged(encoded: Encoded, losses: Losses) -> tuple[Any, ...]:
    """No feature twice."""
    return tuple({loss.feature: loss for loss in (*encoded.losses, *losses.seen())}.values())


def _begun(contents: JSON) -> JSON:
    """
    `contents` that begin with the user, every one with its role; the very same when they are so.

    The Gemini API takes a content without a role for the user's, Code Assist refuses it.
    """
    items = try_read(contents, list[dict[str, JSON]])
    if not items:
        return contents
    begins = _role(items[0]) != "model"
    if begins and all(_role(item) for item in items):
        return contents
    whole: list[Any] = [item if _role(item) else {**item, "role": _USER} for item in items]
    return raw(whole if begins else [_OPENING, *whole])


def _role(content: Mapping[str, JSON]) -> str:
    return read_member(content, "role", str) or ""


def _countable(request: Mapping[str, JSON]) -> list[JSON]:
    """
    All that has tokens, as `contents`, which is all that Code Assist counts.

    The instructions and the tools come first, as what the user says.
    """
    inner = member(request, "generateContentRequest") or request
    contents = read_member(inner, "contents", list[JSON]) or []
    before = [*_instructions(inner)]
    if "tools" in inner:
        before.append(raw({"text": text_of(inner["tools"])}))
    return [raw({"role": "user", "parts": before}), *contents] if before else contents


def _instructions(request: Mapping[str, JSON]) -> Iterator[JSON]:
    instruction = member(request, "systemInstruction")
    yield from read_member(instruction, "parts", list[JSON]) or ()


def member(request: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """The object called `name` in `request`, empty when there is none."""
    return read_member(request, name, dict[str, JSON]) or {}
