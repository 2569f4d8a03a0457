"""Metrics of replays: how far those under way are."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from appliance.domain.replay import Replay, ReplayProgress, ReplayState

UnderWay = Callable[[], Sequence[tuple[Replay, ReplayProgress]]]


class ReplayMetrics(Collector):
    """Asks when somebody scrapes; a pipeline without a replay has no series."""

    def __init__(self, under_way: UnderWay) -> None:
        self._under_way = under_way

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        now = list(self._under_way())
        yield from _of_all(now)
        gauges = {
            name: GaugeMetricFamily(name, told, labels=["pipeline"])
            for name, told in (
                ("dash_replay_done_events", "Events that the replay under way has refined."),
                ("dash_replay_wanted_events", "Events that the replay under way has to refine in all."),
                (
                    "dash_replay_events_per_second",
                    "Events refined a second over the last ten, by the replay under way.",
                ),
                ("dash_replay_throttled", "1 while the replay is held back in favour of live traffic."),
            )
        }
        for replay, progress in now:
            pipeline = [replay.pipeline_id]
            gauges["dash_replay_done_events"].add_metric(pipeline, progress.done_events)
            gauges["dash_replay_wanted_events"].add_metric(pipeline, progress.total_events)
            gauges["dash_replay_events_per_second"].add_metric(pipeline, progress.rate_per_sec)
            gauges["dash_replay_throttled"].add_metric(pipeline, int(progress.throttled))
        yield from gauges.values()


def _of_all(now: Sequence[tuple[Replay, ReplayProgress]]) -> Iterator[Metric]:
    counted = GaugeMetricFamily("dash_replays", "Replays that are not finished, by state.", labels=["state"])
    for state in (ReplayState.WAITING, ReplayState.REBUILDING, ReplayState.READY, ReplayState.SWAPPING):
        counted.add_metric([state.value], sum(replay.state is state for replay, _ in now))
    yield counted
