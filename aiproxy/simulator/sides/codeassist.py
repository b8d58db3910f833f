"""
Google's Code Assist, as geminicli and antigravity call it: the Gemini API in an envelope.

An account's name says what Google thinks of it: "new" has no project yet, "closed" is not served,
"unverified" must be verified first, one that begins with "spent" has used up its quota. All but the
first three have the project `project_of`. The refresh token of a login stays the same.
Source: packages/core/src/code_assist of gemini-cli (Apache-2.0), and what gateways report of
antigravity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from aiproxy import ir
from aiproxy.errors import BadRequest, ErrorKind, ErrorReply
from aiproxy.framing import sse
from aiproxy.simulator.sides.contract import Handler, Stage, Visit
from aiproxy.simulator.sides.oauth import Account, Dialect, Grant, TokenService
from aiproxy.wire import INBOUND
from aiproxy.wire.contract import EncodedReply
from aiproxy.wire.jsontext import read_request, write
from aiproxy.wire.names import derived_id

_GEMINI = INBOUND["gemini"]
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_REASONS: Mapping[ErrorKind, str] = {
    "rate_limit": "RATE_LIMIT_EXCEEDED",
    "quota": "QUOTA_EXHAUSTED",
}
_SPENT = {
    "error": {
        "code": 429,
        "message": "You have exhausted your capacity on this model.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": _INFO,
                "reason": "QUOTA_EXHAUSTED",
                "domain": "cloudcode-pa.googleapis.com",
                "metadata": {"quotaResetDelay": "1h59m30.5s"},
            }
        ],
    }
}
_WORDS: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
}


def project_of(account: str) -> str:
    return f"project-{account}"


def _reply(grant: Grant) -> dict[str, Any]:
    return {
        "access_token": grant.access_token,
        "expires_in": int(grant.lifetime_seconds),
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "token_type": "Bearer",
        "id_token": "id-canary",
    }


DIALECT = Dialect(
    body="form",
    fields={"grant_type": "refresh_token", "client_id": None, "client_secret": None},
    reply=_reply,
    rotates=False,
)


# ── what is refused ──


@dataclass(frozen=True, slots=True)
class Kind:
    """
    What one api_type's calls hold.

    envelope: all of it must be there. request: what may be inside.
    own: of that, what the Gemini API does not know.
    """

    name: str
    envelope: frozenset[str]
    request: frozenset[str]
    own: str


_BOTH = frozenset(("contents", "systemInstruction", "tools", "toolConfig", "generationConfig"))
GEMINI_CLI = Kind(
    "geminicli",
    frozenset(("model", "project", "user_prompt_id", "request")),
    _BOTH | {"cachedContent", "labels", "safetySettings", "session_id"},
    "session_id",
)
ANTIGRAVITY = Kind(
    "antigravity",
    frozenset(("model", "project", "userAgent", "requestType", "requestId", "request")),
    _BOTH | {"sessionId"},
    "sessionId",
)
_REQUEST_TYPES = ("agent", "image_gen", "web_search")
_SESSION = re.compile(r"-\d{1,19}")


def check(kind: Kind, document: Mapping[str, Any], action: str) -> None:
    """Raises: BadRequest when Google would refuse the envelope, or what is in it."""
    request = _object(document, "request")
    if action == "countTokens":
        _only(document, frozenset(("request",)), "")
        _only(request, frozenset(("model", "contents")), "request")
        return
    _only(document, kind.envelope, "")
    _only(request, kind.request, "request")
    for name in sorted(kind.envelope):
        if not document.get(name):
            raise BadRequest(f"{name}: is required", param=name)
    contents = request.get("contents") or []
    if any(content.get("role") not in ("user", "model") for content in contents):
        raise BadRequest("Please use a valid role: user, model.", param="contents")
    if contents and contents[0]["role"] != "user":
        raise BadRequest("contents: must begin with the user", param="contents")
    if kind is ANTIGRAVITY:
        _check_antigravity(document, request)


def _only(document: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    for name in document:
        if name not in names:
            at = f" at '{where}'" if where else ""
            raise BadRequest(
                f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.',
                param=name,
            )


def _check_antigravity(document: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    if document["requestType"] not in _REQUEST_TYPES:
        raise BadRequest("requestType: unknown", param="requestType")
    if not _SESSION.fullmatch(str(request.get("sessionId"))):
        raise BadRequest("sessionId: must be a negative number", param="sessionId")
    is_claude = "claude" in str(document["model"])
    if "maxOutputTokens" in _object(request, "generationConfig") and not is_claude:
        raise BadRequest("maxOutputTokens: is not supported", param="maxOutputTokens")
    functions = [
        function
        for tool in request.get("tools") or ()
        for function in tool.get("functionDeclarations") or ()
    ]
    for function in functions:
        if "parametersJsonSchema" in function:
            raise BadRequest("parametersJsonSchema: is not supported", param="tools")
        if is_claude and not _is_demanding(function.get("parameters")):
            raise BadRequest("tools: every object must require something", param="tools")
    calling = _object(_object(request, "toolConfig"), "functionCallingConfig")
    if is_claude and functions and calling.get("mode") not in ("VALIDATED", "NONE"):
        raise BadRequest("toolConfig: mode must be VALIDATED", param="toolConfig")


def _is_demanding(schema: Any) -> bool:
    """Whether there is a schema, and all of its objects require something."""
    objects = list(_objects(schema))
    return bool(objects) and all(one.get("required") for one in objects)


def _objects(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, list):
        for item in schema:
            yield from _objects(item)
    if isinstance(schema, dict):
        if str(schema.get("type")).lower() == "object":
            yield schema
        yield from _objects(list(schema.values()))


def _object(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


# ── answers ──


class _Encoder:
    """The Gemini API's events, each in its envelope."""

    def __init__(self, request: ir.Request) -> None:
        self._encoder = _GEMINI.StreamEncoder(request)
        self._frames = sse.SSEDecoder()
        self._trace = _trace(request)
        self.content_type = self._encoder.content_type
        self.losses = self._encoder.losses

    def encode(self, event: ir.Event) -> bytes:
        messages = self._frames.feed(self._encoder.encode(event))
        return b"".join(_event(_wrapped(message.data, self._trace)) for message in messages)


class _Wrapping:
    """The Gemini API, but for the envelope around answers and the reasons in errors."""

    StreamEncoder = _Encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(_GEMINI, name)

    def encode_reply(self, reply: ir.Reply, request: ir.Request | None) -> EncodedReply:
        encoded = _GEMINI.encode_reply(reply, request)
        if isinstance(reply, ErrorReply):
            return EncodedReply(encoded.status, _reasoned(reply.kind, encoded.body))
        return EncodedReply(encoded.status, _wrapped(encoded.body, _trace(request)), encoded.losses)


WRAPPING: Any = _Wrapping()


def _trace(request: ir.Request | None) -> str:
    return "" if request is None else derived_id("", request.model, len(request.turns))


def _event(data: bytes) -> bytes:
    """One event, on as many lines as there are members: Google does so, too."""
    return sse.encode(data.replace(b',"traceId":', b',\n"traceId":'))


def _wrapped(response: bytes, trace: str) -> bytes:
    """The trace stands for the response's own id. Errors are not wrapped."""
    members = read_request(response, dict[str, Any])
    if "error" in members:
        return response
    members.pop("responseId", None)
    return write({"response": members, "traceId": trace})


def _reasoned(kind: ErrorKind, body: bytes) -> bytes:
    reason = _REASONS.get(kind)
    if reason is None:
        return body
    document = read_request(body, dict[str, Any])
    others = [one for one in document["error"].get("details", ()) if one["@type"] != _INFO]
    info = {"@type": _INFO, "reason": reason, "domain": "cloudcode-pa.googleapis.com"}
    document["error"]["details"] = [info, *others]
    return write(document)


# ── the side ──


class CodeAssist:
    """
    logins: its accounts; one called "demo" is there from the start.
    looks: how often an operation is looked at before it is done.
    """

    def __init__(self, stage: Stage, kind: Kind) -> None:
        self._kind = kind
        self.logins = TokenService(stage, DIALECT)
        self.logins.log_in("demo")
        self.looks = 1
        self._onboarding: dict[str, int] = {}
        place = f"/{kind.name}"
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("POST", f"{place}/token"): self.logins.token,
            ("POST", f"{place}/v1internal:<action>"): self._called,
            ("GET", f"{place}/v1internal/operations/<name>"): self._operation,
        }

    async def _called(self, visit: Visit) -> None:
        account = self.logins.bearer(visit)
        action = visit.words["action"]
        if account is None:
            _refuse(visit, 401, "Request had invalid authentication credentials.")
        elif action == "loadCodeAssist":
            visit.say(200, self._loaded(account))
        elif action == "onboardUser":
            self._onboarding[account.name] = 0
            visit.say(200, self._state(account))
        elif action in ("generateContent", "streamGenerateContent", "countTokens"):
            await self._answer(visit, account, action)
        else:
            _refuse(visit, 404, f"there is no method {action}")

    async def _answer(self, visit: Visit, account: Account, action: str) -> None:
        document = visit.document()
        try:
            check(self._kind, document, action)
        except BadRequest as error:
            _refuse(visit, 400, error.reply.message)
            return
        if action != "countTokens" and document["project"] != self._project(account):
            _refuse(visit, 403, "The caller does not have permission")
            return
        if account.name.startswith("spent"):
            visit.say(429, _SPENT)
            return
        request = dict(_object(document, "request"))
        request.pop(self._kind.own, None)
        counted = str(request.pop("model", "models/any")).removeprefix("models/")
        model = quote(str(document.get("model", counted)), safe="")
        path = f"/v1beta/models/{model}:{action}?alt=sse"
        await visit.call(WRAPPING, write(request), path)

    def _project(self, account: Account) -> str:
        """The project of an account, "" while it has none."""
        is_new = account.name == "new" and self._onboarding.get("new", -1) < self.looks
        return "" if is_new else project_of(account.name)

    def _loaded(self, account: Account) -> dict[str, Any]:
        if account.name == "closed":
            reason = {"reasonCode": "UNSUPPORTED_CLIENT", "reasonMessage": "simulated"}
            return {"ineligibleTiers": [reason]}
        if account.name == "unverified":
            url = "https://accounts.google.com/simulated"
            return {
                "ineligibleTiers": [{"reasonCode": "VALIDATION_REQUIRED", "validationUrl": url}]
            }
        project = self._project(account)
        if not project:
            return {"allowedTiers": [{"id": "standard-tier", "isDefault": True}]}
        return {"currentTier": {"id": "standard-tier"}, "cloudaicompanionProject": project}

    async def _operation(self, visit: Visit) -> None:
        account = self.logins.bearer(visit)
        if account is None or account.name not in self._onboarding:
            _refuse(visit, 404, "there is no such operation")
            return
        self._onboarding[account.name] += 1
        visit.say(200, self._state(account))

    def _state(self, account: Account) -> dict[str, Any]:
        """Of the operation that takes an account on."""
        named = {"name": f"operations/{account.name}"}
        project = self._project(account)
        if not project:
            return {**named, "done": False}
        return {**named, "done": True, "response": {"cloudaicompanionProject": {"id": project}}}


def gemini_cli(stage: Stage) -> CodeAssist:
    return CodeAssist(stage, GEMINI_CLI)


def antigravity(stage: Stage) -> CodeAssist:
    return CodeAssist(stage, ANTIGRAVITY)


def _refuse(visit: Visit, status: int, message: str) -> None:
    error = {"code": status, "message": message, "status": _WORDS[status]}
    visit.say(status, {"error": error})
