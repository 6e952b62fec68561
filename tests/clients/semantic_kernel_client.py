"""semantic-kernel: `kernel.add_plugin_from_openapi`, from a file or a URL, and a function invoked."""

from __future__ import annotations

import asyncio
import re

import common
from semantic_kernel import Kernel
from semantic_kernel.connectors.openapi_plugin import OpenAPIFunctionExecutionParameters
from semantic_kernel.functions import KernelArguments


def leaves(value: object) -> dict:
    """A body as the arguments that semantic-kernel builds it from: properties by their own names."""
    found: dict = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        found |= leaves(inner) if isinstance(inner, dict) else {name: inner}
    return found


def load(job: dict):
    async def credentials(**_: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {common.token()}"}

    kernel = Kernel()
    plugin = kernel.add_plugin_from_openapi(
        "tested", job["source"],
        execution_settings=OpenAPIFunctionExecutionParameters(
            auth_callback=credentials, allow_private_network_access=True, timeout=20,
        ),
    )

    def call(wanted: dict) -> None:
        arguments = {re.sub(r"[^0-9A-Za-z_]+", "_", p["name"]): p["value"] for p in wanted["parameters"]}
        if wanted["body"]:
            arguments |= leaves(wanted["body"]["value"])
        result = asyncio.run(kernel.invoke(plugin[wanted["operation"]], KernelArguments(**arguments)))
        assert result is not None

    return sorted(plugin.functions), call


common.run(load)
