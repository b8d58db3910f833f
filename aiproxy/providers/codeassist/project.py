"""
Which Google Cloud project an account's calls belong to.

`loadCodeAssist` knows it for an account that has been here before; any other one must be taken on
by `onboardUser`, which takes its time: a long-running operation that is asked for until it is done.
Source: packages/core/src/code_assist/setup.ts of gemini-cli.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiproxy.errors import CredentialError
from aiproxy.messages import Headers, HttpReply, HttpRequest
from aiproxy.providers.codeassist.errors import HOUR, details_of, objects, unverified
from aiproxy.providers.contract import Pause
from aiproxy.providers.logins import text_at
from aiproxy.wire.errortext import message_of
from aiproxy.wire.jsontext import try_read, write

PROJECT_NEEDED = "set metadata project_id of the upstream to the id of a Google Cloud project"
_LEGACY_TIER = "legacy-tier"


@dataclass(frozen=True, slots=True)
class Account:
    """
    How to ask for one account's project.

    load_url, onboard_url: up to and with "/v1internal". headers: with the account's token.
    load, onboard: bodies without the tier. tier_key: under which `onboard` gets that.
    pause_seconds: between two looks at the operation, of which there are `looks`.
    """

    load_url: str
    onboard_url: str
    headers: Headers = field(repr=False)
    load: Mapping[str, Any]
    onboard: Mapping[str, Any]
    tier_key: str
    pause_seconds: float
    looks: int


def found(account: Account) -> Generator[HttpRequest | Pause, HttpReply, str]:
    """
    The project's id.

    Raises: CredentialError that says why there is none.
    """
    reply = yield _post(account, f"{account.load_url}:loadCodeAssist", account.load)
    known = _answer(reply, "loadCodeAssist")
    project = _project(known)
    if project:
        return project
    if known.get("currentTier"):
        raise CredentialError(f"this account needs a project of its own: {PROJECT_NEEDED}")
    _refuse_ineligible(known)
    return (yield from _onboarded(account, _tier(known)))


def _onboarded(account: Account, tier: str) -> Generator[HttpRequest | Pause, HttpReply, str]:
    asking = _post(
        account,
        f"{account.onboard_url}:onboardUser",
        {account.tier_key: tier, **account.onboard},
    )
    reply = yield asking
    for looks in range(account.looks + 1):
        operation = _answer(reply, "onboardUser")
        if operation.get("done") is True:
            return _result(operation, tier)
        if looks < account.looks:
            yield Pause(account.pause_seconds)
            name = text_at(operation, "name")
            reply = yield (_get(account, name) if name else asking)
    raise CredentialError("Google has not yet taken on this account; it will be asked again")


def _result(operation: Mapping[str, Any], tier: str) -> str:
    response = operation.get("response")
    project = _project(response) if isinstance(response, dict) else ""
    if project:
        return project
    error = operation.get("error")
    said = f" ({message_of(write({'error': error}), 500)})" if error else ""
    raise CredentialError(f"Google gave this account no project in {tier}{said}: {PROJECT_NEEDED}")


def _project(document: Mapping[str, Any]) -> str:
    """It is a text, or an object with an id."""
    return text_at(document, "cloudaicompanionProject") or text_at(
        document, "cloudaicompanionProject", "id"
    )


def _tier(known: Mapping[str, Any]) -> str:
    for tier in objects(known.get("allowedTiers")):
        if tier.get("isDefault") is True and text_at(tier, "id"):
            return text_at(tier, "id")
    return _LEGACY_TIER


def _refuse_ineligible(known: Mapping[str, Any]) -> None:
    """Raises: CredentialError when Google names reasons, and no tier that takes the account."""
    reasons = list(objects(known.get("ineligibleTiers")))
    for reason in reasons:
        if text_at(reason, "reasonCode") == "VALIDATION_REQUIRED":
            url = text_at(reason, "validationUrl")
            raise CredentialError(unverified(url), retry_after=HOUR)
    closed = any(text_at(reason, "reasonCode") == "UNSUPPORTED_CLIENT" for reason in reasons)
    if reasons and (closed or not any(objects(known.get("allowedTiers")))):
        words = "; ".join(_words(reason) for reason in reasons)
        raise CredentialError(f"Google does not serve this account here: {words}")


def _words(reason: Mapping[str, Any]) -> str:
    code, message = text_at(reason, "reasonCode"), text_at(reason, "reasonMessage")
    return f"{code} ({message})" if message else code or "no reason given"


def _answer(reply: HttpReply, method: str) -> Mapping[str, Any]:
    document = try_read(reply.body, dict[str, Any])
    if 200 <= reply.status < 300 and document is not None:
        return document
    reason = details_of(reply.body).reason
    if reason == "SECURITY_POLICY_VIOLATED":
        raise CredentialError(f"a security perimeter hides the project: {PROJECT_NEEDED}")
    said = f"{reply.status} {reason}".rstrip()
    raise CredentialError(f"{method} failed ({said}): {message_of(reply.body, reply.status)}")


def _post(account: Account, url: str, body: Mapping[str, Any]) -> HttpRequest:
    return HttpRequest("POST", url, account.headers, write(body))


def _get(account: Account, operation: str) -> HttpRequest:
    """operation: its name, such as "operations/a1"."""
    return HttpRequest("GET", f"{account.onboard_url}/{quote(operation)}", account.headers)
