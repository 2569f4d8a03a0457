"""Bronze across nodes: each ingestor has a log of its own, and any node can read all of them (decision 0022).

What belongs here: outward numbers over a log of local ones (``PartitionLog``), the log of another node over HTTP
(``RemoteLog``), and all of them as one (``ClusterBronze``). What does not: files of events (``storage.bronze``), who
is there and who has which partition (the control plane, asked through ``Holders``), and the room that answers
(``api.internal``).
"""

from appliance.storage.bronze_cluster.cluster import ClusterBronze, Own
from appliance.storage.bronze_cluster.no_log import NoLog
from appliance.storage.bronze_cluster.partition_log import PartitionLog
from appliance.storage.bronze_cluster.remote_log import RemoteLog

__all__ = ["ClusterBronze", "NoLog", "Own", "PartitionLog", "RemoteLog"]
