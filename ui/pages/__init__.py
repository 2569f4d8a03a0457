"""One screen per file; each has ``register(screens)`` and goes through services only."""
