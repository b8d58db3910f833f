"""
The contract of every provider that is paid by auth files.

A provider's test inherits it next to trial's TestCase:

    class CodexContractTests(ProviderContract, SynchronousTestCase):
        api_type = "codex"
        document = {"tokens": {"access_token": CANARY, ...}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialError, ErrorReply, UpstreamProtocolError
from aiproxy.messages import HttpReply, HttpRequest, Login
from aiproxy.providers.contract import AuthFile
from aiproxy.redaction import Secret
from aiproxy.wire import INBOUND, OUTBOUND
from tests.providers.samples import call, configured, prepared, provider

# One property, inherited by several test classes.
shared = settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)

NOW = 1_800_000_000.0
CANARY = "canary-0123456789"

WORDS = st.sampled_from(
    [
        "type", "tokens", "token", "access_token", "refresh_token", "id_token", "account_id",
        "expired", "expiry", "expiry_date", "last_refresh", "disabled", "claudeAiOauth",
        "accessToken", "refreshToken", "expiresAt", "scopes", "codex", "claude", "gemini", "error",
        "code", "message", "detail", "expires_in", "resets_at", "resets_in_seconds", "details",
        "retryDelay", "reason", "2027-01-01T00:00:00Z", "a.b.c", "sk-1", "5", "-1", "",
    ]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2_000_000_000) | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(WORDS, JSON, max_size=8)
REPLIES = st.builds(
    HttpReply,
    st.sampled_from([200, 201, 302, 400, 401, 403, 404, 429, 500, 503, 529]),
    st.lists(
        st.tuples(st.sampled_from(["retry-after", "x-reason"]), st.sampled_from(["5", "x", "-1"])),
        max_size=2,
    ).map(tuple),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40),
)


if TYPE_CHECKING:
    _Base = SynchronousTestCase
else:
    _Base = object


class ProviderContract(_Base):
    """
    Inherit it beside SynchronousTestCase.

    api_type: whose. document: a file of the vendor's own program with CANARY in its tokens.
    """

    api_type: ClassVar[str]
    document: ClassVar[Mapping[str, Any]]

    def login(self) -> Login:
        return self.read(self.document)

    def read(self, document: Mapping[str, Any]) -> Login:
        file = AuthFile("auth.json", document, lambda name: None)
        return provider(self.api_type).read_login(file)

    def test_registered(self) -> None:
        """It is known by its name, speaks a known wire and is paid by auth files."""
        found = provider(self.api_type)
        self.assertEqual(found.api_type, self.api_type)
        self.assertIn(found.wire, OUTBOUND)
        self.assertEqual(found.settings.credentials, "auth_files")

    def test_the_vendors_file(self) -> None:
        """The file of the vendor's program is read, never written a flag, and never printed."""
        login = self.login()
        self.assertFalse(login.is_ours)
        self.assertIn(CANARY, login.access_token.reveal())
        self.assertNotIn(CANARY, repr(login))

    @shared
    @given(DOCUMENTS)
    def test_any_file(self, document: dict[str, Any]) -> None:
        """Any JSON object is a login, or refused in words."""
        try:
            login = self.read(document)
        except CredentialError as error:
            self.assertIn(self.api_type, str(error))
            return
        self.assertIsInstance(provider(self.api_type).is_stale(login, NOW), bool)

    @shared
    @given(st.lists(REPLIES, min_size=1, max_size=4))
    def test_any_renewal(self, replies: list[HttpReply]) -> None:
        """Whatever the login service says, there are changes or a CredentialError."""
        flow = provider(self.api_type).renew(self.login(), configured(self.api_type), NOW)
        waiting = list(replies)
        try:
            step = next(flow)
            while waiting:
                reply = waiting.pop(0) if isinstance(step, HttpRequest) else HttpReply(0)
                step = flow.send(reply)
        except StopIteration as ended:
            self.assertTrue(all(change.path for change in ended.value))
        except CredentialError as error:
            self.assertNotIn(CANARY, str(error))

    @shared
    @given(REPLIES.filter(lambda reply: reply.status >= 400))
    def test_any_error(self, reply: HttpReply) -> None:
        """Whatever the upstream says of an error, it can be judged; a pause is one."""
        try:
            said = OUTBOUND[provider(self.api_type).wire].decode_reply(reply.status, reply.body)
        except UpstreamProtocolError:
            return
        assert isinstance(said, ErrorReply)
        judged = provider(self.api_type).judge(reply, said, NOW)
        self.assertTrue(judged.retry_after is None or judged.retry_after >= 0)
        sent = prepared(self.api_type, call("chat"), login=self.login())
        provider(self.api_type).mended(sent, judged)

    def test_secrets(self) -> None:
        """The token is in a header and nowhere else."""
        token = Secret(CANARY)
        for wire in INBOUND:
            sent = prepared(self.api_type, call(wire), token=token.reveal(), login=self.login())
            self.assertNotIn(CANARY, sent.http.url)
            self.assertNotIn(CANARY.encode(), sent.http.body)
            self.assertIn(f"Bearer {CANARY}", [value for _, value in sent.http.headers])
            self.assertNotIn(CANARY, repr(sent))

    def test_metadata(self) -> None:
        """Every entry of the table may be replaced by the configuration."""
        table = provider(self.api_type).settings.metadata
        lines = "metadata: " + json.dumps(dict.fromkeys(table, "https://changed.test"))
        self.assertEqual(
            set(configured(self.api_type, lines).metadata.values()), {"https://changed.test"}
        )
