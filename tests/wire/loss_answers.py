"""The rows of the loss table that are about answers, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiproxy import ir
from tests.wire.loss_probes import (
    Feature,
    Object,
    answer,
    beside,
    contains,
    media,
    message,
    parts_of,
    proof,
    replied,
    told,
)

DOT = "iVBORw0KGgo="
LIKELY = {
    "token": "So",
    "logprob": -0.25,
    "bytes": [83, 111],
    "top_logprobs": [{"token": "No", "logprob": -2.5, "bytes": None}],
}
TALES = "https://example.org/tales"
USAGE = {
    "anthropic": {
        "input_tokens": 7,
        "cache_read_input_tokens": 11,
        "cache_creation_input_tokens": 13,
        "output_tokens": 22,
        "output_tokens_details": {"thinking_tokens": 17},
    },
    "chat": {
        "prompt_tokens": 31,
        "prompt_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 13},
        "completion_tokens": 22,
        "completion_tokens_details": {"reasoning_tokens": 17},
    },
    "responses": {
        "input_tokens": 31,
        "input_tokens_details": {"cached_tokens": 11, "cache_write_tokens": 13},
        "output_tokens": 22,
        "output_tokens_details": {"reasoning_tokens": 17},
        "total_tokens": 53,
    },
}
_CACHED = {
    "promptTokenCount": 18,
    "cachedContentTokenCount": 11,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 17,
}


def _text(text: str = "So they say.", **more: object) -> Object:
    return {"type": "text", "text": text, **more}


def _output(text: str = "So they say.", **more: object) -> Object:
    return {"type": "output_text", "text": text, "annotations": [], **more}


_TWO_CHOICES = [
    {"index": at, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    for at, text in enumerate(("Yes.", "No."))
]
_TWO_CANDIDATES = [
    {"index": at, "content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP"}
    for at, text in enumerate(("Yes.", "No."))
]


def _usage(*wires: str) -> dict[str, Object]:
    said = {"anthropic": [_text()], "chat": {}, "responses": message(_output())}
    return {wire: answer(wire, said[wire], usage=USAGE[wire]) for wire in wires}


def _with_usage_of_gemini(bodies: Mapping[str, Object]) -> dict[str, Object]:
    return {**bodies, "gemini": answer("gemini", [{"text": "So."}], usageMetadata=_CACHED)}


def _with_kiro(*events: tuple[str, Object]) -> dict[str, Object]:
    return {"kiro": told(*events)}


def _metered() -> dict[str, Object]:
    counts = {
        "uncachedInputTokens": 7,
        "cacheReadInputTokens": 11,
        "cacheWriteInputTokens": 13,
        "outputTokens": 22,
    }
    return _with_kiro(("metadataEvent", {"tokenUsage": counts}))


def _likely(response: ir.Response) -> object:
    return [
        (one.token, one.logprob, [(other.token, other.logprob) for other in one.others])
        for part in response.parts
        if isinstance(part, ir.Text)
        for one in part.logprobs
    ]


def _tokens(response: ir.Response) -> ir.Usage:
    return response.usage or ir.Usage()


CITED: Mapping[str, Object] = {
    **replied(
        chat={
            "content": "So they say.",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": TALES,
                        "title": "Tales",
                        "start_index": 0,
                        "end_index": 2,
                    },
                }
            ],
        },
        responses=message(
            _output(
                annotations=[
                    {
                        "type": "url_citation",
                        "url": TALES,
                        "title": "Tales",
                        "start_index": 0,
                        "end_index": 2,
                    }
                ]
            )
        ),
    ),
    "gemini": answer(
        "gemini",
        [{"text": "So they say."}],
        groundingMetadata={
            "groundingChunks": [{"web": {"uri": TALES, "title": "Tales"}}],
            "groundingSupports": [
                {"segment": {"startIndex": 0, "endIndex": 2}, "groundingChunkIndices": [0]}
            ],
        },
    ),
}

ANSWERS: Sequence[Feature] = (
    Feature(
        "tool call: id, name, arguments",
        _with_kiro(
            ("toolUseEvent", {"toolUseId": "call_1", "name": "look", "input": '{"at":1}'}),
            ("toolUseEvent", {"toolUseId": "call_1", "name": "look", "stop": True}),
        )
        | replied(
            anthropic=[{"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": 1}}],
            chat={
                "content": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at":1}'},
                    }
                ],
            },
            responses=[
                {
                    "type": "function_call",
                    "call_id": "call_1",
                    "name": "look",
                    "arguments": '{"at":1}',
                }
            ],
            gemini=[{"functionCall": {"id": "call_1", "name": "look", "args": {"at": 1}}}],
        ),
        lambda response: [
            (part.id, part.name, part.arguments)
            for part in parts_of(response)
            if isinstance(part, ir.ToolCall)
        ],
    ),
    Feature(
        "thoughts",
        _with_kiro(("reasoningContentEvent", {"text": "Let me think."}))
        | replied(
            anthropic=[
                {"type": "thinking", "thinking": "Let me think.", "signature": "UHJvb2Y="},
                _text(),
            ],
            chat={"reasoning_content": "Let me think."},
            responses=[
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "Let me think."}],
                },
                *message(_output()),
            ],
            gemini=[{"text": "Let me think.", "thought": True}, {"text": "So they say."}],
        ),
        contains("Let me think."),
    ),
    Feature(
        "proof of Claude's thoughts",
        replied(
            anthropic=[
                {"type": "thinking", "thinking": "Let me think.", "signature": "UHJvb2Y="},
                _text(),
            ]
        ),
        proof("anthropic"),
        needle="UHJvb2Y=",
    ),
    Feature(
        "proof of a Kiro model's thoughts",
        _with_kiro(("reasoningContentEvent", {"text": "Hm.", "signature": "UHJvb2Y="})),
        proof("kiro"),
        needle="UHJvb2Y=",
    ),
    Feature(
        "proof of thoughts by a vendor behind Chat's",
        replied(chat={"reasoning_details": [{"type": "reasoning.encrypted", "data": "UHJv"}]}),
        beside("reasoning_details"),
    ),
    Feature(
        "redacted thoughts of Claude's",
        replied(anthropic=[{"type": "redacted_thinking", "data": "UHJvb2Y="}, _text()]),
        proof("anthropic"),
        needle="UHJvb2Y=",
    ),
    Feature(
        "proof of an OpenAI model's thoughts",
        replied(
            responses=[
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "UHJvb2Y="},
                *message(_output()),
            ]
        ),
        proof("openai"),
        needle="UHJvb2Y=",
    ),
    Feature(
        "Gemini's signature of a tool call",
        replied(
            gemini=[
                {
                    "functionCall": {"id": "call_1", "name": "look", "args": {}},
                    "thoughtSignature": "UHJvb2Y=",
                }
            ]
        ),
        proof("gemini"),
    ),
    Feature(
        "Gemini's signature of a text",
        replied(gemini=[{"text": "So they say.", "thoughtSignature": "UHJvb2Y="}]),
        proof("gemini"),
    ),
    Feature(
        "refusal",
        replied(
            chat={"content": None, "refusal": "I will not."},
            responses=message({"type": "refusal", "refusal": "I will not."}),
        ),
        contains("I will not."),
        forms={"anthropic": "as text"},
    ),
    Feature(
        "citations of web pages",
        {
            **CITED,
            **replied(
                anthropic=[
                    _text(
                        citations=[
                            {
                                "type": "web_search_result_location",
                                "url": TALES,
                                "title": "Tales",
                                "cited_text": "They say",
                                "encrypted_index": "x",
                            }
                        ]
                    )
                ]
            ),
        },
        contains(TALES),
    ),
    Feature(
        "the words that a web page is cited for",
        CITED,
        lambda response: [
            (citation.start, citation.end)
            for part in parts_of(response)
            if isinstance(part, ir.Text)
            for citation in part.citations
        ],
    ),
    Feature(
        "citations of files and documents",
        replied(
            anthropic=[
                _text(
                    citations=[
                        {
                            "type": "char_location",
                            "cited_text": "They say",
                            "document_index": 0,
                            "start_char_index": 0,
                            "end_char_index": 8,
                        }
                    ]
                )
            ],
            responses=message(
                _output(
                    annotations=[
                        {
                            "type": "file_citation",
                            "file_id": "file_1",
                            "filename": "tales.txt",
                            "index": 0,
                        }
                    ]
                )
            ),
        ),
        lambda response: any(
            isinstance(part, ir.Text) and (part.citations or contains("They say")(part))
            for part in parts_of(response)
        ),
    ),
    Feature(
        "image that the model drew",
        replied(
            chat={
                "images": [
                    {
                        "type": "image_url",
                        "image_url": {"url": f"data:image/png;base64,{DOT}"},
                    }
                ]
            },
            responses=[{"type": "image_generation_call", "id": "ig_1", "result": DOT}],
            gemini=[{"inlineData": {"mimeType": "image/png", "data": DOT}}],
        ),
        media,
    ),
    Feature(
        "audio that the model spoke",
        replied(gemini=[{"inlineData": {"mimeType": "audio/wav", "data": DOT}}]),
        media,
    ),
    Feature(
        "audio that the model spoke, with its transcript",
        replied(chat={"content": None, "audio": {"id": "a", "data": DOT, "transcript": "Beep."}}),
        contains(DOT),
    ),
    Feature(
        "web search by the vendor",
        replied(
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
                            "url": TALES,
                            "title": "Tales",
                            "encrypted_content": "x",
                        }
                    ],
                },
                _text(),
            ],
            responses=[
                {
                    "type": "web_search_call",
                    "id": "ws_1",
                    "status": "completed",
                    "action": {"type": "open_page", "url": TALES},
                },
                *message(_output()),
            ],
        ),
        contains(TALES),
    ),
    Feature(
        "code run by the vendor",
        replied(
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
                _text(),
            ],
            responses=[
                {
                    "type": "code_interpreter_call",
                    "id": "ci_1",
                    "code": "print()",
                    "outputs": [{"type": "logs", "logs": "forty-two"}],
                },
                *message(_output()),
            ],
            gemini=[
                {"executableCode": {"language": "PYTHON", "code": "print()"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "forty-two"}},
                {"text": "So they say."},
            ],
        ),
        contains("forty-two"),
    ),
    Feature(
        "tokens read from a cache",
        _metered() | _with_usage_of_gemini(_usage("anthropic", "chat", "responses")),
        lambda response: _tokens(response).cache_read,
    ),
    Feature(
        "tokens written to a cache",
        _metered() | _usage("anthropic", "chat", "responses"),
        lambda response: _tokens(response).cache_write or _tokens(response).input - 7,
        forms={"gemini": "counted as input"},
    ),
    Feature(
        "tokens of thoughts",
        _with_usage_of_gemini(_usage("anthropic", "chat", "responses")),
        lambda response: _tokens(response).reasoning,
    ),
    Feature(
        "log probabilities",
        {
            "chat": answer("chat", {}, logprobs={"content": [LIKELY]}),
            "responses": answer("responses", message(_output(logprobs=[LIKELY]))),
            "gemini": answer(
                "gemini",
                [{"text": "So."}],
                logprobsResult={
                    "chosenCandidates": [{"token": "So", "logProbability": -0.25}],
                    "topCandidates": [{"candidates": [{"token": "No", "logProbability": -2.5}]}],
                },
            ),
        },
        _likely,
    ),
    Feature(
        "ratings of safety",
        {
            "gemini": answer(
                "gemini",
                [{"text": "So."}],
                safetyRatings=[{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}],
            ),
            "chat": answer("chat", {}, content_filter_results={"hate": {"severity": "safe"}}),
        },
        beside("safetyRatings", "content_filter_results"),
    ),
    Feature(
        "what was searched for, and the page that the vendor wants shown",
        {
            "gemini": answer(
                "gemini",
                [{"text": "So."}],
                groundingMetadata={
                    "webSearchQueries": ["tales"],
                    "searchEntryPoint": {"renderedContent": "<b>tales</b>"},
                },
            )
        },
        beside("webSearchQueries", "searchEntryPoint"),
    ),
    Feature(
        "pages that were read for the answer",
        {
            "gemini": answer(
                "gemini",
                [{"text": "So."}],
                urlContextMetadata={"urlMetadata": [{"retrievedUrl": TALES}]},
            ),
            "chat": answer("chat", {}, search_results=[{"title": "Tales", "url": TALES}]),
        },
        beside("urlContextMetadata", "search_results"),
    ),
    Feature(
        "what kind of refusal it is",
        {
            "anthropic": answer(
                "anthropic",
                [_text()],
                stop_reason="refusal",
                stop_details={"type": "refusal", "category": "cyber"},
            )
        },
        beside("stop_details"),
    ),
    Feature(
        "container of code execution",
        {"anthropic": answer("anthropic", [_text()], container={"id": "container_1"})},
        beside("container"),
    ),
    Feature(
        "`phase` of a message",
        {"responses": answer("responses", [{**message(_output())[0], "phase": "commentary"}])},
        beside("phase"),
    ),
    Feature(
        "several answers to one request",
        {
            "chat": answer("chat", {}, choices=_TWO_CHOICES),
            "gemini": answer("gemini", [], candidates=_TWO_CANDIDATES),
        },
        lambda response: [(answer.number, answer.parts) for answer in response.others],
    ),
    Feature(
        "what a drawn image shows, in the vendor's words",
        replied(
            responses=[
                {"type": "image_generation_call", "result": DOT, "revised_prompt": "A dot."},
                *message(_output()),
            ]
        ),
        beside("revised_prompt"),
    ),
    Feature(
        "proofs that the vendor took out of the request",
        {
            "responses": answer(
                "responses", message(_output()), input_transformations=[{"id": "rs_1"}]
            )
        },
        beside("input_transformations"),
    ),
    Feature(
        "sources of code, further links",
        _with_kiro(
            ("codeReferenceEvent", {"references": [{"repository": "tales"}]}),
            ("supplementaryWebLinksEvent", {"supplementaryWebLinks": [{"url": TALES}]}),
        ),
        beside("codeReference", "supplementaryWebLinks"),
    ),
    Feature(
        "member that we do not know, such as `novelty`",
        {
            "anthropic": answer("anthropic", [_text()], novelty=1),
            "chat": answer("chat", {}, novelty=1),
            "responses": answer("responses", message(_output()), novelty=1),
            "gemini": answer("gemini", [{"text": "So."}], novelty=1),
            "kiro": told(("noveltyEvent", {"novelty": 1})),
        },
        beside("novelty"),
    ),
)
