"""
Kiro: its conversation API at any number of endpoints, profiles, and three ways to renew a login.

An endpoint whose name has "profile" in it serves only requests that name one, one with "plain" only
those that name none, as the vendor's do. An account whose name begins with "spent" has used up its
month, one that begins with "suspended" may not call.
Source: aiproxy.wire.kiro and aiproxy.providers.kiro, and the service's errors that people reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiproxy.errors import ErrorReply
from aiproxy.simulator.sides import kiro_answer, kiro_wire
from aiproxy.simulator.sides.contract import Handler, Stage, Visit
from aiproxy.simulator.sides.oauth import Dialect, Grant, TokenService, standard_error

PROFILE: Final = "arn:aws:codewhisperer:us-east-1:123456789012:profile/SIMULATED"
REGISTRATION: Final = {"clientId": "client-1", "clientSecret": "client-secret-canary"}


def _reply(grant: Grant) -> dict[str, Any]:
    return {
        "accessToken": grant.access_token,
        "refreshToken": grant.refresh_token,
        "expiresIn": int(grant.lifetime_seconds),
    }


SOCIAL = Dialect(
    refresh_field="refreshToken",
    fields={},
    reply=lambda grant: {**_reply(grant), "profileArn": PROFILE},
    error=lambda word: {"message": f"simulated: {word}"},
    used_up=(401, "Bad credentials"),
    revoked=(401, "Bad credentials"),
)
IDC = Dialect(
    refresh_field="refreshToken",
    fields={"grantType": "refresh_token", **REGISTRATION},
    reply=_reply,
    error=standard_error,
)
EXTERNAL = Dialect(body="form", fields={"grant_type": "refresh_token", "client_id": None})


class Kiro:
    """
    logins: accounts of social logins; one called "demo" is there from the start.
    idc, external: accounts of the other two ways.
    """

    def __init__(self, stage: Stage) -> None:
        self.logins = TokenService(stage, SOCIAL)
        self.logins.log_in("demo")
        self.idc = TokenService(stage, IDC)
        self.external = TokenService(stage, EXTERNAL)
        self.routes: Mapping[tuple[str, str], Handler] = {
            ("POST", "/kiro/refreshToken"): self.logins.token,
            ("POST", "/kiro/token"): self.idc.token,
            ("POST", "/kiro/oauth2/token"): self.external.token,
            ("POST", "/kiro/ListAvailableProfiles"): self._profiles,
            ("POST", "/kiro/generateAssistantResponse"): self._generate,
            ("POST", "/kiro/<place>/generateAssistantResponse"): self._generate,
        }

    async def _generate(self, visit: Visit) -> None:
        endpoint = visit.words.get("place", "")
        document = visit.document()
        has_profile = isinstance(document.get("profileArn"), str)
        if not self._is_paid(visit):
            return
        if ("profile" in endpoint and not has_profile) or ("plain" in endpoint and has_profile):
            words = "profileArn is required" if not has_profile else "Invalid profileArn"
            _refuse(visit, ErrorReply(400, "invalid_request", words))
        else:
            await visit.call(kiro_wire)

    async def _profiles(self, visit: Visit) -> None:
        if self._is_paid(visit):
            visit.say(200, {"profiles": [{"arn": PROFILE, "profileName": "simulated"}]})

    def _is_paid(self, visit: Visit) -> bool:
        services = (self.logins, self.idc, self.external)
        accounts = [account for each in services if (account := each.bearer(visit)) is not None]
        if not accounts:
            words = "The bearer token included in the request is invalid."
            _refuse(visit, ErrorReply(403, "permission", words))
        elif accounts[0].name.startswith("spent"):
            words = "You have reached the limit of requests for this month."
            _refuse(visit, ErrorReply(402, "quota", words), "MONTHLY_REQUEST_COUNT")
        elif accounts[0].name.startswith("suspended"):
            words = "Your account is temporarily suspended"
            _refuse(visit, ErrorReply(403, "permission", words), "TEMPORARILY_SUSPENDED")
        else:
            return True
        return False


def _refuse(visit: Visit, error: ErrorReply, reason: str = "") -> None:
    """An error whose exception is named in a header, as the service does."""
    exception, _ = kiro_answer.fault_of(error.kind)
    named = {"message": error.message, **({"reason": reason} if reason else {})}
    visit.say(error.status, named, (("x-amzn-ErrorType", exception),))
