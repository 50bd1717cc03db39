"""`comfy.cli_args`: the arguments that plugins look at."""

from __future__ import annotations

from argparse import Namespace

from ...arguments import Arguments

args = Namespace()


def fill(arguments: Arguments) -> None:
    """Show `arguments` under ComfyUI's names."""
    args.__dict__.update(
        listen=arguments.listen,
        port=arguments.port,
        base_directory=str(arguments.base_directory),
        cpu=arguments.cpu,
        lowvram=arguments.lowvram,
        preview_method=arguments.preview_method,
        disable_all_custom_nodes=arguments.disable_all_custom_nodes,
        disable_metadata=False,
        disable_xformers=arguments.disable_xformers,
        use_pytorch_cross_attention=arguments.attention == "sdpa",
        multi_user=False,
        verbose="INFO",
    )
