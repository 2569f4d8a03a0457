"""Every component in this binary, literally: so that grep, the type checker and the freezer all see it."""

from typing import Any, Final, NamedTuple

import msgspec

from appliance.components.resources import Resources
from appliance.components.source import PullSource, PushSource
from appliance.sources.graphql_poll import GraphqlPoll, GraphqlPollConfig
from appliance.sources.host_metrics import HostMetrics, HostMetricsConfig
from appliance.sources.http_poll import HttpPoll, HttpPollConfig
from appliance.sources.pipeline import PipelineConfig, PipelineRows
from appliance.sources.webhook import Webhook, WebhookConfig


class SourceComponent(NamedTuple):
    """A declaration, and the class that takes it."""

    config: type[msgspec.Struct]
    source: type[Any]  # PushSource or PullSource, made with (config, resources)


SOURCES: Final[dict[str, SourceComponent]] = {
    "webhook": SourceComponent(WebhookConfig, Webhook),
    "http_poll": SourceComponent(HttpPollConfig, HttpPoll),
    "graphql_poll": SourceComponent(GraphqlPollConfig, GraphqlPoll),
    "pipeline": SourceComponent(PipelineConfig, PipelineRows),
    "host_metrics": SourceComponent(HostMetricsConfig, HostMetrics),
}


def source_config_type(type_name: str) -> type[msgspec.Struct] | None:
    """Return the declaration of the source of that type; None: there is none."""
    component = SOURCES.get(type_name)
    return component.config if component else None


def make_source(config: dict[str, Any], resources: Resources) -> PushSource | PullSource:
    """Return the source that ``config["type"]`` names. ``config`` was linted when it was saved."""
    component = SOURCES[config["type"]]
    source: PushSource | PullSource = component.source(msgspec.convert(config, component.config), resources)
    return source
