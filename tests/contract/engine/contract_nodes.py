"""Not a test: the plugin that the contract suite puts into an engine's custom_nodes. It needs no torch."""

# ruff: noqa: N802 - INPUT_TYPES is the node protocol's name

import time

import comfy.utils
import folder_paths
from aiohttp import web
from PIL import Image
from server import PromptServer

LIMIT_SECONDS = 20.0


@PromptServer.instance.routes.get("/contract/hello")
async def hello(request):
    return web.json_response({"hello": request.query.get("name")})


class ContractText:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": "hello", "multiline": True})}}

    RETURN_TYPES = ("STRING",)
    FUNCTION = "run"
    CATEGORY = "contract"

    def run(self, text):
        return (text,)


class ContractShow:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": ""})}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "contract"
    OUTPUT_NODE = True

    def run(self, text):
        return {"ui": {"text": [text]}}


class ContractSave:
    """Saves a small picture with an alpha channel."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"prefix": ("STRING", {"default": "contract"})}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "contract"
    OUTPUT_NODE = True

    def run(self, prefix):
        folder, stem, counter, subfolder, _ = folder_paths.get_save_image_path(
            prefix, folder_paths.get_output_directory()
        )
        name = f"{stem}_{counter:05}_.png"
        Image.new("RGBA", (16, 8), (200, 100, 50, 128)).save(f"{folder}/{name}")
        return {"ui": {"images": [{"filename": name, "subfolder": subfolder, "type": "output"}]}}


class ContractSlow:
    """Makes steps, each with a preview, until it is interrupted."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"name": ("STRING", {"default": ""}), "steps": ("INT", {"default": 2, "min": 1})}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "contract"
    OUTPUT_NODE = True

    def run(self, name, steps):
        bar = comfy.utils.ProgressBar(steps)
        end = time.monotonic() + LIMIT_SECONDS
        for step in range(steps):
            bar.update_absolute(step + 1, steps, ("JPEG", Image.new("RGB", (8, 8)), 512))
            if steps > 10:
                time.sleep(0.01)
            if time.monotonic() > end:
                raise TimeoutError("nobody interrupted")
        return {"ui": {"text": [name]}}


class ContractFail:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"text": ("STRING", {"default": ""})}}

    RETURN_TYPES = ()
    FUNCTION = "run"
    CATEGORY = "contract"
    OUTPUT_NODE = True

    def run(self, text):
        raise ValueError(f"failed as asked: {text}")


NODE_CLASS_MAPPINGS = {
    node_class.__name__: node_class
    for node_class in (ContractText, ContractShow, ContractSave, ContractSlow, ContractFail)
}
NODE_DISPLAY_NAME_MAPPINGS = {"ContractText": "A text"}
