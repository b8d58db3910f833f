Upstreams of api_type `geminicli` and `antigravity`, paid by Google logins; both are experimental.
