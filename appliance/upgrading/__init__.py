"""From one release to the next, and back by itself where the next one does not come up healthy.

Runs beside the service, as whoever owns the program: it stops the service, has the release that runs take a snapshot of
control plane and rows, exchanges the link ``current``, starts the service again, and looks at it. What a release does
with its own data it does itself: this one only calls its commands. Events lie in Bronze and are never put back: what
came in meanwhile is refined again.
"""
