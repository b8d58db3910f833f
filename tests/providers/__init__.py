"""Tests of aiproxy.providers."""
