"""Tests of aiproxy.services."""
