"""Running things: receive, refine, poll and tell who listens. Is handed stores and sources, imports none of them."""
