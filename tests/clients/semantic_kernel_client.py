"""semantic-kernel: `kernel.add_plugin_from_openapi`, from a file or a URL, and a function invoked."""

from __future__ import annotations

import asyncio
import re

import common
from semantic_kernel import Kernel
from semantic_kernel.connectors.openapi_plugin import OpenAPIFunctionExecutionParameters
from semantic_kernel.connectors.openapi_plugin.openapi_parser import OpenApiParser
from semantic_kernel.functions import KernelArguments


PARSED: dict[str, dict] = {}
READ = OpenApiParser.parse


def parse(self: OpenApiParser, source: str, *more: object, **named: object) -> dict:
    """As it is, but once only for each document."""
    if source not in PARSED:
        PARSED.clear()
        PARSED[source] = READ(self, source, *more, **named)
    return PARSED[source]


OpenApiParser.parse = parse


def unsendable(document: dict) -> list[str]:
    """Operations whose body semantic-kernel has no media type for."""
    return [
        operation["operationId"] for item in document["paths"].values() for operation in item.values()
        if isinstance(operation, dict) and "operationId" in operation
        and not set(operation.get("requestBody", {}).get("content", {"text/plain": {}})) & set(OpenApiParser.SUPPORTED_MEDIA_TYPES)
    ]


def leaves(value: object) -> dict:
    """A body as the arguments that semantic-kernel builds it from: properties by their own names."""
    found: dict = {}
    for name, inner in value.items() if isinstance(value, dict) else ():
        found |= leaves(inner) if isinstance(inner, dict) else {name: inner}
    return found


def load(job: dict):
    async def credentials(**_: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {common.token()}"}

    def loaded(kernel: Kernel, **more: object):
        settings = OpenAPIFunctionExecutionParameters(
            auth_callback=credentials, allow_private_network_access=True, timeout=20, **more,
        )
        return kernel.add_plugin_from_openapi("tested", job["source"], execution_settings=settings)

    kernel = Kernel()
    try:
        plugin = loaded(kernel)
    except Exception as error:
        if "Neither of the media types" not in str(error):
            raise
        # One body that it can not send makes it refuse the whole document. Its users can leave such
        # operations out; the others must work then.
        job["said"] = "it takes bodies in application/json and text/plain only, and refuses the document unless its user leaves the others out"
        plugin = loaded(kernel, operations_to_exclude=unsendable(PARSED[job["source"]]))

    def call(wanted: dict) -> None:
        arguments = {re.sub(r"[^0-9A-Za-z_]+", "_", p["name"]): p["value"] for p in wanted["parameters"]}
        if wanted["body"]:
            arguments |= leaves(wanted["body"]["value"])
        result = asyncio.run(kernel.invoke(plugin[wanted["operation"]], KernelArguments(**arguments)))
        assert result is not None

    return sorted(plugin.functions), call


common.run(load)
