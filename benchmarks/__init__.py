"""
What aiproxy costs, next to what others cost in the same minutes on the same machine.

`make bench` runs `python -m benchmarks`. It starts an upstream that answers canned bytes, and the
subjects before it: nginx, a bare Klein + treq pass-through (the floor of every ratio) and aiproxy
as a child of twistd. All is on 127.0.0.1. CPU is read from /proc, children included.
"""
