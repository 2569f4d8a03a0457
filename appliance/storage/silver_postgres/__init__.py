"""Silver on PostgreSQL: one schema per organisation in a database of the administrator's, any number of nodes.

``store.PostgresSilver`` is the adapter, ``registry.Silvers`` the stores of all organisations on one pool. What nodes
must not do at the same time is kept apart by the database (``locks``); no process remembers what another may change.
"""
