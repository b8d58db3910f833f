"""Tests of aiproxy.wire.kiro."""
