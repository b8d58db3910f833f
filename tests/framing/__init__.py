"""Tests of aiproxy.framing."""
