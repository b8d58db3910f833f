"""Logins of auth files: read, renewed once for all who need it, written back, revoked, revived."""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from aiproxy.errors import CredentialDisabled, CredentialError
from aiproxy.messages import Login
from aiproxy.redaction import Secret
from aiproxy.services.loginentry import FIRST_PAUSE_SECONDS
from aiproxy.services.logins import REFUSED_SECONDS, STOP_SECONDS
from aiproxy.settings import Upstream
from tests.services.samples import acme, auth_file, document
from tests.translate.stage import Exchange, Stage

HOUR = 3600.0


class LoginsCase(Stage):
    """One file of a made-up vendor, whose login service the test answers for by hand."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.path = folder / "auth.json"

    def begin(self, **changed: Any) -> Upstream:
        """A running service; the upstream whose file it follows."""
        self.upstream = acme("a", self.path, **changed)
        self.start(self.upstream)
        self.logins.startService()
        self.logins.apply([self.upstream])
        self.addCleanup(self.logins.stopService)
        return self.upstream

    def usable(self) -> Deferred[Login]:
        return self.logins.usable(str(self.path), self.upstream)

    def token(self) -> str:
        """The access token of a login that must be there at once."""
        return self.successResultOf(self.usable()).access_token.reveal()

    def problem(self) -> str:
        """Why the login cannot be used."""
        failure = self.failureResultOf(self.usable(), CredentialError)
        return str(failure.value)

    def renewal(self) -> Exchange:
        """The latest request, which must be a renewal."""
        self.assertEqual((self.latest.upstream, self.latest.path), ("login", "/token"))
        return self.latest

    def grant(self, access: str, refresh: str, expires_in: float = HOUR) -> None:
        """The service renews."""
        said = {"access_token": access, "refresh_token": refresh, "expires_in": expires_in}
        self.renewal().answer(200, json.dumps(said).encode())

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(1)


class UsableTests(LoginsCase):
    def test_a_fresh_login(self) -> None:
        """A login that is good is used as it is, and nobody is asked."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        self.assertEqual(self.token(), "a1")
        self.assertEqual(self.exchanges, [])

    def test_one_renewal_for_all(self) -> None:
        """Whoever needs a login that has run out waits for one renewal, which is kept on disk."""
        auth_file(self.path, expires=30, note="mine")
        self.begin()
        waiting = [self.usable() for _ in range(5)]
        self.assertEqual(len(self.exchanges), 1)
        self.assertEqual(json.loads(self.renewal().body), {"refresh_token": "r1"})
        self.grant("a2", "r2")
        tokens = {self.successResultOf(login).access_token.reveal() for login in waiting}
        self.assertEqual(tokens, {"a2"})
        self.assertEqual(
            document(self.path), {"access": "a2", "refresh": "r2", "expires": HOUR, "note": "mine"}
        )
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_who_leaves_stops_nothing(self) -> None:
        """A caller that is cancelled goes at once; the renewal goes on for the others."""
        auth_file(self.path, expires=30)
        self.begin()
        leaving, staying = self.usable(), self.usable()
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.assertFalse(self.latest.gone)
        self.grant("a2", "r2")
        self.assertEqual(self.successResultOf(staying).access_token.reveal(), "a2")

    def test_nobody_waits_any_more(self) -> None:
        """A renewal that everybody has left is finished and kept all the same."""
        auth_file(self.path, expires=30)
        self.begin()
        leaving = self.usable()
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.grant("a2", "r2")
        self.assertEqual(document(self.path)["refresh"], "r2")
        self.assertEqual(self.token(), "a2")

    def test_before_it_runs_out(self) -> None:
        """A login that will have to be renewed soon is renewed while nobody waits."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        self.clock.pump([30] * 118)
        self.assertEqual(len(self.exchanges), 1)
        self.grant("a2", "r2")
        self.assertEqual(self.token(), "a2")

    def test_short_lives(self) -> None:
        """A token whose whole life is within its vendor's margin is still used for most of it."""
        auth_file(self.path, expires=30)
        self.begin()
        first = self.usable()
        self.grant("a2", "r2", expires_in=20)
        self.successResultOf(first)
        self.clock.advance(10)
        self.assertEqual(self.token(), "a2")
        self.assertEqual(len(self.exchanges), 1)

    def test_something_is_missing(self) -> None:
        """What a call needs besides a token is found out once, and kept."""
        auth_file(self.path, expires=HOUR, project="")
        self.begin()
        waiting = self.usable()
        self.assertEqual(self.latest.path, "/project")
        self.latest.answer(200, b"p-7")
        self.assertEqual(self.successResultOf(waiting).details["project"], "p-7")
        self.assertEqual(document(self.path)["project"], "p-7")
        self.token()
        self.assertEqual(len(self.exchanges), 1)

    def test_what_is_missing_cannot_be_had(self) -> None:
        """An account that will never have it is not asked about at each call."""
        auth_file(self.path, expires=HOUR, project="")
        self.begin()
        waiting = self.usable()
        self.latest.answer(403, b"")
        self.failureResultOf(waiting, CredentialDisabled)
        self.assertIn("no project", self.problem())
        self.poll(3)
        self.problem()
        self.assertEqual(len(self.exchanges), 1)
        self.logins.apply([replace(self.upstream, metadata={"project": "p"})])
        self.usable()
        self.assertEqual(len(self.exchanges), 2)

    def test_a_token_without_renewal(self) -> None:
        """A login that cannot be renewed is used to its very end, and no further."""
        auth_file(self.path, refresh="", expires=HOUR)
        self.begin()
        self.clock.advance(HOUR - 30)
        self.assertEqual(self.token(), "a1")
        self.clock.advance(30)
        self.failureResultOf(self.usable(), CredentialDisabled)
        self.assertEqual(self.exchanges, [])


class ServiceTests(LoginsCase):
    def test_stopping(self) -> None:
        """A service that stops first finishes a renewal that is under way: its token is used up."""
        auth_file(self.path, expires=30)
        self.begin()
        waiting = self.usable()
        self.finishes(waiting)

    def finishes(self, waiting: Deferred[Login]) -> None:
        """A stop waits for the renewal, whose token is kept and used."""
        stopped = self.logins.stopService()
        self.assertNoResult(stopped)
        self.grant("a2", "r2")
        self.successResultOf(stopped)
        self.assertEqual(document(self.path)["refresh"], "r2")
        self.successResultOf(waiting)

    def test_stopping_takes_no_longer(self) -> None:
        """It waits only for so long."""
        auth_file(self.path, expires=30)
        self.begin()
        waiting = self.usable()
        stopped = self.logins.stopService()
        self.clock.advance(STOP_SECONDS)
        self.successResultOf(stopped)
        self.failureResultOf(waiting, CancelledError)

    def test_stopping_with_several(self) -> None:
        """Renewals that all hang are given up together, not one after the other."""
        auth_file(self.path, expires=30)
        other = self.path.with_name("other.json")
        auth_file(other, expires=30)
        self.begin()
        both = [self.usable(), self.logins.usable(str(other), self.upstream)]
        stopped = self.logins.stopService()
        self.clock.advance(STOP_SECONDS)
        self.successResultOf(stopped)
        for waiting in both:
            self.failureResultOf(waiting, CancelledError)

    def test_stopping_without_the_file(self) -> None:
        """A renewal is finished although no upstream names its file any more."""
        auth_file(self.path, expires=30)
        self.begin()
        waiting = self.usable()
        self.logins.apply([])
        self.finishes(waiting)

    def test_a_waiter_that_sends_another_away(self) -> None:
        """What one waiting call does when it may go on can end another one."""
        auth_file(self.path, expires=30)
        self.begin()
        both = [self.usable(), self.usable()]
        both[0].addBoth(lambda _: both[1].cancel())
        both[1].addBoth(lambda _: both[0].cancel())
        self.grant("a2", "r2")
        self.assertTrue(all(waiting.called for waiting in both))
        self.assertEqual(self.token(), "a2")

    def test_other_settings(self) -> None:
        """New settings of an upstream are a reason to try again at once."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        self.renewal().answer(500, b"{}")
        self.failureResultOf(waiting, CredentialError)
        self.logins.apply([replace(self.upstream, token_url="http://other.test")])
        self.usable()
        self.assertEqual([seen.upstream for seen in self.exchanges], ["login", "other"])

    def test_no_longer_configured(self) -> None:
        """A file that no upstream names any more is not looked at."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        self.logins.apply([])
        self.clock.pump([30] * 130)
        self.assertEqual(self.exchanges, [])


class FailureTests(LoginsCase):
    def test_pauses_grow(self) -> None:
        """A service that fails is asked again later and later; meanwhile the failure is known."""
        auth_file(self.path, expires=0)
        self.begin()
        pause = FIRST_PAUSE_SECONDS
        for asked in range(1, 4):
            waiting = self.usable()
            self.assertEqual(len(self.exchanges), asked)
            self.renewal().answer(500, b"{}")
            error = self.failureResultOf(waiting, CredentialError).value
            self.assertEqual(error.reply.retry_after, pause)
            self.problem()
            self.assertEqual(len(self.exchanges), asked)
            self.clock.advance(pause)
            pause *= 2

    def test_the_service_names_a_time(self) -> None:
        """Retry-After is obeyed."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        self.renewal().answer(429, b"{}", retry_after="77")
        self.failureResultOf(waiting, CredentialError)
        self.clock.advance(76)
        self.problem()
        self.assertEqual(len(self.exchanges), 1)
        self.clock.advance(1)
        self.usable()
        self.assertEqual(len(self.exchanges), 2)

    def test_a_token_that_still_lives(self) -> None:
        """While the old token is good, a service that is down is no reason not to use it."""
        auth_file(self.path, expires=50)
        self.begin()
        waiting = self.usable()
        self.renewal().cut()
        self.assertEqual(self.successResultOf(waiting).access_token.reveal(), "a1")

    def test_revoked(self) -> None:
        """A revoked login is not tried again until the file holds another one."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        self.renewal().answer(400, b"{}")
        self.clock.pump([0.5] * 4)
        self.failureResultOf(waiting, CredentialDisabled)
        self.assertIn("revoked", self.problem())
        self.assertNotIn("disabled", document(self.path))
        self.poll(5)
        self.problem()
        self.assertEqual(len(self.exchanges), 1)
        auth_file(self.path, "a9", "r9", expires=2 * HOUR)
        self.poll(2)
        self.assertEqual(self.token(), "a9")

    def test_hearing_of_it_again(self) -> None:
        """What is wrong with a login does not hold all calls that were told so."""
        self.begin()
        self.path.write_text("nothing")
        self.poll(2)
        calls = [self.failureResultOf(self.usable(), CredentialError).value for _ in range(3)]
        self.assertEqual(len({id(error) for error in calls}), 3)
        lengths = {len(traceback.extract_tb(error.__traceback__)) for error in calls}
        self.assertEqual(len(lengths), 1)

    def test_revoked_in_our_format(self) -> None:
        """Where the format has a place for it, a revoked login is marked, and stays so."""
        auth_file(self.path, expires=0, kind="acme")
        self.begin()
        waiting = self.usable()
        self.renewal().answer(400, b"{}")
        self.clock.pump([0.5] * 4)
        self.failureResultOf(waiting, CredentialDisabled)
        self.assertIs(document(self.path)["disabled"], True)
        self.poll(3)
        self.problem()
        auth_file(self.path, "a9", "r9", expires=2 * HOUR, kind="acme")
        self.poll(2)
        self.assertEqual(self.token(), "a9")

    def test_rotated_by_a_program_without_locks(self) -> None:
        """A refresh token that another has used up is no end: what that one writes is taken."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        auth_file(self.path, "a2", "r2", expires=HOUR)
        self.renewal().answer(400, b"{}")
        self.clock.advance(0)
        self.assertEqual(self.successResultOf(waiting).access_token.reveal(), "a2")
        self.assertEqual(document(self.path)["refresh"], "r2")

    def test_a_new_login_during_a_renewal(self) -> None:
        """What a renewal of the old login brings does not overwrite a new one."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        auth_file(self.path, "b1", "s1", expires=HOUR)
        self.grant("a2", "r2")
        self.assertEqual(self.successResultOf(waiting).access_token.reveal(), "b1")
        self.assertEqual(document(self.path)["refresh"], "s1")

    def test_an_answer_that_nobody_expected(self) -> None:
        """What trips us is our fault: told in the log, and not tried again at once."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        self.renewal().answer(200, b'{"unexpected": true}')
        self.failureResultOf(waiting, CredentialError)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.problem()
        self.assertEqual(len(self.exchanges), 1)

    def test_disabled_by_hand_during_a_renewal(self) -> None:
        """A login that somebody switches off meanwhile is off, and its new token is kept."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        auth_file(self.path, expires=0, disabled=True)
        self.grant("a2", "r2")
        self.failureResultOf(waiting, CredentialDisabled)
        self.assertEqual(
            (document(self.path)["refresh"], document(self.path)["disabled"]), ("r2", True)
        )


class RejectedTests(LoginsCase):
    def renewed(self, used: str = "a1") -> Deferred[Login | None]:
        return self.logins.renewed(str(self.path), self.upstream, Secret(used))

    def test_renewed_once(self) -> None:
        """A token that the upstream refuses is renewed, however long it should live."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        waiting = [self.renewed(), self.renewed()]
        self.assertEqual(len(self.exchanges), 1)
        self.grant("a2", "r2")
        for one in waiting:
            login = self.successResultOf(one)
            assert login is not None
            self.assertEqual(login.access_token.reveal(), "a2")

    def test_renewed_already(self) -> None:
        """A refused token that is not the current one any more costs no renewal."""
        auth_file(self.path, "a2", "r2", expires=HOUR)
        self.begin()
        login = self.successResultOf(self.renewed("a1"))
        assert login is not None
        self.assertEqual(login.access_token.reveal(), "a2")
        self.assertEqual(self.exchanges, [])

    def test_not_renewed(self) -> None:
        """A refused token that cannot be renewed now is not used meanwhile."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        waiting = self.renewed()
        self.renewal().answer(503, b"{}")
        self.failureResultOf(waiting, CredentialError)
        self.problem()
        self.assertEqual(len(self.exchanges), 1)

    def test_without_refresh_token(self) -> None:
        """A long-lived token that is refused is dead until the file changes."""
        auth_file(self.path, refresh="")
        self.begin()
        self.failureResultOf(self.renewed(), CredentialDisabled)
        self.assertIn("log in again", self.problem())
        self.assertTrue(self.logins.is_blocked(str(self.path), self.upstream))

    def test_refused_for_good(self) -> None:
        """A login whose new token is refused, too, is left alone for a while."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        self.logins.refused(str(self.path), self.upstream)
        self.problem()
        self.clock.advance(REFUSED_SECONDS)
        self.assertEqual(self.token(), "a1")


class FileTests(LoginsCase):
    def test_missing(self) -> None:
        """A file that is not there yet is used as soon as it is."""
        self.begin()
        self.assertIn("no such file", self.problem())
        auth_file(self.path, expires=HOUR)
        self.poll(2)
        self.assertEqual(self.token(), "a1")

    def test_what_is_no_login(self) -> None:
        """Files of every wrong kind are told apart, and stop nothing."""
        for text, word in (
            ("", "empty"),
            ("sk-ant-api03-canary", "API key"),
            ("{", "no JSON"),
            ("SQLite format 3\0\x10\0", "database"),
            ("[]", "no object"),
            ('{"key": "k-canary"}', "use api_type anthropic"),
            ('{"access": 5, "refresh": {}}', "cannot be understood"),
            ('{"access": "a", "refresh": "r", "disabled": true}', "disabled"),
        ):
            self.path.write_text(text, "utf-8")
            self.begin()
            said = self.problem()
            self.assertIn(word, said)
            self.assertNotIn("canary", said)
            self.flushLoggedErrors()

    def test_vanished_and_back(self) -> None:
        """A file that is away for a moment is missed by nobody; for longer, it is."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        self.path.unlink()
        self.poll()
        self.assertEqual(self.token(), "a1")
        self.poll()
        self.problem()
        auth_file(self.path, "a3", expires=HOUR)
        self.poll()
        self.assertEqual(self.token(), "a3")

    def test_half_written(self) -> None:
        """A file read while another program writes it does no harm."""
        auth_file(self.path, expires=HOUR)
        self.begin()
        self.path.write_text('{"access": "a', "utf-8")
        self.poll()
        self.assertEqual(self.token(), "a1")
        auth_file(self.path, "a2", expires=HOUR)
        self.poll()
        self.assertEqual(self.token(), "a2")

    def test_not_written(self) -> None:
        """A renewal that cannot be written is used from memory, and written later."""
        auth_file(self.path, expires=0)
        self.begin()
        waiting = self.usable()
        folder = self.path.parent
        elsewhere = folder.with_name("elsewhere")
        folder.rename(elsewhere)
        self.grant("a2", "r2")
        self.assertEqual(self.successResultOf(waiting).access_token.reveal(), "a2")
        self.poll()
        self.assertEqual(self.token(), "a2")
        elsewhere.rename(folder)
        self.assertEqual(document(self.path)["refresh"], "r1")
        self.poll(15)
        self.assertEqual(document(self.path)["refresh"], "r2")
        self.assertEqual(self.token(), "a2")
        self.assertEqual(len(self.exchanges), 1)
