"""
The hub: a request, a reply and a stream of events that belong to no vendor.

Every wire decodes into these values and encodes from them; nothing converts one wire to another
directly. All values are frozen, all unions closed: an encoder matches every member and ends in
`assert_never`, so a new member breaks the type check of each codec that forgot it.

What only one wire understands travels in `Extras` or as an `Opaque` part, tagged with that wire.
An encoder writes them back for its own wire and reports them as `Loss` for any other.

Decoders keep the source's grouping (one Turn for each message or item); encoders merge, split and
reorder as their target demands.
"""

from aiproxy.errors import ErrorReply
from aiproxy.ir.folding import (
    fold,
    is_content,
    is_empty,
    settled_stop,
    unfold,
)
from aiproxy.ir.parts import (
    JSON,
    Citation,
    Extras,
    Inline,
    Loss,
    Media,
    MediaKind,
    Opaque,
    Part,
    PlainText,
    Proof,
    Reasoning,
    Refusal,
    Remote,
    Source,
    Text,
    ToolCall,
    ToolKind,
    ToolResult,
    Uploaded,
)
from aiproxy.ir.reply import (
    ArgumentsDelta,
    BlockStarted,
    BlockStopped,
    Broken,
    CitationAdded,
    Event,
    Finished,
    ProofAdded,
    ReasoningDelta,
    RefusalDelta,
    Reply,
    Response,
    Started,
    StopReason,
    TextDelta,
    Usage,
)
from aiproxy.ir.request import (
    Effort,
    HostedTool,
    OutputFormat,
    Request,
    Role,
    Sampling,
    SearchScope,
    Thinking,
    Tool,
    ToolChoice,
    Turn,
)

__all__ = [
    "JSON",
    "ArgumentsDelta",
    "BlockStarted",
    "BlockStopped",
    "Broken",
    "Citation",
    "CitationAdded",
    "Effort",
    "ErrorReply",
    "Event",
    "Extras",
    "Finished",
    "HostedTool",
    "Inline",
    "Loss",
    "Media",
    "MediaKind",
    "Opaque",
    "OutputFormat",
    "Part",
    "PlainText",
    "Proof",
    "ProofAdded",
    "Reasoning",
    "ReasoningDelta",
    "Refusal",
    "RefusalDelta",
    "Remote",
    "Reply",
    "Request",
    "Response",
    "Role",
    "Sampling",
    "SearchScope",
    "Source",
    "Started",
    "StopReason",
    "Text",
    "TextDelta",
    "Thinking",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "ToolKind",
    "ToolResult",
    "Turn",
    "Uploaded",
    "Usage",
    "fold",
    "is_content",
    "is_empty",
    "settled_stop",
    "unfold",
]
