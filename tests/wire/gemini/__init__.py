"""Tests of the Gemini wire."""
