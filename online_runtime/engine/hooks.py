"""Functions of plugins that see each prompt before it is validated."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hooks:
    """What plugins registered by PromptServer.add_on_prompt_handler."""

    prompt_handlers: list[Callable[[Any], Any]] = field(default_factory=list)

    def on_prompt(self, body: Any) -> Any:
        """The request's body as the handlers leave it; one that fails is logged and left out."""
        for handler in self.prompt_handlers:
            try:
                body = handler(body)
            except Exception:
                log.exception("A plugin's prompt handler failed; the prompt goes on without it")
        return body
