"""Bytes to messages and back, one module per framing."""
