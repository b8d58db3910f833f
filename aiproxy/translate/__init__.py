"""
Calls in, answers out: the Deferred side of translation.

`Translator` runs the attempt loop, `Attempt` one try, `Pairing` one stream.
"""

from aiproxy.providers.contract import Call
from aiproxy.translate.client import Client
from aiproxy.translate.trail import Trail
from aiproxy.translate.translator import Translator

__all__ = ["Call", "Client", "Trail", "Translator"]
