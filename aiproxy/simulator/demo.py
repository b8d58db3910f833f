"""The configuration of `--demo`: one upstream of each api_type with a key, all simulated."""

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

  # Any other name, such as error-429, cut-mid or claude-sonnet-4-5: the simulator's behaviours.
  - name: demo-anything
    api_type: anthropic
    base_url: http://127.0.0.1:{port}
    token: demo

model_fallback:
  busy: echo
"""
"""`{port}`: of the simulator; the text holds no other braces."""
