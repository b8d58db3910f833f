"""Tests of the Chat Completions wire."""
