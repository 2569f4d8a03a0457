"""The user's own PostgreSQL, as values: where it is, why it cannot be reached, what was found there, what that means.

Nothing here connects to anything: ``storage.control`` does, and hands its facts to the functions of this package.
"""
