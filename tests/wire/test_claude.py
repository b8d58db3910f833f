"""What a model takes, by its name."""

from twisted.trial.unittest import SynchronousTestCase

from aiproxy.wire.claude import limits_of


class LimitsTests(SynchronousTestCase):
    """Names as they occur, with dates, vendors and older orders of their parts."""

    def test_names(self) -> None:
        """Line and version are found; a new line is like the newest, anything else unknown."""
        for model, sampling, thinking in (
            ("claude-opus-4-7", "fixed", "adaptive"),
            ("claude-opus-4-10", "fixed", "adaptive"),
            ("us.anthropic.claude-opus-5-20270101-v1:0", "fixed", "adaptive"),
            ("claude-fable-5", "fixed", "adaptive"),
            ("claude-haiku-4-5-20251001", "one", "manual"),
            ("claude-sonnet-4-6", "one", "adaptive"),
            ("claude-sonnet-4.5", "one", "manual"),
            ("claude-sonnet-4-20250514", "one", "manual"),
            ("claude-sonnet-4@20250514", "one", "manual"),
            ("claude-3-7-sonnet-latest", "free", "manual"),
            ("claude-3-5-haiku-20241022", "free", "none"),
            ("claude-3-opus-20240229", "free", "none"),
            ("claude-instant", "free", "unknown"),
            ("opus", "free", "unknown"),
            ("kimi-k2", "free", "unknown"),
        ):
            limits = limits_of(model)
            wanted = (model, sampling, thinking)
            self.assertEqual((model, limits.sampling, limits.thinking), wanted)
