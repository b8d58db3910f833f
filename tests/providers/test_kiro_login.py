"""Tests of aiproxy.providers.kiro_login: what auth files of Kiro say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.errors import CredentialError
from aiproxy.providers.kiro_login import lacking, read_login, region_of
from tests.providers.kiro_samples import (
    ARN,
    EXTERNAL,
    IDC,
    OURS,
    REGISTRATION,
    SOCIAL,
    Folder,
    auth_file,
    folder,
    login,
    without,
)

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=4,
)
_NAMES = st.sampled_from([*SOCIAL, *IDC, *EXTERNAL, *OURS, "type", "disabled"])


class LayoutTests(SynchronousTestCase):
    def test_social(self) -> None:
        """The vendor's own file: tokens, their end, and where the profile's models are."""
        read = login(SOCIAL)
        self.assertEqual(read.access_token.reveal(), "access-canary")
        self.assertEqual(read.refresh_token.reveal(), "refresh-canary")
        self.assertEqual(read.expires_at, 1_767_229_200.0)
        self.assertEqual((read.is_ours, read.is_disabled), (False, False))
        self.assertEqual(read.details["method"], "social")
        self.assertEqual(read.details["api_region"], "eu-central-1")
        self.assertEqual(read.details["profile_arn"], ARN)

    def test_registration_beside(self) -> None:
        """The client of an IdC login stands in the file beside it."""
        read = login(IDC)
        self.assertEqual(read.details["method"], "idc")
        self.assertEqual(read.details["client_id"], "client-1")
        self.assertEqual(read.details["client_secret"], "client-secret-canary")

    def test_ours(self) -> None:
        """Our own layout, with a place for `disabled` and an id of the machine."""
        read = login({**OURS, "disabled": True})
        self.assertEqual((read.is_ours, read.is_disabled), (True, True))
        self.assertEqual(read.details["method"], "idc")
        self.assertEqual(read.details["machine_id"], "ab" * 32)

    def test_method(self) -> None:
        """Where no method is named, what else there is tells."""
        for document, method in (
            (without(OURS, "auth_method"), "idc"),
            (without(OURS, "auth_method", "client_id", "client_secret"), "social"),
            (without(IDC, "authMethod"), "idc"),
            (without(EXTERNAL, "authMethod"), "external"),
            (without(SOCIAL, "authMethod"), "social"),
            ({**OURS, "auth_method": "builder-id"}, "idc"),
        ):
            self.assertEqual(login(document).details["method"], method)

    def test_regions(self) -> None:
        """The profile's region is the models', whatever the login's; no odd text becomes a host."""
        read = login({**OURS, "region": "us-west-2", "api_region": "ap-southeast-1"})
        self.assertEqual(read.details["region"], "us-west-2")
        self.assertEqual(read.details["api_region"], "eu-central-1")
        read = login({**without(OURS, "profile_arn"), "api_region": "ap-southeast-1"})
        self.assertEqual(read.details["api_region"], "ap-southeast-1")
        read = login({**without(OURS, "profile_arn"), "region": "evil.example/x"})
        self.assertEqual((read.details["region"], read.details["api_region"]), ("", ""))
        self.assertEqual(region_of("arn:aws:codewhisperer:a.b/c:1:profile/x"), "")
        self.assertEqual(region_of("no arn"), "")

    def test_without_expiry(self) -> None:
        """A file that names no end, or an odd one, has none."""
        for value in ({}, {"expires_at": "soon"}, {"expires_at": 5}):
            document = {**without(OURS, "expires_at"), **value}
            self.assertIsNone(login(document).expires_at)

    def test_no_secret_shows(self) -> None:
        """Neither the tokens nor the client's secret are in the text of a login."""
        for document in (SOCIAL, IDC, EXTERNAL, OURS):
            self.assertNotIn("canary", repr(login(document)))


class RefusalTests(SynchronousTestCase):
    def refusal(self, document: Mapping[str, Any], beside: Folder | None = None) -> str:
        error = self.assertRaises(CredentialError, read_login, auth_file(document, beside))
        self.assertNotIn("canary", str(error))
        return str(error)

    def test_other_files(self) -> None:
        """A file of something else is named, with what to use instead."""
        for document, words in (
            ({"claudeAiOauth": {"accessToken": "x-canary"}}, "claudecode"),
            ({"tokens": {"access_token": "x-canary"}}, "codex"),
            ({"access_token": "x-canary", "refresh_token": "y", "expiry_date": 1}, "geminicli"),
            ({"type": "codex", "access_token": "x-canary"}, "codex"),
            ({"type": "antigravity", "access_token": "x-canary"}, "antigravity"),
            ({"api_key": "ksk_canary"}, "API key"),
            (REGISTRATION, "registration"),
            ({}, "kiro-auth-token.json"),
            ({"accessToken": None, "refreshToken": 5}, "kiro-auth-token.json"),
        ):
            said = self.refusal(document)
            self.assertIn(words, said)
            self.assertIn("kiro-auth-token.json", said)

    def test_without_registration(self) -> None:
        """An IdC login whose client is unknown cannot be used, and says which file is missing."""
        empty = Folder({}, [])
        self.assertIn("e909a0580879b06ece1aa964ec0c2c1a.json", self.refusal(IDC, empty))
        self.assertIn("registration", self.refusal(without(OURS, "client_secret")))

    def test_no_other_folder(self) -> None:
        """The name of the registration never leads elsewhere."""
        beside = folder()
        for name in ("../../etc/passwd", "a/b", "", "x" * 200):
            self.refusal({**IDC, "clientIdHash": name}, beside)
        self.assertEqual(beside.asked, [])

    def test_token_endpoint(self) -> None:
        """A company's login is only renewed where it was made, over https."""
        self.assertEqual(
            login(EXTERNAL).details["token_endpoint"], "https://login.example.com/oauth2/token"
        )
        for changes in (
            {"tokenEndpoint": "https://evil.example/token"},
            {"tokenEndpoint": "http://login.example.com/token"},
            {"tokenEndpoint": "https://login.example.com:444/token"},
            {"tokenEndpoint": "https://login.example.com.evil.example/token"},
            {"tokenEndpoint": ""},
            {"issuerUrl": None},
            {"tokenEndpoint": "https://[", "issuerUrl": "https://["},
        ):
            self.assertIn("issuerUrl", self.refusal({**EXTERNAL, **changes}))


class MachineTests(SynchronousTestCase):
    def test_stable_in_the_vendors_file(self) -> None:
        """The vendor's file gets no id; it is the same whatever its tokens, and for no other."""
        first = login(SOCIAL)
        rotated = login({**SOCIAL, "accessToken": "x", "refreshToken": "y", "expiresAt": ""})
        self.assertEqual(first.details["machine_id"], rotated.details["machine_id"])
        self.assertRegex(first.details["machine_id"], r"^[0-9a-f]{64}$")
        for other in (login(IDC), login(SOCIAL, path="/other/login.json")):
            self.assertNotEqual(first.details["machine_id"], other.details["machine_id"])
        self.assertNotIn("machine_id", lacking(first))

    def test_kept_in_ours(self) -> None:
        """In our layout it is to be kept, and each login has another."""
        bare = without(OURS, "machine_id")
        self.assertEqual(lacking(login(bare)), {"machine_id"})
        other = login({**bare, "refresh_token": "another"})
        self.assertNotEqual(login(bare).details["machine_id"], other.details["machine_id"])


class LackTests(SynchronousTestCase):
    def test_profile(self) -> None:
        """A profile is looked for once, and not for a Builder ID, which has none."""
        bare = without(SOCIAL, "profileArn")
        self.assertEqual(lacking(login(bare)), {"profile_arn"})
        self.assertEqual(lacking(login({**bare, "profileArnChecked": True})), frozenset())
        self.assertEqual(lacking(login(IDC)), frozenset())
        self.assertEqual(lacking(login(SOCIAL)), frozenset())
        ours = without(OURS, "profile_arn")
        self.assertEqual(lacking(login({**ours, "profile_arn_checked": True})), frozenset())


class TotalityTests(SynchronousTestCase):
    @given(st.dictionaries(_NAMES | st.text(max_size=5), _JSON, max_size=8))
    def test_any_object(self, document: dict[str, Any]) -> None:
        """Whatever a file holds, there is a login, or the documented error."""
        try:
            read = read_login(auth_file(document))
        except CredentialError:
            return
        self.assertTrue(read.access_token or read.refresh_token)
