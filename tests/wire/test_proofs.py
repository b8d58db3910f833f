"""Proofs on their way through clients of other families."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from aiproxy.ir import Proof
from aiproxy.wire import INBOUND
from aiproxy.wire.proofs import BASE64_WIRE, may_hold_tags, tagged, untagged
from tests import strategies


class ProofTests(SynchronousTestCase):
    @given(
        st.sampled_from(strategies.FAMILIES),
        strategies.texts(),
        st.booleans(),
        st.sampled_from(strategies.FAMILIES),
    )
    def test_what_a_client_sends_back_is_what_it_got(
        self, family: str, data: str, redacted: bool, home: str
    ) -> None:
        """Whoever made it and whoever carries it, even data that looks like a tag."""
        proof = Proof(family, data, redacted)
        carried = tagged(proof, home)
        again = untagged(carried, home, redacted=redacted)
        self.assertEqual(again, proof)

    def test_genuine_proofs_are_not_touched(self) -> None:
        """A vendor's own clients see its own bytes."""
        self.assertEqual(tagged(Proof("openai", "gAAA=="), "openai"), "gAAA==")
        self.assertEqual(untagged("gAAA==", "openai"), Proof("openai", "gAAA=="))
        self.assertEqual(tagged(Proof("gemini", "x"), "anthropic"), "aip1.gemini.x")

    @given(strategies.proofs("gemini"))
    def test_tags_are_found_in_unparsed_bodies(self, proof: Proof) -> None:
        """As text and, where clients get it, in base64; a body without any passes unread."""
        tag = tagged(proof, "anthropic").encode()
        for wire in INBOUND:
            self.assertTrue(may_hold_tags(b'{"signature": "%s"}' % tag, wire))
            self.assertFalse(may_hold_tags(b'{"signature": "EqQBCkgIARABGAIiQ"}', wire))
        coded = b'{"thoughtSignature": "%s"}' % base64.b64encode(tag)
        self.assertTrue(may_hold_tags(coded, BASE64_WIRE))
