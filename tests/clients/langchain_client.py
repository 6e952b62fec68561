"""langchain-community: `OpenAPISpec` and the functions for a model that `openapi_spec_to_openai_fn`
makes of it, with the caller that belongs to them."""

from __future__ import annotations

import common
from langchain_classic.chains.openai_functions.openapi import openapi_spec_to_openai_fn
from langchain_community.utilities.openapi import OpenAPISpec

PLACES = {"query": "params", "header": "headers", "cookie": "cookies", "path": "path_params"}


def load(job: dict):
    source = job["source"]
    spec = OpenAPISpec.from_url(source) if source.startswith("https:") else OpenAPISpec.from_file(source)
    functions, request = openapi_spec_to_openai_fn(spec)

    def call(wanted: dict) -> None:
        arguments: dict = {}
        for parameter in wanted["parameters"]:
            arguments.setdefault(PLACES[parameter["in"]], {})[parameter["name"]] = parameter["value"]
        if wanted["body"]:
            offered = next(f for f in functions if f["name"] == wanted["operation"])["parameters"]["properties"]
            arguments["json" if "json" in offered else "data"] = wanted["body"]["value"]
        response = request(wanted["operation"], arguments, headers={"Authorization": f"Bearer {common.token()}"})
        response.raise_for_status()

    return [function["name"] for function in functions], call


common.run(load)
