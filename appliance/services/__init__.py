"""Use cases shared by API, screens and commands, one file per noun: authorisation, audit and transactions live here.

Every method takes ``who`` first and raises the errors of ``appliance.errors``; what belongs to another organisation is
NotFound. Nothing here knows HTTP, and nothing here knows a concrete store or source.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from appliance.services.answers import Answers
    from appliance.services.backups import Backups
    from appliance.services.branding import Branding
    from appliance.services.chunks import PipelineChunks
    from appliance.services.comparisons import Comparisons
    from appliance.services.dashboards import Dashboards
    from appliance.services.databases import Databases
    from appliance.services.drift import DriftFindings
    from appliance.services.erasures import Erasures
    from appliance.services.jobs import Jobs
    from appliance.services.ledgers import Ledgers
    from appliance.services.letters import DeadLetters
    from appliance.services.licenses import Licenses
    from appliance.services.lineage import Lineages
    from appliance.services.maintenance import Maintenances
    from appliance.services.nodes import Nodes
    from appliance.services.operations import Operations
    from appliance.services.organisation_changes import OrganisationChanges
    from appliance.services.organisations import Organisations
    from appliance.services.pipelines import Pipelines
    from appliance.services.points import Points
    from appliance.services.previews import Previews
    from appliance.services.provider_sign_in import ProviderSignIn
    from appliance.services.queries import Queries
    from appliance.services.records import Records
    from appliance.services.replays import Replays
    from appliance.services.resources import Resources
    from appliance.services.retention_rules import RetentionRules
    from appliance.services.sessions import Sessions
    from appliance.services.setup import Setup
    from appliance.services.sign_in_providers import SignInProviders
    from appliance.services.storage import Storage
    from appliance.services.suggestions import Suggestions
    from appliance.services.support import Support
    from appliance.services.tokens import Tokens
    from appliance.services.upgrades import Upgrades
    from appliance.services.users import Users
    from appliance.services.versions import Versions


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases, wired by compose; what API and screens are handed."""

    setup: "Setup"
    databases: "Databases"
    sessions: "Sessions"
    users: "Users"
    providers: "SignInProviders"
    provider_sign_in: "ProviderSignIn"
    tokens: "Tokens"
    organisations: "Organisations"
    organisation_changes: "OrganisationChanges"
    pipelines: "Pipelines"
    chunks: "PipelineChunks"
    versions: "Versions"
    replays: "Replays"
    records: "Records"
    dead_letters: "DeadLetters"
    ledgers: "Ledgers"
    previews: "Previews"
    comparisons: "Comparisons"
    suggestions: "Suggestions"
    drift: "DriftFindings"
    queries: "Queries"
    points: "Points"
    lineages: "Lineages"
    dashboards: "Dashboards"
    answers: "Answers"
    erasures: "Erasures"
    retention: "RetentionRules"
    storage: "Storage"
    jobs: "Jobs"
    nodes: "Nodes"
    licenses: "Licenses"
    backups: "Backups"
    operations: "Operations"
    resources: "Resources"
    maintenance: "Maintenances"
    support: "Support"
    upgrades: "Upgrades"
    branding: "Branding"
