"""Who is measured: the canned upstream itself, nginx, the bare pass-throughs, aiproxy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bodies import PATHS
from benchmarks.processes import Child, free_port, python
from benchmarks.report import READING

KINDS = ("plain", "stream", "agent", "paced", "first", "held")

_TWISTD = ("-c", "from twisted.scripts.twistd import run; run()")

_NGINX = """\
daemon off;
pid nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 8192; }}
http {{
    access_log access.log;
    client_max_body_size 64m;
    client_body_buffer_size 16m;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000;
    upstream canned {{
        server 127.0.0.1:{upstream};
        keepalive 64;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{
            proxy_pass http://canned;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Subject:
    """
    name: as the report has it. port: where clients call it. pid: root of its processes.

    is_router: it finds the upstream by the model; the others by the path.
    """

    name: str
    port: int
    pid: int
    is_router: bool = False

    def path(self, kind: str, wire: str) -> str:
        return PATHS[wire] if self.is_router else f"/{kind.partition('-')[0]}{PATHS[wire]}"


@dataclass(frozen=True)
class Subjects:
    """All of them, running. nginx: None where it is not installed."""

    upstream: Subject
    nginx: Subject | None
    bare: Subject
    reading: Subject
    aiproxy: Subject

    def named(self, names: tuple[str, ...]) -> list[Subject]:
        everybody = (self.upstream, self.nginx, self.bare, self.reading, self.aiproxy)
        return [one for one in everybody if one is not None and one.name in names]


@contextmanager
def running(folder: Path) -> Iterator[Subjects]:
    """Starts all; stops them in the end. folder: for their files."""
    with ExitStack() as stack:
        port = free_port()
        upstream = stack.enter_context(
            python("upstream", "benchmarks.upstream", (str(port),), port, folder)
        )
        nginx = stack.enter_context(_nginx(port, folder)) if shutil.which("nginx") else None
        bare = stack.enter_context(_bare("bare", port, folder))
        reading = stack.enter_context(_bare("reading", port, folder, "json"))
        proxy = stack.enter_context(aiproxy(port, folder))
        yield Subjects(
            Subject("upstream", port, upstream.pid),
            Subject("nginx", nginx.port, nginx.pid) if nginx is not None else None,
            Subject("bare", bare.port, bare.pid),
            Subject(READING, reading.port, reading.pid),
            Subject("aiproxy", proxy.port, proxy.pid, is_router=True),
        )


def _bare(name: str, upstream: int, folder: Path, *options: str) -> Child:
    port = free_port()
    return python(name, "benchmarks.bare", (str(port), str(upstream), *options), port, folder)


def _nginx(upstream: int, folder: Path) -> Child:
    port = free_port()
    home = folder / "nginx"
    home.mkdir(parents=True, exist_ok=True)
    (home / "nginx.conf").write_text(_NGINX.format(port=port, upstream=upstream))
    return Child("nginx", ("nginx", "-p", ".", "-c", "nginx.conf"), port, home)


def aiproxy(upstream: int, folder: Path, program: tuple[str, ...] = _TWISTD) -> Child:
    """A new aiproxy as twistd's child. program: runs twistd; arguments of the interpreter."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"config-{port}.yaml"
    config.write_text(configuration(port, upstream))
    arguments = ("-n", "--pidfile=", "aiproxy", "--config", config.name)
    return Child(f"aiproxy-{port}", (sys.executable, *program, *arguments), port, folder)


def configuration(port: int, upstream: int) -> str:
    """One upstream for each kind and wire; each calls its model by another name than clients."""
    text = f'bind: 127.0.0.1\nlisten: ":{port}"\nlog: {{file: aiproxy-{port}.log}}\n'
    text += "max_concurrent_requests: 4096\nupstreams:\n"
    for kind in KINDS:
        for wire, api_type, version in (("anthropic", "anthropic", ""), ("chat", "openai", "/v1")):
            text += (
                f"  - name: {kind}-{wire}\n    api_type: {api_type}\n    token: none\n"
                f"    base_url: http://127.0.0.1:{upstream}/{kind}{version}\n"
                f"    model_mappings: {{{kind}-{wire}: upstream-model}}\n"
                f"    available_models: [{kind}-{wire}]\n"
            )
    return text
