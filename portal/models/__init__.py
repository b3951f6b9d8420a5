"""The rows. Importing this package registers every table; what a row means stands in its docstring."""

from portal.models.account import ApiKey, LoginFailure, LoginSession, Merchant, Role, User
from portal.models.audit import AuditEntry
from portal.models.card import Card, CardDesign, CardLink, CardMessage, CardPicture, CardSequence
from portal.models.connection import Connection, ConnectionState, EventChoice, Module, ModuleSwitch, OldGrant
from portal.models.customer import CardStatus, Customer
from portal.models.delivery import Call, Delivery, DeliveryLag, DeliveryMinute, DeliveryState, in_state
from portal.models.device import Device, DeviceComplaint, Registration
from portal.models.erasure import ErasedEvent, Erasure
from portal.models.event import Event, Unsent
from portal.models.heartbeat import Heartbeat, PeriodicTask
from portal.models.history import (
    ENDED,
    HistoryImport,
    ImportKind,
    ImportPiece,
    ImportProblem,
    ImportRow,
    ImportState,
)
from portal.models.loyalty import (
    Channel,
    FormerTier,
    PointsChange,
    Programme,
    Redemption,
    Reward,
    Rounding,
    Tier,
    TierBasis,
    TierLoss,
)
from portal.models.profile import (
    CaseKind,
    DriftCheck,
    IdentityCase,
    ProfileImport,
    ProfileSweep,
    ProfileSync,
    SentValue,
)
from portal.models.segment import Segment
from portal.models.segment_member import SegmentChange, SegmentMember, SegmentReach, Way, is_member
from portal.models.segment_run import RunState, SegmentPart, SegmentRun
from portal.models.trial import Examples, Trial
from portal.models.wallet_account import (
    AppleCertificate,
    GoogleAccount,
    GoogleCard,
    GoogleClass,
    GoogleNonce,
    Wallet,
    WalletHealth,
)

__all__ = [
    "ENDED",
    "ApiKey",
    "AppleCertificate",
    "AuditEntry",
    "Call",
    "Card",
    "CardDesign",
    "CardLink",
    "CardMessage",
    "CardPicture",
    "CardSequence",
    "CardStatus",
    "CaseKind",
    "Channel",
    "Connection",
    "ConnectionState",
    "Customer",
    "Delivery",
    "DeliveryLag",
    "DeliveryMinute",
    "DeliveryState",
    "Device",
    "DeviceComplaint",
    "DriftCheck",
    "ErasedEvent",
    "Erasure",
    "Event",
    "EventChoice",
    "Examples",
    "FormerTier",
    "GoogleAccount",
    "GoogleCard",
    "GoogleClass",
    "GoogleNonce",
    "Heartbeat",
    "HistoryImport",
    "IdentityCase",
    "ImportKind",
    "ImportPiece",
    "ImportProblem",
    "ImportRow",
    "ImportState",
    "LoginFailure",
    "LoginSession",
    "Merchant",
    "Module",
    "ModuleSwitch",
    "OldGrant",
    "PeriodicTask",
    "PointsChange",
    "ProfileImport",
    "ProfileSweep",
    "ProfileSync",
    "Programme",
    "Redemption",
    "Registration",
    "Reward",
    "Role",
    "Rounding",
    "RunState",
    "Segment",
    "SegmentChange",
    "SegmentMember",
    "SegmentPart",
    "SegmentReach",
    "SegmentRun",
    "SentValue",
    "Tier",
    "TierBasis",
    "TierLoss",
    "Trial",
    "Unsent",
    "User",
    "Wallet",
    "WalletHealth",
    "Way",
    "in_state",
    "is_member",
]
