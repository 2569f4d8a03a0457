"""Commands: parse, call a service, print, exit code. Nothing is decided here.

A command's module imports what is heavy inside its function, so that ``--help`` answers at once.
"""
