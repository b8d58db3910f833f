"""State with a lifetime: which upstream, which credential, which configuration, which calls."""
