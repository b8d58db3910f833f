"""What geminicli and antigravity share: logins, projects, envelopes, limits."""
