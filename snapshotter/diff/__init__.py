"""What differs between two snapshots, or a snapshot and the workstation: values, text and JSON."""

from snapshotter.diff.changes import (
    BaseChange,
    CacheChange,
    Change,
    ComponentChange,
    EngineChange,
    FileChange,
    ModelChange,
    Move,
    PackageChange,
    PluginChange,
    SnapshotDiff,
)
from snapshotter.diff.compare import diff
from snapshotter.diff.facts import packages_of

__all__ = [
    "BaseChange",
    "CacheChange",
    "Change",
    "ComponentChange",
    "EngineChange",
    "FileChange",
    "ModelChange",
    "Move",
    "PackageChange",
    "PluginChange",
    "SnapshotDiff",
    "diff",
    "packages_of",
]
