"""The vendor's public keys: whose signatures under licences and revocation lists count.

In the code and nowhere else, so that no file, setting or variable of an installation adds one. A key comes here from
``python -m license.issue key``; a new one is added a release before it signs, an old one goes when nothing signed by it
is in use. Empty: licences are refused as signed by an unknown key, and everything Community allows works.
"""

from typing import Final

from license.keys import KeyRing

PUBLIC_KEYS: Final[tuple[str, ...]] = ()  # in hex
PINNED: Final = KeyRing(bytes.fromhex(key) for key in PUBLIC_KEYS)
