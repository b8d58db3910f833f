"""Auth files of every vendor with texts that nothing can carry: the file is refused, not a call."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialError
from aiproxy.messages import Credential, HttpRequest, Login
from aiproxy.providers.contract import AuthFile, Flow
from aiproxy.services.authfiles import login_of, parsed
from aiproxy.upstream.head import fields
from tests.providers import kiro_samples, test_claudecode_login, test_codex_login
from tests.providers.codeassist import samples as google
from tests.providers.samples import call, configured, jwt, provider

ODD = ("\ud800", "\r\nX-Injected: 1", "\n", "\0", "\x1b[31m", "\x7f", "\u2028")
MARK = "odd"
NOW = google.NOW
DOCUMENTS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("codex", test_codex_login.cli()),
    ("codex", test_codex_login.own()),
    ("claudecode", test_claudecode_login.cli()),
    ("claudecode", test_claudecode_login.own()),
    ("geminicli", google.VENDOR),
    ("geminicli", google.NESTED),
    ("antigravity", google.FLAT),
    ("kiro", kiro_samples.SOCIAL),
    ("kiro", {**kiro_samples.IDC, **kiro_samples.REGISTRATION}),
    ("kiro", kiro_samples.EXTERNAL),
    ("kiro", kiro_samples.OURS),
)
SENT = {
    "access_token",
    "accessToken",
    "refresh_token",
    "refreshToken",
    "account_id",
    "project_id",
    "client_id",
    "client_secret",
    "clientId",
    "clientSecret",
    "machine_id",
    "profile_arn",
    "profileArn",
    "tokenEndpoint",
}
"""Members that become a header, a URL or a part of a body as they are."""


def with_odd(value: Any, odd: str, name: str = "") -> Iterator[tuple[str, Any]]:
    """`value` again and again, each time with another one of its texts odd; and that one's name."""
    if isinstance(value, str):
        yield name, value[:1] + odd + MARK + value[1:]
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            for which, changed in with_odd(inner, odd, key):
                yield which, {**value, key: changed}
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            for which, changed in with_odd(inner, odd, name):
                yield which, [*value[:at], changed, *value[at + 1 :]]


def requests(api_type: str, login: Login) -> Iterator[HttpRequest]:
    """What is sent with a login: in a call, for a renewal, to find something out."""
    reader, upstream = provider(api_type), configured(api_type, google.SECRET)
    credential = Credential("file 1 of 1", login.access_token, login)
    yield reader.prepare(call("anthropic"), "m", upstream, credential).http
    if login.refresh_token:
        yield first(reader.renew(login, upstream, NOW))
    if reader.lacks(login, upstream):
        yield first(reader.discover(login, upstream, NOW))


def first(flow: Flow) -> HttpRequest:
    asked = next(flow)
    assert isinstance(asked, HttpRequest)
    return asked


class OddLoginTests(SynchronousTestCase):
    def read(self, api_type: str, document: Mapping[str, Any]) -> Login:
        """As from a file, where JSON writes what UTF-8 cannot."""
        return login_of(parsed("/f/auth.json", json.dumps(document)), provider(api_type))

    def refused(self, api_type: str, document: Mapping[str, Any]) -> str:
        """Why the file cannot be used, without what is odd in it."""
        with self.assertRaises(CredentialError) as caught:
            self.read(api_type, document)
        said = caught.exception.reply.message
        self.assertTrue(said.isprintable(), ascii(said))
        self.assertNotIn(MARK, said)
        self.assertNotIn("canary", said)
        return said

    def test_as_they_are(self) -> None:
        """Without anything odd all of these files are logins, and can be sent."""
        for api_type, document in DOCUMENTS:
            self.assert_sent(api_type, self.read(api_type, document))

    def test_what_is_sent(self) -> None:
        """A text that would be sent makes its file unusable, and the message says what is wrong."""
        met = set()
        for api_type, document in DOCUMENTS:
            for odd in ODD:
                for name, changed in with_odd(document, odd):
                    if name in SENT:
                        said = self.refused(api_type, changed)
                        self.assertRegex(said, "^/f/auth.json: its .*|^tokenEndpoint .* must be")
                        met.add(name)
        self.assertEqual(met, SENT)

    def test_all_others(self) -> None:
        """Any other odd text is harmless: what can be sent is, or the file is refused."""
        for api_type, document in DOCUMENTS:
            for odd in ODD:
                for name, changed in with_odd(document, odd):
                    if name in SENT:
                        continue
                    try:
                        login = self.read(api_type, changed)
                    except CredentialError:
                        self.refused(api_type, changed)
                    else:
                        self.assert_sent(api_type, login)

    def test_claims(self) -> None:
        """An account that a token names is looked at like one that the file names."""
        claims = {test_codex_login.AUTH: {"chatgpt_account_id": f"a\r\nX-Injected: {MARK}"}}
        document = test_codex_login.cli(account_id=None, id_token=jwt(claims))
        self.assertIn("its account_id has a character", self.refused("codex", document))

    def test_beside_the_file(self) -> None:
        """What another file in the folder says of the client is looked at, too."""
        beside = {**kiro_samples.REGISTRATION, "clientSecret": f"a\ud800{MARK}"}
        file = AuthFile("/f/auth.json", kiro_samples.IDC, lambda name: beside)
        with self.assertRaisesRegex(CredentialError, "its client_secret has a character"):
            login_of(file, provider("kiro"))

    def test_other_alphabets(self) -> None:
        """A token outside ASCII is refused; other texts may have any letters."""
        document = test_codex_login.cli(account_id="k\u00f6ln")
        self.assert_sent("codex", self.read("codex", document))
        said = self.refused("codex", test_codex_login.cli(access_token="t\u00f6ken"))
        self.assertIn("its access token is no plain text", said)

    def assert_sent(self, api_type: str, login: Login) -> None:
        """Everything that is sent with it is as HTTP wants it, and has nothing odd in it."""
        for request in requests(api_type, login):
            block = fields(request.headers, "").lines.decode()
            self.assertEqual(block.count("\r\n"), len(block.splitlines()))
            self.assertNotIn("x-injected", block.lower())
            self.assertNotIn(MARK, block + request.url + request.body.decode())
            self.assertTrue(request.url.isascii() and request.url.isprintable())
