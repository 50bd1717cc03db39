"""What can go wrong with saved workflows.

SavedWorkflowError
├── WorkflowNotFound
├── BadWorkflowName
└── NotExportable
"""

from __future__ import annotations

from collections.abc import Sequence

from workstation.errors import WorkflowError


class SavedWorkflowError(WorkflowError):
    """Root of all errors of this package."""


class WorkflowNotFound(SavedWorkflowError):
    """No workflow of that name is saved."""

    def __init__(self, name: str, existing: Sequence[str]) -> None:
        self.name, self.existing = name, tuple(existing)
        known = ", ".join(existing) or "none is saved yet"
        super().__init__(f"There is no saved workflow {name!r} (saved: {known}).")


class BadWorkflowName(SavedWorkflowError):
    """A name that leaves the folder of workflows, or is none."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} cannot name a workflow: take words and folders, without `..` or a dot first."
        )


class NotExportable(SavedWorkflowError):
    """A workflow of the editor that cannot be brought into API format here."""

    def __init__(self, node: str, reason: str) -> None:
        self.node, self.reason = node, reason
        super().__init__(
            f"Node {node} cannot be exported: {reason}. Open the workflow in the editor and choose "
            "Workflow > Export (API) instead."
        )
