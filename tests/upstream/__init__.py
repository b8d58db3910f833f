"""Tests of aiproxy.upstream."""
