"""Licences: what they are, how they are signed and read, and what follows from one on a given day.

Stands alone: imports the standard library, ``cryptography`` and ``msgspec``, nothing of the appliance; reads no clock,
no file and no setting. ``issue`` is the vendor's side, and is not in the binary.
"""
