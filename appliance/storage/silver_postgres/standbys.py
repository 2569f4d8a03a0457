"""Replicas with what belongs to them: their connections and the threads that watch them."""

from collections.abc import Sequence

from appliance.storage.silver_postgres.connections import Connections
from appliance.storage.silver_postgres.replica_watch import EVERY_SECS, ReplicaWatch
from appliance.storage.silver_postgres.replicas import Replica, Replicas


class Standbys:
    """Owns what it is given. Replicas are watched from the start to ``close``.

    ``primary``: a connection that nobody else waits for. ``copies``: of each replica the name, for the log, and
    connections, of which ``replicas.SPARE`` are for watching it. ``max_lag_secs``: as ``Replicas``.
    """

    def __init__(self, primary: Connections, copies: Sequence[tuple[str, Connections]], max_lag_secs: float) -> None:
        found = [Replica(number, name, connections) for number, (name, connections) in enumerate(copies, 1)]
        self.replicas = Replicas(found, max_lag_secs)
        self._connections = [primary, *(one.connections for one in found)]
        every_secs = min(EVERY_SECS, max(0.1, max_lag_secs / 4))  # each look makes them as good as new
        self._watches = [ReplicaWatch(one, primary, self.replicas, every_secs) for one in found]
        for watch in self._watches:
            watch.start()

    def close(self) -> None:
        """End the threads and close the connections; a second call does nothing."""
        for watch in self._watches:
            watch.stop()
        for connections in self._connections:
            connections.close()
