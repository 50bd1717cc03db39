"""`comfy_api`: nodes declared by schemas (V3). Only `latest` is here; other versions are placeholders."""
