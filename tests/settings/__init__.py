"""Tests of `aiproxy.settings`."""
