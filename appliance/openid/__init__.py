"""OpenID Connect as a relying party: discovery, keys, the code flow with PKCE, and the proof of an ID token.

What is protocol is Authlib's and joserfc's; requests go by ``Outbound`` alone. All but ``metadata``, which needs none
of them, is imported when somebody comes by a provider or one is tried, not at start.
"""
