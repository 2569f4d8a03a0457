"""Measured claims. Each prints a ratio against a yardstick of the same run, since machines are shared and noisy.

``python -m benchmarks`` (or ``make bench``) runs all of them; ``python -m benchmarks receive`` one. Load goes to
127.0.0.1 only and ends by itself.
"""
