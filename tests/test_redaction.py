"""Secrets stay secret by default, and texts lose what looks like one."""

from __future__ import annotations

import pickle

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.redaction import Secret, redact, without, without_bytes


class SecretTests(SynchronousTestCase):
    def test_no_way_of_printing_shows_it(self) -> None:
        """Only reveal() gives the text away."""
        secret = Secret("canary-4711")
        shown = (f"{secret} {secret!r} {secret!s:>40} %s %r" % (secret, secret)) + str([secret])
        self.assertNotIn("canary", shown)
        self.assertEqual(secret.reveal(), "canary-4711")
        self.assertRaises(TypeError, pickle.dumps, secret)

    def test_equal_by_text(self) -> None:
        """Secrets with the same text are one, as keys too; an empty one is false."""
        self.assertEqual({Secret("a"), Secret("a")}, {Secret("a")})
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertFalse(Secret(""))


class RedactTests(SynchronousTestCase):
    def test_everything_that_looks_like_a_credential(self) -> None:
        """Keys, bearer tokens, JWTs, key parameters and URLs are masked."""
        for text in (
            "Authorization: Bearer abcdefgh12345678",
            "bad key sk-ant-api03-abcdefgh",
            "key AIzaSyA1234567890abcdefghijk",
            "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "session-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "?key=abcdefgh12345678&alt=sse",
            "at https://user:abcdefgh12345678@inner.example/v1?x=1",
        ):
            clean = redact(text)
            for part in ("abcdefgh", "AIza", "eyJ", "inner.example"):
                self.assertNotIn(part, clean)
            self.assertIn("[redacted]", clean)

    def test_ordinary_words_stay(self) -> None:
        """What an upstream says of the request is for the client."""
        text = "max_tokens: 8 > 4, tokens per minute exceeded for basic plans"
        self.assertEqual(redact(text), text)

    def test_long_texts_of_nothing_but_beginnings(self) -> None:
        """Vendors quote what clients wrote: where no secret is, every character stays."""
        for piece in ("a.", "sk-", "AIza-", "bearer ", "a:/", "a+b-"):
            text = piece * (100_000 // len(piece))
            self.assertEqual(redact(f"{text} end")[-4:], " end", piece)
            self.assertTrue(redact(f"{text} Bearer abcdefgh12345678").endswith("[redacted]"))

    def test_urls_in_the_middle_of_words(self) -> None:
        """Whatever stands before it, a URL is masked."""
        for before in ("", "9", "x", ".", "-", "at:", "(", "_"):
            self.assertNotIn("inner", redact(f"{before}https://inner.example/x"))

    def test_one_very_secret(self) -> None:
        """A key of any shape is masked where it is known; a placeholder is no secret."""
        self.assertEqual(without("no canary-1 here", Secret("canary-1")), "no [redacted] here")
        self.assertEqual(without("nothing", Secret("none")), "nothing")
        self.assertEqual(without("cut: canary-4", Secret("canary-4711")), "cut: [redacted]")
        self.assertEqual(without("canary-4", Secret("canary-4711")), "[redacted]")
        self.assertEqual(without("canary-", Secret("canary-4711")), "canary-")
        self.assertEqual(without("canary-4 stays", Secret("canary-4711")), "canary-4 stays")
        data = without_bytes(b"\xff canary-1", Secret("canary-1"))
        self.assertEqual(data, b"\xff [redacted]")
        self.assertEqual(without_bytes(b"nothing", Secret("none")), b"nothing")
