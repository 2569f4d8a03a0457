"""Why a document is not accepted, by what its holder has to do about it.

LicenseError
├── Damaged          it is not what was issued: copy it again, whole
├── UnknownKey       none of the keys of this version signed it: ask for a new one, or update
├── Forged           its signature is not right
├── Foreign          it is for another installation
├── TooEarly         it is not valid yet
├── Expired          it is not valid any more
└── Revoked          it was taken back
"""


class LicenseError(Exception):
    """``remedy``: one sentence that says what to do."""

    def __init__(self, told: str, remedy: str) -> None:
        super().__init__(told)
        self.remedy = remedy


class Damaged(LicenseError):
    """The text or its content is not what was issued, by accident or otherwise."""


class UnknownKey(LicenseError):
    """It names a key that is not pinned here."""


class Forged(LicenseError):
    """Everything reads well, and the signature is not that of the key it names."""


class Foreign(LicenseError):
    """It is bound to another installation."""


class TooEarly(LicenseError):
    """Its first day has not come."""


class Expired(LicenseError):
    """Its last day, and the grace after it, have passed."""


class Revoked(LicenseError):
    """The revocation list names it."""
