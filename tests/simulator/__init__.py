"""Tests of aiproxy.simulator."""
