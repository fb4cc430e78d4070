"""The input schema of a trained version, as Replicate embeds it: enums apart and referenced."""

from typing import Any


def trained_version_schema(*, without: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    """An `openapi_schema` with the inputs of a trained FLUX version; `changes` overlay single inputs."""
    properties: dict[str, Any] = {
        "prompt": {"type": "string", "title": "Prompt", "x-order": 0},
        "seed": {"type": "integer", "title": "Seed", "x-order": 1},
        "model": {"allOf": [{"$ref": "#/components/schemas/model"}], "default": "dev"},
        "aspect_ratio": {"allOf": [{"$ref": "#/components/schemas/aspect_ratio"}], "default": "1:1"},
        "num_outputs": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4},
        "num_inference_steps": {"type": "integer", "default": 28, "minimum": 1, "maximum": 50},
        "guidance_scale": {"type": "number", "default": 3, "minimum": 0, "maximum": 10},
        "output_format": {"allOf": [{"$ref": "#/components/schemas/output_format"}], "default": "webp"},
        "output_quality": {"type": "integer", "default": 80, "minimum": 0, "maximum": 100},
        "go_fast": {"type": "boolean", "default": False},
        "disable_safety_checker": {"type": "boolean", "default": False},
        "lora_scale": {"type": "number", "default": 1, "minimum": -1, "maximum": 3},
        "replicate_weights": {"type": "string"},
        "extra_lora": {"type": "string"},
    }
    properties |= changes
    for name in without:
        del properties[name]
    schemas = {
        "Input": {"type": "object", "title": "Input", "required": ["prompt"], "properties": properties},
        "Output": {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"},
        "model": {"type": "string", "enum": ["dev", "schnell"]},
        "aspect_ratio": {"type": "string", "enum": ["1:1", "3:4", "9:16"]},
        "output_format": {"type": "string", "enum": ["webp", "jpg", "png"]},
    }
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "components": {"schemas": schemas},
    }
