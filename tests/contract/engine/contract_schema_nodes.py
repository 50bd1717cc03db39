"""Not a test: a plugin whose nodes are schemas (V3), for the contract suite. It needs no torch."""

from comfy_api.latest import ComfyExtension, io


class SchemaJoin(io.ComfyNode):
    """One widget of each kind."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SchemaJoin",
            display_name="Join by schema",
            category="contract/schema",
            description="Joins what it gets.",
            inputs=[
                io.String.Input("text", default="a", multiline=True, tooltip="a text"),
                io.Int.Input("count", default=2, min=1, max=5, step=1),
                io.Float.Input("share", default=0.5, min=0.0, max=1.0, step=0.1, optional=True),
                io.Boolean.Input("loud", default=False),
                io.Combo.Input("kind", options=["x", "y"], default="y"),
                io.AnyType.Input("extra", optional=True),
            ],
            outputs=[
                io.String.Output("joined", tooltip="the whole"),
                io.Int.Output(display_name="length"),
                io.String.Output("letters", is_output_list=True),
            ],
        )

    @classmethod
    def execute(cls, text, count, loud, kind, share=None, extra=None):
        joined = f"{text * count}/{share}/{kind}/{extra}"
        joined = joined.upper() if loud else joined
        return io.NodeOutput(joined, len(joined), list(joined))


class SchemaShow(io.ComfyNode):
    """An output node with hidden inputs."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SchemaShow",
            category="contract/schema",
            inputs=[io.MultiType.Input("value", types=[io.String, io.Int])],
            outputs=[],
            hidden=[io.Hidden.unique_id, io.Hidden.extra_pnginfo],
            is_output_node=True,
            is_experimental=True,
        )

    @classmethod
    def execute(cls, value):
        told = [value, cls.hidden.unique_id, cls.hidden.extra_pnginfo]
        return io.NodeOutput(ui={"told": [told]})


class SchemaPicky(io.ComfyNode):
    """Validates, tells what makes it new, and works asynchronously."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SchemaPicky",
            category="contract/schema",
            inputs=[io.String.Input("text"), io.String.Input("other", lazy=True)],
            outputs=[io.Custom("WORD").Output()],
            is_deprecated=True,
        )

    @classmethod
    def validate_inputs(cls, text):
        return "this text is bad" if text == "bad" else True

    @classmethod
    def fingerprint_inputs(cls, text, other=None):
        return float("nan") if text.startswith("new") else text

    @classmethod
    def check_lazy_status(cls, text, other):
        return ["other"] if text.endswith("lazy") and other is None else []

    @classmethod
    async def execute(cls, text, other):
        return io.NodeOutput(f"word {text} {other}")


class SchemaTakeWord(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="SchemaTakeWord",
            category="contract/schema",
            inputs=[io.Custom("WORD").Input("word")],
            outputs=[io.String.Output()],
        )

    @classmethod
    def execute(cls, word):
        if word == "word stop here":
            return io.NodeOutput(word, block_execution="stopped by schema")
        return io.NodeOutput(word)


class ContractExtension(ComfyExtension):
    async def on_load(self):
        type(self).loaded = True

    async def get_node_list(self):
        return [SchemaJoin, SchemaShow, SchemaPicky, SchemaTakeWord]


async def comfy_entrypoint():
    return ContractExtension()
