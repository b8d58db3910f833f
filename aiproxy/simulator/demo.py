"""The configuration of `--demo`: one upstream of each api_type, all simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiproxy.simulator.sides.kiro import PROFILE

DEMO_CONFIG = """\
# What `twistd -n aiproxy --demo` runs with: every upstream is simulated, no key is needed.
bind: 127.0.0.1
listen: ":8080"

upstreams:
  - name: demo-anthropic
    api_type: anthropic
    base_url: http://127.0.0.1:{port}
    token: demo
    available_models: [echo, long, thinking, tool, image, claude-demo]
    model_mappings:
      claude-demo: echo

  - name: demo-openai
    api_type: openai
    base_url: http://127.0.0.1:{port}/v1
    token: demo
    available_models: [echo, long, tool, json, chat-demo]
    model_mappings:
      chat-demo: echo

  - name: demo-responses
    api_type: responses
    base_url: http://127.0.0.1:{port}/v1
    token: demo
    available_models: [echo, long, thinking, slow, gpt-demo]
    model_mappings:
      gpt-demo: echo

  - name: demo-gemini
    api_type: gemini
    base_url: http://127.0.0.1:{port}
    token: demo
    available_models: [echo, long, thinking, image, gemini-demo, busy]
    model_mappings:
      gemini-demo: echo
      busy: error-503

  # Paid by logins: each side of the simulator knows the account "demo" from the start.
  - name: demo-codex
    api_type: codex
    base_url: http://127.0.0.1:{port}/codex
    token_url: http://127.0.0.1:{port}/codex/oauth/token
    auth_files: {folder}/codex.json
    available_models: [echo, long, thinking, codex-demo]
    model_mappings:
      codex-demo: echo

  - name: demo-claudecode
    api_type: claudecode
    base_url: http://127.0.0.1:{port}/claudecode
    token_url: http://127.0.0.1:{port}/claudecode/v1/oauth/token
    auth_files: {folder}/claudecode.json
    available_models: [echo, long, thinking, tool, claudecode-demo]
    model_mappings:
      claudecode-demo: echo

  - name: demo-geminicli
    api_type: geminicli
    base_url: http://127.0.0.1:{port}/geminicli
    token_url: http://127.0.0.1:{port}/geminicli/token
    auth_files: {folder}/geminicli.json
    oauth_client_secret: demo
    available_models: [echo, long, thinking, geminicli-demo]
    model_mappings:
      geminicli-demo: echo

  - name: demo-antigravity
    api_type: antigravity
    base_url: http://127.0.0.1:{port}/antigravity
    token_url: http://127.0.0.1:{port}/antigravity/token
    auth_files: {folder}/antigravity.json
    oauth_client_secret: demo
    available_models: [echo, long, thinking, antigravity-demo]
    model_mappings:
      antigravity-demo: echo

  - name: demo-kiro
    api_type: kiro
    base_url: http://127.0.0.1:{port}/kiro
    token_url: http://127.0.0.1:{port}/kiro/refreshToken
    auth_files: {folder}/kiro.json
    available_models: [echo, long, thinking, tool, kiro-demo]
    model_mappings:
      kiro-demo: echo

  # Any other name, such as error-429, cut-mid or claude-sonnet-4-5: the simulator's behaviours.
  - name: demo-anything
    api_type: anthropic
    base_url: http://127.0.0.1:{port}
    token: demo

model_fallback:
  busy: echo
"""
"""`{port}`: of the simulator. `{folder}`: of the files below. The text holds no other braces."""

_RENEWAL = "refresh-canary-demo-1"
"""What every simulated login service takes from the account "demo" for its first access token."""

DEMO_LOGINS: Mapping[str, Mapping[str, Any]] = {
    "codex.json": {
        "OPENAI_API_KEY": None,
        "tokens": {"id_token": "", "access_token": "", "refresh_token": _RENEWAL},
    },
    "claudecode.json": {"claudeAiOauth": {"accessToken": "", "refreshToken": _RENEWAL}},
    "geminicli.json": {"access_token": "", "refresh_token": _RENEWAL, "expiry_date": 1},
    "antigravity.json": {
        "type": "antigravity",
        "access_token": "",
        "refresh_token": _RENEWAL,
        "expires_in": 3599,
        "timestamp": 1,
    },
    "kiro.json": {
        "accessToken": "",
        "refreshToken": _RENEWAL,
        "authMethod": "social",
        "provider": "Google",
        "profileArn": PROFILE,
    },
}
"""Auth files as the vendors' own programs write them, by file name; each is renewed before use."""
