"""The types of inputs and outputs in schemas: `io.Image.Input("image")`, `io.Custom("WORD").Output()`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, StrEnum
from typing import Any, ClassVar

# Python's names of options, where /object_info has others.
_NAMES = {
    "widget_type": "widgetType",
    "force_input": "forceInput",
    "display_mode": "display",
    "dynamic_prompts": "dynamicPrompts",
}


class NumberDisplay(StrEnum):
    """How a number is edited."""

    number = "number"
    slider = "slider"


class FolderType(StrEnum):
    """The folders whose files nodes name."""

    input = "input"
    output = "output"
    temp = "temp"


class UploadType(StrEnum):
    """What a choice of files lets people upload."""

    image = "image_upload"
    audio = "audio_upload"
    video = "video_upload"
    model = "file_upload"


class Input:
    """One declared input. Options are those of /object_info, by their Python names; None is not given."""

    io_type: ClassVar[str] = "*"
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.id = id
        self.optional = optional
        given = {"display_name": display_name, "tooltip": tooltip, "lazy": lazy, **self.defaults, **options}
        self.options = {
            _NAMES.get(key, key): _plain(value)
            for key, value in {**given, **(extra_dict or {})}.items()
            if value is not None
        }

    @property
    def type(self) -> str:
        """The type that links to this input carry."""
        return str(self.options.get("widgetType", self.io_type))

    def declared(self) -> tuple[str, dict[str, Any]]:
        """The input as INPUT_TYPES declares it."""
        return self.type, dict(self.options)


class ComboInput(Input):
    """A choice; `options` are its values, or an Enum of them."""

    io_type = "COMBO"

    def __init__(self, id: str, options: Any = None, upload: Any = None, **named: Any) -> None:
        named.setdefault("multiselect", False)
        super().__init__(id, **named)
        if upload is not None:
            self.options[UploadType(upload).value] = True
        if options is not None:
            members = isinstance(options, type) and issubclass(options, Enum)
            self.options["options"] = [_plain(one) for one in options] if members else list(options)


class MultiInput(Input):
    """An input that takes several types; the first argument may be an Input whose widget it has."""

    def __init__(self, id: str | Input, types: Iterable[Any], *more: Any, **named: Any) -> None:
        self._types = [one.io_type for one in types]
        if isinstance(id, Input):
            self.id, self.optional, self.options = id.id, id.optional, {**id.options, "widgetType": id.type}
            self._types = [id.type, *self._types]
        else:
            super().__init__(id, *more, **named)

    @property
    def type(self) -> str:
        return ",".join(dict.fromkeys(self._types))


class Template:
    """What inputs and outputs of one `MatchType` share: any of the allowed types."""

    def __init__(self, template_id: str, allowed_types: Any = None) -> None:
        self.template_id = template_id
        types = allowed_types if isinstance(allowed_types, list | tuple) else [allowed_types or "*"]
        self.io_type = ",".join(getattr(one, "io_type", str(one)) for one in types)


class MatchInput(Input):
    """An input of a template's types. That all of one template are equal is left to the editor."""

    def __init__(self, id: str, template: Template, **named: Any) -> None:
        super().__init__(id, **named)
        self.options["template_id"] = template.template_id
        self._type = template.io_type

    @property
    def type(self) -> str:
        return self._type


class Output:
    """One declared output; its name is `display_name`, else its type."""

    io_type: str = "*"

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
        **_: Any,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class MatchOutput(Output):
    """An output of a template's types; it may come first, as in newer versions, or by name."""

    def __init__(self, *places: Any, template: Template | None = None, **named: Any) -> None:
        given = [one for one in places if not isinstance(one, Template)]
        super().__init__(*given, **named)
        chosen = template or next((one for one in places if isinstance(one, Template)), None)
        self.io_type = chosen.io_type if chosen else "*"


def type_named(io_type: str, name: str | None = None, of: type[Input] = Input, **defaults: Any) -> Any:
    """A type of links, with its `Input` and `Output`; `Type` is what annotations of plugins name."""
    named = name or io_type
    inner = {"io_type": io_type, "__module__": __name__}
    made_input = type("Input", (of,), {**inner, "__qualname__": f"{named}.Input", "defaults": defaults})
    made_output = type("Output", (Output,), {**inner, "__qualname__": f"{named}.Output"})
    return type(named, (), {**inner, "Type": Any, "Input": made_input, "Output": made_output})


def comfytype(io_type: str, **_: Any) -> Callable[[type], type]:
    """Decorate a class of a plugin as a type: it gets the Input and Output that it does not have."""

    def decorate(cls: type) -> type:
        made = type_named(io_type, cls.__name__)
        for part in ("io_type", "Type", "Input", "Output"):
            if part not in vars(cls):
                setattr(cls, part, getattr(made, part))
        return cls

    return decorate


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
