"""Backups: what there is, taken by hand and by schedule, verified. They are the whole installation's."""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from appliance.components.backups import BackupKeeper, KeptBackups
from appliance.components.jobs import NewJob
from appliance.components.lint import decode, lint
from appliance.domain.access import Action, Principal, require
from appliance.domain.backup import is_backup_id
from appliance.domain.backup_plan import BackupPlan, BackupRecord
from appliance.domain.backup_view import BackupView, view_of
from appliance.domain.clock import Clock, utc_now
from appliance.domain.ids import NodeId
from appliance.domain.job import JobState, on_node
from appliance.engine.bells import Bell
from appliance.errors import ConfigError, DashError, Invalid, NotFound, Problem
from appliance.services.backup_job import TAKE, VERIFY, BackupJob, taking
from appliance.services.backup_views import BackupRequest, BackupsView
from appliance.services.jobs import JobFilter, Jobs, JobView
from appliance.services.ports import Engine
from appliance.services.views import Page
from appliance.storage.control import backups as book
from appliance.storage.control.audit import Deed, record
from appliance.storage.control.jobs import enqueue
from appliance.storage.control.nodes import keepers
from appliance.storage.control.plane import ControlPlane


class Backups:
    """``job``: what does the work, run elsewhere."""

    def __init__(  # noqa: PLR0913 - the parts of one use case
        self,
        plane: ControlPlane,
        engine: Engine,
        keeper: BackupKeeper,
        jobs: Jobs,
        node_id: NodeId,
        clock: Clock = utc_now,
    ) -> None:
        self._plane, self._engine, self._keeper, self._jobs = plane, engine, keeper, jobs
        self._node_id, self._clock = node_id, clock
        self.bell: Bell = jobs.bell
        self.job = BackupJob(plane, keeper, node_id, self.bell, clock)

    async def overview(self, who: Principal) -> BackupsView:
        """Return all there is to see. A place that cannot be reached is told of, and the rest is answered."""
        require(who, Action.BACKUP_READ)
        kept, trouble = await self._kept()
        verdicts = kept.verdicts if kept is not None else {}
        plan, noted = await self._plane.read(self._planned)
        jobs = await self.under_way(who)
        return BackupsView(
            place=self._keeper.place,
            encrypted=kept.encrypted if kept is not None else False,
            plan=plan,
            next_at=plan.next_at(self._clock()) if self._keeper.place is not None else None,
            items=[view_of(one, verdicts.get(one.id)) for one in reversed(kept.backups)] if kept is not None else [],
            broken=kept.broken if kept is not None else [],
            trouble=trouble,
            record=noted,
            jobs=jobs,
        )

    async def under_way(self, who: Principal) -> list[JobView]:
        """Return the jobs that wait or run. Cheap: the place is not asked."""
        require(who, Action.BACKUP_READ)
        open_jobs = (JobState.READY, JobState.RUNNING)
        return [
            one for kind in (TAKE, VERIFY) for one in (await self._jobs.list(who, JobFilter(open_jobs, kind))).items
        ]

    async def latest(self, who: Principal) -> BackupView:
        """Return the newest backup. Raises NotFound: there is none."""
        require(who, Action.BACKUP_READ)
        kept, trouble = await self._kept()
        if kept is None or not kept.backups:
            raise NotFound(trouble or "there are no backups yet")
        newest = kept.backups[-1]
        return view_of(newest, kept.verdicts.get(newest.id))

    async def create(self, who: Principal, document: Any) -> Page[JobView]:
        """Have each node that keeps events take a backup of itself now; return the jobs.

        Raises:
            ConfigError: there is no place for them.
            Invalid: with every problem.
        """
        require(who, Action.BACKUP_MANAGE)
        wanted = decode(BackupRequest, document)
        if self._keeper.place is None:
            hint = "its operator sets backup.url, such as 'file:///mnt/backup' or 's3://bucket/prefix', and restarts"
            raise ConfigError([Problem("backup.url", "it is not said where backups of this appliance go", hint)])

        def work(tx: Session) -> list[str]:
            nodes = keepers(tx) or [self._node_id]
            return self._enqueued(tx, who, "backup.create", [taking(one, wanted.kind) for one in nodes])

        return await self._started(who, await self._plane.write(work))

    async def verify(self, who: Principal, backup_id: str) -> JobView:
        """Have one read whole, and what it holds opened. Raises NotFound."""
        require(who, Action.BACKUP_MANAGE)
        kept, trouble = await self._kept()
        known = {one.id for one in kept.backups} if kept is not None else set()
        if not is_backup_id(backup_id) or backup_id not in known:
            raise NotFound(trouble or f"there is no backup {backup_id[:80]!r}")
        need = () if self._engine.looks or not self._node_id else (on_node(self._node_id),)
        job = NewJob(kind=VERIFY, payload={"backup": backup_id}, needs=need, max_attempts=2)
        ids = await self._plane.write(lambda tx: self._enqueued(tx, who, "backup.verify", [job], backup_id))
        return (await self._started(who, ids)).items[0]

    async def plan(self, who: Principal) -> BackupPlan:
        """Return the schedule."""
        require(who, Action.BACKUP_READ)
        return await self._plane.read(book.plan)

    async def set_plan(self, who: Principal, document: Any) -> BackupPlan:
        """Replace the schedule. Raises Invalid, with every problem."""
        require(who, Action.BACKUP_MANAGE)
        if problems := _problems(document):
            raise Invalid(problems)
        wanted = msgspec.convert(document, BackupPlan)

        def save(tx: Session) -> None:
            now = self._clock()
            book.save_plan(tx, wanted, now)
            record(tx, _deed(who, "backup.plan", "backups", msgspec.to_builtins(wanted)), now)

        await self._plane.write(save)
        return wanted

    async def _kept(self) -> tuple[KeptBackups | None, str | None]:
        """Return what there is, or why that is not known."""
        if self._keeper.place is None:
            return None, None
        try:
            return await self._engine.workers.run("read", self._keeper.kept), None
        except DashError as error:
            return None, str(error)

    def _planned(self, tx: Session) -> tuple[BackupPlan, BackupRecord | None]:
        return book.plan(tx), book.record_of(tx, self._node_id)

    def _enqueued(self, tx: Session, who: Principal, action: str, jobs: list[NewJob], target: str = "") -> list[str]:
        now = self._clock()
        ids = [job_id for one in jobs if (job_id := enqueue(tx, one, now)) is not None]
        record(tx, _deed(who, action, target or "backups", {"jobs": ids}), now)
        return ids

    async def _started(self, who: Principal, ids: list[str]) -> Page[JobView]:
        self.bell.ring()
        return Page([await self._jobs.get(who, one) for one in ids])


def _deed(who: Principal, action: str, target: str, detail: dict[str, Any]) -> Deed:
    return Deed(organisation_id=who.organisation_id, who=who.name, action=action, target=target, detail=detail)


def _problems(document: Any) -> list[Problem]:
    """Return all that is wrong with a schedule, the expressions too where something else is not of its type."""
    said = document if isinstance(document, dict) else {}
    texts = {name: said[name] for name in ("incremental", "full", "timezone") if isinstance(said.get(name), str)}
    expressions = BackupPlan(**texts).problems()
    return lint(BackupPlan, document) + [Problem(f"/{name}", told) for name, told in expressions]
