"""Tests of aiproxy.translate."""
