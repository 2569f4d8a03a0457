"""Puts the services together from what compose hands over. No concrete store, source or engine is named here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from appliance.components.archive import ArchiveState
from appliance.components.backups import BackupKeeper
from appliance.components.comparison import Compare
from appliance.components.resources import Outbound
from appliance.components.suggestion import Suggest
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NOWHERE, NodeId, OrganisationId
from appliance.engine.bells import Bell
from appliance.engine.incident_watch import IncidentWatch
from appliance.services import Services
from appliance.services.allowance import Allowance
from appliance.services.answers import Answers
from appliance.services.backups import Backups
from appliance.services.branding import Branding
from appliance.services.chunks import PipelineChunks
from appliance.services.comparisons import Comparisons
from appliance.services.dashboards import Dashboards
from appliance.services.databases import Chooser, Databases
from appliance.services.definitions import CheckMapping, Definitions
from appliance.services.drift import DriftFindings
from appliance.services.erasure_finding import Finding, PayloadFinder
from appliance.services.erasures import Erasures
from appliance.services.jobs import Jobs
from appliance.services.ledgers import Ledgers
from appliance.services.letters import DeadLetters
from appliance.services.licenses import Licenses
from appliance.services.lineage import Lineages
from appliance.services.maintenance import Maintenances
from appliance.services.nodes import Nodes
from appliance.services.operations import Operations
from appliance.services.organisation_changes import OrganisationChanges, Rows
from appliance.services.organisations import Organisations
from appliance.services.ownership import Ownership
from appliance.services.passwords import Passwords
from appliance.services.pipeline_changes import PipelineChanges
from appliance.services.pipelines import Pipelines
from appliance.services.points import Points
from appliance.services.ports import Amender, Catalog, Engine, Exporter, Replaying
from appliance.services.previews import Previews
from appliance.services.provider_rows import barred
from appliance.services.provider_sign_in import ProviderSignIn
from appliance.services.queries import Queries
from appliance.services.records import Records
from appliance.services.replay_book import ControlBook
from appliance.services.replays import Replays
from appliance.services.resources import Resources
from appliance.services.retention_rules import RetentionRules
from appliance.services.sample import Sample
from appliance.services.sessions import Lifetime, Sessions
from appliance.services.setup import Setup
from appliance.services.sign_in_providers import Reception, SignInProviders, speaker
from appliance.services.storage import Disk, Here, Storage, Watch
from appliance.services.suggestions import Suggestions
from appliance.services.support import Support
from appliance.services.tokens import Tokens
from appliance.services.upgrades import Stager, Upgrades
from appliance.services.users import Users
from appliance.services.versions import Versions
from appliance.storage.control.plane import ControlPlane
from appliance.storage.control.vault import Vault


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What services work with. ``settings``: those in force, as they may be shown; ``base_url``: see Definitions."""

    plane: ControlPlane
    vault: Vault
    engine: Engine
    catalog: Catalog
    check_mapping: CheckMapping
    compare: Compare
    suggest: Suggest
    exporter: Exporter
    outbound: Outbound
    amender: Amender
    replaying: Callable[[ControlBook], Replaying]  # makes those of this process, which keep that book
    disk: Disk
    watch: Watch
    archive: Callable[[], ArchiveState] | None = None  # how archiving goes; None: nothing is archived
    finder: PayloadFinder
    chooser: Chooser
    allowance: Allowance
    keeper: BackupKeeper
    incidents: IncidentWatch
    stager: Stager
    forget_rows: Callable[[OrganisationId], None]
    node_id: NodeId = NOWHERE
    base_url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    lifetime: Lifetime = field(default_factory=Lifetime)
    clock: Clock = utc_now
    passwords: Passwords = field(default_factory=Passwords)


def assemble(parts: Parts) -> Services:
    """Return all services."""
    plane, engine, clock = parts.plane, parts.engine, parts.clock
    definitions = Definitions(parts.catalog, parts.vault, parts.check_mapping, parts.base_url)
    ownership = Ownership(plane)
    changes = PipelineChanges(plane, definitions, engine, parts.allowance, clock)
    pipelines = Pipelines(plane, definitions, engine, changes)
    book = ControlBook(plane, definitions, changes, clock)
    queries = Queries(ownership, engine, clock)
    dashboards = Dashboards(plane, queries, clock)
    sessions = Sessions(plane, parts.passwords, parts.lifetime, clock)
    tokens = Tokens(plane, clock)
    maintenance = Maintenances(plane, clock)
    sessions.judge = tokens.judge = maintenance.judged
    sessions.barred = barred
    speaks = cache(partial(speaker, parts.outbound))
    reception = Reception(parts.vault, parts.allowance, speaks, definitions.base_url)
    setup = Setup(plane, parts.passwords, sessions, tokens, Sample(pipelines, dashboards))
    storage = Storage(plane, engine, Here(parts.disk, parts.watch, parts.node_id, parts.archive), clock)
    erasures = Erasures(plane, parts.vault, engine, Finding(engine, parts.finder), clock)
    jobs = Jobs(plane, erasures.bell, clock)
    return Services(
        setup=setup,
        databases=Databases(setup, parts.chooser),
        sessions=sessions,
        users=Users(plane, parts.passwords, parts.allowance, clock),
        providers=SignInProviders(plane, reception, clock),
        provider_sign_in=ProviderSignIn(plane, sessions, reception, clock),
        tokens=tokens,
        organisations=Organisations(plane, parts.settings, parts.watch, clock),
        organisation_changes=OrganisationChanges(
            plane, Rows(engine, parts.forget_rows), parts.allowance, parts.passwords, clock
        ),
        pipelines=pipelines,
        chunks=PipelineChunks(plane, engine, pipelines, clock),
        versions=Versions(plane, definitions, pipelines, changes, engine),
        replays=Replays(plane, book, parts.replaying(book), engine, clock),
        records=Records(ownership, engine, parts.exporter, clock),
        dead_letters=DeadLetters(plane, ownership, engine, parts.amender, clock),
        ledgers=Ledgers(ownership, engine, clock),
        previews=Previews(ownership, engine, parts.check_mapping, clock),
        suggestions=Suggestions(ownership, engine, parts.suggest, clock),
        drift=DriftFindings(plane, engine, clock),
        comparisons=Comparisons(plane, engine, parts.check_mapping, parts.compare, clock),
        queries=queries,
        points=Points(ownership, engine, clock),
        lineages=Lineages(plane, ownership, engine),
        dashboards=dashboards,
        answers=Answers(plane, parts.vault, clock),
        erasures=erasures,
        retention=RetentionRules(plane, clock),
        storage=storage,
        jobs=jobs,
        nodes=Nodes(plane, engine, parts.node_id, Bell(), clock),
        licenses=Licenses(plane, parts.allowance, clock),
        backups=Backups(plane, engine, parts.keeper, jobs, parts.node_id, clock),
        operations=Operations(plane, parts.incidents, clock),
        upgrades=Upgrades(plane, engine.workers, parts.stager, clock),
        resources=Resources(plane, storage, clock),
        maintenance=maintenance,
        branding=Branding(plane, parts.allowance, clock),
        support=Support(plane, engine, parts.incidents, parts.settings, clock),
    )
