An upstream's `metadata` replaces what drifts with a vendor's releases (versions, user agents, client ids); `oauth_client_secret` is for renewals that need one.
