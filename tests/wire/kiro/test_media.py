"""Images and documents on their way to Kiro."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from aiproxy import ir
from aiproxy.errors import BadRequest
from aiproxy.wire import kiro
from aiproxy.wire.kiro.media import LARGEST_IMAGE_BYTES
from tests.wire.kiro.samples import (
    assistant,
    call,
    image,
    losses,
    messages,
    request,
    results,
    user,
)


def document(source: ir.Source, name: str = "") -> ir.Media:
    return ir.Media("document", source, name)


class ImageTests(SynchronousTestCase):
    def test_data(self) -> None:
        """The bytes are kept, under the format's short name."""
        asked = request(user("a", image("aGk="), image("eA==", "image/jpeg")))
        self.assertEqual(
            messages(asked)[0]["images"],
            [
                {"format": "png", "source": {"bytes": "aGk="}},
                {"format": "jpeg", "source": {"bytes": "eA=="}},
            ],
        )
        self.assertEqual(losses(asked), {})

    def test_in_results(self) -> None:
        """An image that a tool gave goes with the same turn, in history and at the end."""
        answer = ir.ToolResult("c1", (ir.Text("see"), image("eA==")))
        turns = (user("a"), assistant(call("c1")), user(answer))
        for asked in (request(*turns), request(*turns, assistant("b"), user("c"))):
            found = messages(asked)[2]
            self.assertEqual(found["images"], [{"format": "png", "source": {"bytes": "eA=="}}])
            texts = [one["text"] for one in results(found)[0]["content"]]
            self.assertEqual(texts, ["see", "[image: attached to this message]"])
            self.assertEqual(losses(asked), {"tool-result-media": "approximated"})

    def test_too_many(self) -> None:
        """The last four of a message are sent, and the model is told of the others."""
        asked = request(user(*(image(data) for data in ("AAAA", "BBBB", "CCCC", "DDDD", "EEEE"))))
        (found,) = messages(asked)
        sent = [one["source"]["bytes"] for one in found["images"]]
        self.assertEqual(sent, ["BBBB", "CCCC", "DDDD", "EEEE"])
        self.assertEqual(found["content"], "[1 earlier images left out]")
        self.assertEqual(losses(asked), {"image-count": "approximated"})

    def test_refusals(self) -> None:
        """What the service cannot take is refused, naming the part."""
        large = "A" * (LARGEST_IMAGE_BYTES * 4 // 3 + 4)
        for part, words in (
            (ir.Media("image", ir.Remote("https://example.org/i")), "image at a URL"),
            (ir.Media("image", ir.Uploaded("openai", "file_1")), "data of a image"),
            (image(mime="image/bmp"), "image/bmp"),
            (image(large), "3.75 MB"),
            (ir.Media("audio", ir.Inline("audio/wav", "eA==")), "audio"),
            (document(ir.Remote("https://example.org/d")), "document at a URL"),
            (document(ir.Inline("application/zip", "eA==")), "application/zip"),
        ):
            with self.assertRaises(BadRequest) as caught:
                kiro.encode_request(request(user(part)))
            self.assertIn(words, str(caught.exception))

    def test_details(self) -> None:
        """How closely to look, and what a picture is called, cannot be said."""
        asked = request(user(ir.Media("image", ir.Inline("image/png", "eA=="), "n", "high")))
        self.assertEqual(losses(asked), {"image-detail": "dropped", "file-name": "dropped"})


class DocumentTests(SynchronousTestCase):
    def test_documents(self) -> None:
        """Files and plain text go as documents, with names that the service takes."""
        asked = request(
            user(
                document(ir.Inline("application/pdf", "eA=="), "My_report: 1.pdf"),
                document(ir.PlainText("hi")),
                document(ir.Inline("text/x-python", "eA=="), "a.py"),
            )
        )
        self.assertEqual(
            messages(asked)[0]["documents"],
            [
                {"name": "My-report- 1", "format": "pdf", "source": {"bytes": "eA=="}},
                {"name": "document 2", "format": "txt", "source": {"bytes": "aGk="}},
                {"name": "a 3", "format": "txt", "source": {"bytes": "eA=="}},
            ],
        )
