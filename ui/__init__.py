"""The screens: NiceGUI pages that go through services only. No store, no engine and no HTTP client belongs here.

A page is built once on the server; what moves afterwards comes over the feed and is drawn in the browser (``static/``).
"""
