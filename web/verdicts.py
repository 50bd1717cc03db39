"""The one table that gives every error of every package an HTTP status and an exit code.

It is keyed by names, so that looking at it imports nothing; a test walks all packages and fails when one is
missing.
The builtin engine is not in it: it is another program, which answers as ComfyUI does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """What one error means at each door."""

    status: int
    exit_code: int


BUG, USAGE, BAD_INPUT, NOT_FOUND, CONFLICT, REFUSED, FAILED = 1, 2, 3, 4, 5, 6, 7
NOT_RUNNING, OUTSIDE, DAMAGED, DENIED, TIMED_OUT, INTERRUPTED = 8, 9, 10, 11, 12, 130

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    BUG: "a bug of Stillframe; repeat with --debug",
    USAGE: "the command line itself is wrong",
    BAD_INPUT: "a name, file, workflow or value is wrong; nothing was changed",
    NOT_FOUND: "what was named does not exist",
    CONFLICT: "it exists already, or something else is in progress",
    REFUSED: "refused by a check (dependencies, preflight, what may be frozen); nothing was changed",
    FAILED: "it was tried and failed; the previous state is kept",
    NOT_RUNNING: "the platform, the workstation or an instance does not run",
    OUTSIDE: "something outside failed: the network, git, the disk",
    DAMAGED: "a file is damaged, or was made by a newer version",
    DENIED: "not allowed: a token or password is wrong or revoked",
    TIMED_OUT: "a wait reached its limit; what was waited for may still happen",
    INTERRUPTED: "interrupted with ctrl-C",
}

# Verdict -> module -> its error classes. A root stands for itself: that a bare one is raised would be a bug.
_TABLE: Mapping[Verdict, Mapping[str, str]] = {
    Verdict(500, BUG): {
        "snapshotter.transfer.errors": "TransferError",
        "workstation.saved_workflows.errors": "SavedWorkflowError",
        "workstation.arrivals.errors": "ArrivalError",
        "workstation.errors": "WorkstationError EngineError PluginError WorkflowError",
        "workstation.dependencies.errors": "DependencyError",
        "snapshotter.errors": "SnapshotterError ForkFailed",
        "snapshotter.copying": "Changed Unreadable",
        "snapshotter.backends.private_mounts": "NoPrivateMounts",
        "online_runtime.instance.errors": "InstanceError",
        "online_runtime.jobs.errors": "JobsError IllegalJobMove JobsDatabaseClosed",
        "online_runtime.gateway.errors": "GatewayError GatewayFault",
        "publisher.errors": "PublisherError IllegalMove LeaseLost",
        "publisher.drivers.errors": "DriverError BadInstanceId",
        "web.errors": "WebError",
        "web.editor.errors": "EditorError",
    },
    Verdict(400, BAD_INPUT): {
        "online_runtime.jobs.errors": "OutsideArchive",
        "online_runtime.gateway.errors": "BadPath PromptInvalid JobsQueryRefused",
    },
    Verdict(422, BAD_INPUT): {
        "workstation.saved_workflows.errors": "BadWorkflowName NotExportable",
        "snapshotter.transfer.errors": "ArchiveRefused UrlUnusable",
        "workstation.arrivals.errors": "ModelNameUnusable PartTooLong ModelBytesWrong",
        "workstation.errors": "BadName BadPluginName PluginSourceUnusable RefNotFound ArchiveRefused "
        "EngineSourceUnusable NotJson UiFormatWorkflow EmptyWorkflow HomeUnreadable",
        "workstation.dependencies.errors": "RequirementsUnreadable",
        "snapshotter.errors": "AmbiguousSnapshot",
        "online_runtime.gateway.errors": "BadSetting",
        "publisher.errors": "BadAccountName PasswordTooShort ConfigurationInvalid NotAcceptable",
        "web.errors": "SettingRefused UnknownSetting BadSetting RequestRefused FileUnreadable NodesUnknown",
    },
    Verdict(413, BAD_INPUT): {
        "web.editor.errors": "UploadTooLarge",
        "online_runtime.gateway.errors": "BodyTooLarge",
        "web.errors": "BodyTooLarge CallTooLarge",
    },
    Verdict(404, NOT_FOUND): {
        "workstation.saved_workflows.errors": "WorkflowNotFound",
        "web.editor.errors": "TemplateNotFound",
        "workstation.errors": "ProjectNotFound BaseNotFound PluginNotFound",
        "workstation.dependencies.errors": "PackageNotInstalled",
        "snapshotter.errors": "SnapshotNotFound",
        "online_runtime.gateway.errors": "UnknownPath UnknownService PromptUnknown FileMissing",
        "publisher.errors": "AccountNotFound ApiKeyNotFound ServiceNotFound DeploymentNotFound "
        "InstanceNotFound TokenNotFound "
        "ConfigurationNotFound SecretNotFound",
        "web.errors": "HomeNotFound NoSuchPage CallNotFound",
    },
    Verdict(422, NOT_FOUND): {"web.errors": "ModelsMissing"},
    Verdict(409, CONFLICT): {
        "snapshotter.transfer.errors": "TransferInProgress TargetOccupied",
        "workstation.arrivals.errors": "ModelExists ArrivalInProgress PartElsewhere",
        "workstation.errors": "OverlayRefused ProjectExists ProjectBusy ProjectRunning PluginExists",
        "snapshotter.errors": "FreezeInProgress WorkstationRuns SnapshotNeeded StoreBusy",
        "online_runtime.instance.errors": "AlreadyRunning SecretsNotHanded",
        "online_runtime.jobs.errors": "PromptIdTaken",
        "online_runtime.gateway.errors": "PromptUndecided",
        "publisher.errors": "AccountExists DeploymentInProgress CancelTooLate",
        "publisher.drivers.errors": "StillRunning DriverOccupied",
        "web.errors": "PlatformRunning PortTaken ServiceStillServes",
    },
    Verdict(409, REFUSED): {
        "snapshotter.transfer.errors": "BaseNotIncluded",
        "workstation.errors": "PluginPinned PluginHasLocalEdits PluginNotUpdatable ModelKeepsChanging",
        "workstation.dependencies.errors": "ProtectedChange DependencyConflict RequirementsDoNotResolve",
        "snapshotter.errors": "NotFreezable FileKeepsChanging WorkstationKeepsChanging NotRestorable",
        "publisher.errors": "LastAdmin RollbackRefused NothingDeployed NoFreeSlot",
        "web.errors": "AnswerNeeded Declined",
    },
    Verdict(422, REFUSED): {"online_runtime.jobs.errors": "IdempotencyKeyReused"},
    Verdict(502, REFUSED): {"web.errors": "CallRefused"},
    Verdict(500, FAILED): {
        "workstation.errors": "KeeperNotStarted StopFailed",
        "workstation.dependencies.errors": "InstallFailed EnvironmentNotMade",
        "online_runtime.instance.errors": "ViewRefused CopyFailed",
        "publisher.errors": "GatewayBehind GpusUnreadable SmokeFailed",
        "publisher.drivers.errors": "StartFailed StopFailed",
        "web.errors": "PartDidNotStart DeploymentNotSucceeded DemoFailed DoorRefused",
    },
    Verdict(502, FAILED): {"web.errors": "WorkflowFailed"},
    Verdict(410, FAILED): {"online_runtime.gateway.errors": "PromptLost PromptExpired OwnerGone"},
    Verdict(503, NOT_RUNNING): {
        "web.editor.errors": "FrontendNotInstalled EngineGone",
        "workstation.errors": "WorkstationNotRunning",
        "online_runtime.gateway.errors": "NoInstance GatewayNotReady JobsUnavailable",
        "web.errors": "ConsoleNotLoaded PlatformNotRunning WorkerNotRunning DoorUnreachable "
        "EngineUnreachable CallUnavailable DoorNotReady",
    },
    Verdict(503, OUTSIDE): {"publisher.errors": "ControlUnreachable"},
    Verdict(502, OUTSIDE): {
        "snapshotter.transfer.errors": "UrlFailed",
        "workstation.arrivals.errors": "DownloadFailed DownloadCutOff",
        "workstation.errors": "CloneFailed",
        "online_runtime.gateway.errors": "InstanceUnreachable InstanceAnswerBroken",
    },
    Verdict(507, OUTSIDE): {
        "snapshotter.errors": "StoreFull NoSyncfs NoRoomToRestore",
        "workstation.arrivals.errors": "NoRoomForModel",
        "snapshotter.transfer.errors": "TransferFull",
    },
    Verdict(500, DAMAGED): {
        "snapshotter.transfer.errors": "ArchiveTooNew ArchiveDamaged UrlTooNew UrlIncomplete",
        "workstation.errors": "HomeTooNew ProjectTooNew ProjectUnreadable BaseUnusable EngineMissing",
        "snapshotter.errors": "SnapshotDamaged StoreTooNew ObjectMissing ObjectDamaged TreeMalformed "
        "ManifestTooNew ManifestDamaged NotCollectable",
        "online_runtime.instance.errors": "SpecTooNew SpecUnreadable ViewMissing PlaceMissing BaseChanged",
        "online_runtime.jobs.errors": "JobsDatabaseTooNew DatabaseNotSupported",
        "publisher.errors": "ControlTooNew SecretKeyMissing SecretKeyUnusable SecretSealedOtherwise "
        "SecretDamaged",
        "publisher.drivers.errors": "InstanceUnreadable",
    },
    Verdict(401, DENIED): {
        "online_runtime.gateway.errors": "TokenRefused",
        "web.errors": "CredentialsWrong CallDenied",
    },
    Verdict(403, DENIED): {"web.errors": "OriginRefused NotAllowed"},
    Verdict(429, DENIED): {"web.errors": "TooManyAttempts"},
    Verdict(499, INTERRUPTED): {"online_runtime.gateway.errors": "CallerGone"},
    Verdict(504, TIMED_OUT): {
        "snapshotter.transfer.errors": "UrlSilent",
        "workstation.errors": "NotReady",
        "web.errors": "WaitedTooLong",
    },
}
VERDICTS: Mapping[str, Verdict] = {
    f"{module}.{name}": verdict
    for verdict, modules in _TABLE.items()
    for module, names in modules.items()
    for name in names.split()
}


def verdict_of(error: type[BaseException]) -> Verdict | None:
    """The verdict on an error class, or on the nearest of its parents that the table has.

    None when there is none.
    """
    for ancestor in error.__mro__:
        verdict = VERDICTS.get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if verdict is not None:
            return verdict
    return None
