"""Pieces that several pages are made of. Those that move carry ``data-live`` and are driven by ``static/``."""
