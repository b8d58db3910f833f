"""Tests of aiproxy: run by `make test`, laid out as the package is."""
