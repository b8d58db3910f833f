"""
The floor: a pass-through of stock Klein and treq that does nothing else.

    python -m benchmarks.bare PORT UPSTREAM_PORT
"""

from __future__ import annotations

import sys
from typing import Any

import treq
from klein import Klein
from twisted.internet import endpoints, reactor
from twisted.web.http_headers import Headers
from twisted.web.server import Site

app = Klein()
upstream = f"http://127.0.0.1:{sys.argv[2]}"


@app.route("/", branch=True, methods=["POST"])
async def passed_on(request: Any) -> None:
    answer = await treq.post(
        upstream + request.uri.decode(),
        data=request.content.read(),
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
