"""Tests of aiproxy.routing."""
