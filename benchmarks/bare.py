"""
The floor: a pass-through of stock Klein and treq that does nothing else.

    python -m benchmarks.bare PORT UPSTREAM_PORT [json]

json: it also reads what clients ask, as whoever looks for a model must, and writes it anew.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import treq
from klein import Klein
from twisted.internet import endpoints, reactor
from twisted.web.http_headers import Headers
from twisted.web.server import Site

app = Klein()
upstream = f"http://127.0.0.1:{sys.argv[2]}"
is_reading = "json" in sys.argv


@app.route("/", branch=True, methods=["POST"])
async def passed_on(request: Any) -> None:
    body = request.content.read()
    if is_reading:
        body = json.dumps(json.loads(body)).encode()
    answer = await treq.post(
        upstream + request.uri.decode(),
        data=body,
        headers=Headers({"Content-Type": ["application/json"]}),
        unbuffered=True,
    )
    request.setResponseCode(answer.code)
    for name in ("Content-Type", "Content-Length"):
        if (values := answer.headers.getRawHeaders(name)) is not None:
            request.responseHeaders.setRawHeaders(name, values)
    await treq.collect(answer, request.write)


clock: Any = reactor
endpoint = endpoints.TCP4ServerEndpoint(clock, int(sys.argv[1]), 1024, "127.0.0.1")
endpoint.listen(Site(app.resource()))
clock.run()
