`workers: N` (or `auto`) starts several processes that share the port, supervised by the first; `listen: systemd` takes a socket that systemd has opened.
