"""Signs of life, and when periodic work is next due: both are rows, so that health never depends on Redis."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Model, UtcDateTime


class Heartbeat(Model):
    """One row is a process that said it is alive: `kind` is "ticker", "worker" or "importer"."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class PeriodicTask(Model):
    """One row is a task of the periodic table and when it is next due."""

    __tablename__ = "periodic_tasks"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ran_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
