"""When an audience is no longer what a person looked at: whoever sends to it then waits for one, and says why."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from portal.models import Campaign, CampaignSegment, SegmentRun
from portal.services import audiences

# So many may join at one import whatever the share: of a handful each one is a large part.
FEW = 10


@dataclass(frozen=True)
class Compared:
    """An audience at the last look, and now."""

    before: int
    present: int
    looked_at: datetime | None
    most_percent: int

    @property
    def change(self) -> int:
        return self.present - self.before

    @property
    def percent(self) -> int | None:
        """By how much it has grown or shrunk; None where there was nobody."""
        return round(abs(self.change) * 100 / self.before) if self.before else None

    @property
    def is_odd(self) -> bool:
        return is_odd(self.before, self.present, self.most_percent)


def is_odd(before: int, present: int, most_percent: int) -> bool:
    """It differs by more than that share."""
    return abs(present - before) * 100 > most_percent * before


def compare(campaign: Campaign, present: int) -> Compared:
    return Compared(campaign.audience or 0, present, campaign.looked_at, campaign.guard_percent)


def objection(campaign: Campaign, present: int) -> str | None:
    """Why a person should look before a scheduled campaign is sent, though all is in order with the segments."""
    compared = compare(campaign, present)
    if not present:
        return f"Nobody is in the audience any more; there were {compared.before:,} when you last looked."
    if compared.is_odd:
        return (
            f"{_changed(compared)} since you last looked, by more than {campaign.guard_percent} %. "
            "Look whether that is right, then send it or cancel it."
        )
    return None


def objection_to_joiners(campaign: Campaign, part: CampaignSegment, run: SegmentRun, present: int) -> str | None:
    """The same for those who joined at one import. They are compared with all who were in the audience before."""
    joining, compared = audiences.count_joiners(campaign, run.id), compare(campaign, present)
    if joining > FEW and joining * 100 > campaign.guard_percent * compared.before:
        return (
            f"{joining:,} customers joined “{part.name}” at one import, more than {campaign.guard_percent} % of the "
            f"{compared.before:,} in the audience before. Look whether that is right, then send it to them or leave them out."
        )
    if -compared.change > FEW and compared.is_odd:
        return (
            f"{_changed(compared)} since the import before, by more than {campaign.guard_percent} %. "
            "Look whether that is right, then let it go on or cancel it."
        )
    return None


def _changed(compared: Compared) -> str:
    change = "grown" if compared.change > 0 else "shrunk"
    return f"The audience has {change} from {compared.before:,} to {compared.present:,}"
