"""Tests of aiproxy.simulator.sides."""
