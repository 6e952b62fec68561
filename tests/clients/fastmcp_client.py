"""fastmcp: `FastMCP.from_openapi`, and a tool called by a client of that server."""

from __future__ import annotations

import asyncio
import json
import logging

import common
import httpx2
import yaml
from fastmcp import Client, FastMCP

LOST: list[str] = []


class Listener(logging.Handler):
    """fastmcp logs what it leaves out of a document, and goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        LOST.append(record.getMessage())


def listen() -> None:
    logging.disable(logging.NOTSET)
    names = ["fastmcp", *(name for name in logging.root.manager.loggerDict if name.startswith("fastmcp."))]
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [Listener(logging.ERROR)], False


def load(job: dict):
    listen()
    LOST.clear()
    content = common.text(job["source"])
    document = json.loads(content) if job["source"].endswith(".json") else yaml.safe_load(content)
    http = httpx2.AsyncClient(
        base_url=job["origin"], headers={"Authorization": f"Bearer {common.token()}"}, timeout=20,
    )
    server = FastMCP.from_openapi(document, client=http)
    tools = {tool.name: tool for tool in asyncio.run(server.list_tools())}
    routes = {tool._route.operation_id or name: name for name, tool in tools.items()}
    if LOST:
        raise ValueError(f"left out: {LOST[0]}")

    async def use(name: str, arguments: dict) -> None:
        async with Client(server) as client:
            await client.call_tool(name, arguments)

    def call(wanted: dict) -> None:
        name = routes[wanted["operation"]]
        offered = tools[name].parameters["properties"]
        arguments: dict = {}
        for parameter in wanted["parameters"]:
            suffixed = f"{parameter['name']}__{parameter['in']}"
            arguments[suffixed if suffixed in offered else parameter["name"]] = parameter["value"]
        if wanted["body"]:
            value = wanted["body"]["value"]
            arguments |= value if isinstance(value, dict) and "body" not in offered else {"body": value}
        asyncio.run(use(name, arguments))

    return list(routes), call


common.run(load)
