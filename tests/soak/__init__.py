"""Minutes of mixed traffic with faults, leaving clients and reloads: `make soak`."""
