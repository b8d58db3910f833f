"""`--demo`: a proxy and its simulated upstreams in one process."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

from twisted.application.service import Service

from aiproxy.logs import Sink
from aiproxy.providers import API_TYPES
from aiproxy.services import reloader
from aiproxy.settings import Source, parse
from aiproxy.tap.daemon import Daemon
from aiproxy.web import Listener, bound, shown


def demo(reactor: Any, sink: Sink) -> Daemon:
    """
    The whole demo; says where it answers, and a line to try it with.

    Raises: SystemExit with a message when it cannot start.
    """
    # Only here: nothing of it belongs into a process that serves real clients.
    from aiproxy import simulator

    try:
        upstream = bound("127.0.0.1", 0)
        logins = _Logins(simulator.DEMO_LOGINS)
    except OSError as error:
        raise SystemExit(f"aiproxy: the demo cannot start here: {error.strerror}") from None
    port = str(upstream.getsockname()[1])
    text = simulator.DEMO_CONFIG.replace("{port}", port).replace("{folder}", logins.folder)
    settings = parse(text, Source("demo.yaml", {}, reloader.read_text, API_TYPES))
    try:
        listening = bound(settings.bind, settings.port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        print(f"{shown(settings.bind, settings.port)} is taken, the demo goes to another port.")
        listening = bound(settings.bind, 0)
    print(_WELCOME.format(address=shown(*listening.getsockname()[:2])), flush=True)
    simulated = Listener(reactor, upstream, simulator.site())
    return Daemon(reactor, settings, listening, sink, [simulated, logins])


class _Logins(Service):
    """
    Auth files in a folder of their own, within the current one, as long as the demo runs.

    files: JSON documents by file name. folder: absolute.
    Raises: OSError.
    """

    def __init__(self, files: Mapping[str, Mapping[str, Any]]) -> None:
        self.folder = tempfile.mkdtemp(prefix=".aiproxy-demo-", dir=os.getcwd())
        for name, document in files.items():
            with open(os.path.join(self.folder, name), "x", encoding="utf-8") as file:
                json.dump(document, file)

    def stopService(self) -> None:
        super().stopService()
        shutil.rmtree(self.folder, ignore_errors=True)


_WELCOME = """\
aiproxy answers on http://{address} from simulated upstreams; no account or key is needed.
Try it:

curl -N http://{address}/v1/messages -H 'content-type: application/json' \\
  -d '{{"model": "echo", "max_tokens": 100, "stream": true,
       "messages": [{{"role": "user", "content": "Hello"}}]}}'
"""
