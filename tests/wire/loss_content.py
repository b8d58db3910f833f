"""Rows of the loss table about conversations: roles, texts and media."""

from __future__ import annotations

from tests.wire.loss_probes import (
    PLAIN,
    Feature,
    Object,
    asking,
    contains,
    media,
    said,
    with_members,
)

DOT = "iVBORw0KGgo="
PAPER = "JVBERi0xLjQ="
SOUND = "UklGRg=="
IMAGE_URL = "https://example.org/cat.png"
PAPER_URL = "https://example.org/paper.pdf"


def image(source: Object) -> Object:
    """An image block of Anthropic's."""
    return {"type": "image", "source": source}


def base64_source(mime: str, data: str) -> Object:
    """What is inside such a block, or inside a document's."""
    return {"type": "base64", "media_type": mime, "data": data}


ROLES = (
    Feature(
        "system prompt",
        {
            **with_members(
                anthropic={"system": "Be brief."},
                responses={"instructions": "Be brief."},
                gemini={"systemInstruction": {"parts": [{"text": "Be brief."}]}},
            ),
            "chat": {
                "messages": [{"role": "system", "content": "Be brief."}, *PLAIN["chat"]["messages"]]
            },
        },
        contains("Be brief."),
    ),
    Feature(
        "system text inside the conversation",
        {
            "anthropic": {
                **PLAIN["anthropic"],
                "messages": [
                    {"role": "user", "content": "Look."},
                    {"role": "assistant", "content": "Seen."},
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "Again."},
                ],
            },
            "chat": {
                "messages": [
                    *PLAIN["chat"]["messages"],
                    {"role": "developer", "content": "Be brief."},
                ]
            },
            "responses": {
                "input": [
                    {"role": "user", "content": "Look."},
                    {"role": "developer", "content": "Be brief."},
                ]
            },
        },
        contains("Be brief."),
    ),
    Feature(
        "image in a developer message",
        {
            "responses": {
                "input": [
                    {
                        "role": "developer",
                        "content": [{"type": "input_image", "image_url": IMAGE_URL}],
                    },
                    {"role": "user", "content": "Look."},
                ]
            }
        },
        media,
    ),
    Feature(
        "name of a participant",
        {"chat": {"messages": [{"role": "user", "content": "Look.", "name": "Ada"}]}},
        contains("Ada"),
    ),
    Feature(
        "`phase` of an assistant's message",
        said(
            responses=[
                {
                    "role": "assistant",
                    "phase": "commentary",
                    "content": [{"type": "output_text", "text": "Hm."}],
                }
            ]
        ),
        contains("commentary"),
    ),
    Feature(
        "refusal in the history",
        said(
            chat={"content": None, "refusal": "I will not."},
            responses=[
                {
                    "role": "assistant",
                    "content": [{"type": "refusal", "refusal": "I will not."}],
                }
            ],
        ),
        contains("I will not."),
        forms={"anthropic": "as text"},
    ),
)

CONTENT = (
    Feature(
        "image, inline",
        asking(
            anthropic=image(base64_source("image/png", DOT)),
            chat={"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}},
            responses={"type": "input_image", "image_url": f"data:image/png;base64,{DOT}"},
            gemini={"inlineData": {"mimeType": "image/png", "data": DOT}},
        ),
        media,
    ),
    Feature(
        "image by URL",
        asking(
            anthropic=image({"type": "url", "url": IMAGE_URL}),
            chat={"type": "image_url", "image_url": {"url": IMAGE_URL}},
            responses={"type": "input_image", "image_url": IMAGE_URL},
            gemini={"fileData": {"mimeType": "image/png", "fileUri": IMAGE_URL}},
        ),
        media,
    ),
    Feature(
        "image detail",
        asking(
            chat={"type": "image_url", "image_url": {"url": IMAGE_URL, "detail": "high"}},
            responses={"type": "input_image", "image_url": IMAGE_URL, "detail": "high"},
            gemini={
                "fileData": {"mimeType": "image/png", "fileUri": IMAGE_URL},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"},
            },
        ),
        contains("high"),
    ),
    Feature(
        "name of an image",
        asking(
            gemini={"inlineData": {"mimeType": "image/png", "data": DOT, "displayName": "dot.png"}}
        ),
        contains("dot.png"),
    ),
    Feature(
        "PDF, inline",
        asking(
            anthropic={"type": "document", "source": base64_source("application/pdf", PAPER)},
            chat={"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PAPER}"}},
            responses={
                "type": "input_file",
                "file_data": f"data:application/pdf;base64,{PAPER}",
            },
            gemini={"inlineData": {"mimeType": "application/pdf", "data": PAPER}},
        ),
        media,
    ),
    Feature(
        "PDF by URL",
        asking(
            anthropic={"type": "document", "source": {"type": "url", "url": PAPER_URL}},
            responses={"type": "input_file", "file_url": PAPER_URL},
            gemini={"fileData": {"mimeType": "application/pdf", "fileUri": PAPER_URL}},
        ),
        media,
    ),
    Feature(
        "name of a PDF",
        asking(
            anthropic={
                "type": "document",
                "title": "paper.pdf",
                "source": base64_source("application/pdf", PAPER),
            },
            chat={
                "type": "file",
                "file": {
                    "file_data": f"data:application/pdf;base64,{PAPER}",
                    "filename": "paper.pdf",
                },
            },
            responses={
                "type": "input_file",
                "file_data": f"data:application/pdf;base64,{PAPER}",
                "filename": "paper.pdf",
            },
            gemini={
                "inlineData": {
                    "mimeType": "application/pdf",
                    "data": PAPER,
                    "displayName": "paper.pdf",
                }
            },
        ),
        contains("paper.pdf"),
    ),
    Feature(
        "plain text as a document",
        asking(
            anthropic={
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Once upon a time"},
            }
        ),
        contains("Once upon a time"),
        forms=dict.fromkeys(("chat", "responses", "gemini"), "as text"),
    ),
    Feature(
        "document made of blocks",
        asking(
            anthropic={
                "type": "document",
                "source": {
                    "type": "content",
                    "content": [{"type": "text", "text": "Once upon a time"}],
                },
            }
        ),
        contains("Once upon a time"),
    ),
    Feature(
        "search result",
        asking(
            anthropic={
                "type": "search_result",
                "source": "https://example.org",
                "title": "Tales",
                "content": [{"type": "text", "text": "Once upon a time"}],
            }
        ),
        contains("Once upon a time"),
    ),
    Feature(
        "file uploaded to the client's own vendor",
        asking(
            anthropic=image({"type": "file", "file_id": "file_1"}),
            chat={"type": "file", "file": {"file_id": "file_1"}},
            responses={"type": "input_file", "file_id": "file_1"},
            gemini={
                "fileData": {
                    "mimeType": "image/png",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/file_1",
                }
            },
        ),
        contains("file_1"),
    ),
    Feature(
        "audio",
        asking(
            chat={"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}},
            responses={"type": "input_audio", "input_audio": {"data": SOUND, "format": "wav"}},
            gemini={"inlineData": {"mimeType": "audio/wav", "data": SOUND}},
        ),
        media,
    ),
    Feature(
        "video",
        asking(gemini={"inlineData": {"mimeType": "video/mp4", "data": SOUND}}),
        media,
    ),
    Feature(
        "part of a kind we do not know, such as `hologram`",
        asking(
            anthropic={"type": "hologram", "hologram": "around"},
            chat={"type": "hologram", "hologram": "around"},
            responses={"type": "input_hologram", "hologram": "around"},
            gemini={"hologram": {"seen": "around"}},
        ),
        contains("around"),
    ),
    Feature(
        "citations asked for",
        asking(
            anthropic={
                "type": "document",
                "source": base64_source("application/pdf", PAPER),
                "citations": {"enabled": True},
            }
        ),
        contains("enabled"),
    ),
    Feature(
        "web citations in the history",
        said(
            anthropic=[
                {
                    "type": "text",
                    "text": "So they say.",
                    "citations": [
                        {
                            "type": "web_search_result_location",
                            "url": PAPER_URL,
                            "title": "Tales",
                            "cited_text": "",
                            "encrypted_index": "x",
                        }
                    ],
                }
            ],
            responses=[
                {
                    "role": "assistant",
                    "content": [
                        {
                            "type": "output_text",
                            "text": "So they say.",
                            "annotations": [
                                {
                                    "type": "url_citation",
                                    "url": PAPER_URL,
                                    "title": "Tales",
                                    "start_index": 0,
                                    "end_index": 2,
                                }
                            ],
                        }
                    ],
                }
            ],
            chat={
                "content": "So they say.",
                "annotations": [
                    {"type": "url_citation", "url_citation": {"url": PAPER_URL, "title": "Tales"}}
                ],
            },
        ),
        contains(PAPER_URL),
    ),
    Feature(
        "image that the model drew, in the history",
        said(
            gemini=[{"inlineData": {"mimeType": "image/png", "data": DOT}}],
            responses=[{"type": "image_generation_call", "id": "ig_1", "result": DOT}],
        ),
        contains(DOT),
    ),
    Feature(
        "web search by the vendor, in the history",
        said(
            anthropic=[
                {
                    "type": "server_tool_use",
                    "id": "srvtoolu_1",
                    "name": "web_search",
                    "input": {"query": "tales"},
                },
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [
                        {
                            "type": "web_search_result",
                            "url": PAPER_URL,
                            "title": "Tales",
                            "encrypted_content": "x",
                        }
                    ],
                },
                {"type": "text", "text": "Seen."},
            ],
            responses=[
                {
                    "type": "web_search_call",
                    "id": "ws_1",
                    "status": "completed",
                    "action": {"type": "open_page", "url": PAPER_URL},
                }
            ],
        ),
        contains(PAPER_URL),
    ),
    Feature(
        "code run by the vendor, in the history",
        said(
            anthropic=[
                {
                    "type": "code_execution_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": {
                        "type": "code_execution_result",
                        "stdout": "forty-two",
                        "stderr": "",
                        "return_code": 0,
                        "content": [],
                    },
                },
                {"type": "text", "text": "Seen."},
            ],
            responses=[
                {
                    "type": "code_interpreter_call",
                    "id": "ci_1",
                    "code": "print()",
                    "outputs": [{"type": "logs", "logs": "forty-two"}],
                }
            ],
            gemini=[
                {"executableCode": {"language": "PYTHON", "code": "print()"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "forty-two"}},
            ],
        ),
        contains("forty-two"),
    ),
)
