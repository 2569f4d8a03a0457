"""Takes out of obstore's sight what it would read by itself: credentials, endpoints and proxies of the environment.

obstore reads every ``AWS_*`` variable when a store is made, and the HTTP client below it the proxies; neither can be
told not to. An archive is where the settings say, with the credentials that the settings name, and by no other way.
"""

import os
import re

_AMBIENT = re.compile(r"AWS_.*|(HTTPS?|ALL|NO)_PROXY", re.IGNORECASE)


def forget_ambient() -> None:
    """Remove these variables from this process for good: nothing in it may follow them."""
    for name in [name for name in os.environ if _AMBIENT.fullmatch(name)]:
        del os.environ[name]
