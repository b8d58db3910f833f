Upstreams of api_type `kiro`, paid by logins of Kiro (AWS Builder ID, IAM Identity Center, a company's identity provider, Google or GitHub).
