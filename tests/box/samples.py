"""Values that fit a schema, and of a document the operation that is easiest to call with them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from real_documents import operations

DEEPEST = 8
TEXTS = ("abc", "7", "2024-01-31", "2024-01-31T09:30:00Z", "10000000-0000-4000-8000-000000000001", "a@example.com", "https://example.com/a", "en")
FORMATS = {
    "date": "2024-01-31", "date-time": "2024-01-31T09:30:00Z", "uuid": "10000000-0000-4000-8000-000000000001",
    "email": "a@example.com", "uri": "https://example.com/a", "url": "https://example.com/a", "time": "09:30:00Z", "ipv4": "192.0.2.1",
}


@dataclass
class Call:
    """A call of one operation."""

    operation: str
    method: str
    path: str
    parameters: list[dict] = field(default_factory=list)
    body: dict | None = None
    status: int = 200
    answer: tuple[str, bytes] | None = None
    cost: float = 0.0

    def job(self) -> dict:
        return {"operation": self.operation, "method": self.method, "path": self.path, "parameters": self.parameters, "body": self.body}


class Samples:
    def __init__(self, document: dict):
        self.document = document
        self.schemas = document.get("components", {}).get("schemas", {})

    def resolved(self, value: dict) -> dict:
        for _ in range(20):
            if "$ref" not in value:
                return value
            here: object = self.document
            for part in value["$ref"].removeprefix("#/").split("/"):
                here = here[part.replace("~1", "/").replace("~0", "~")]
            value = here
        return {}

    def value(self, schema: object, depth: int = 0) -> object:
        """The smallest value that fits."""
        if not isinstance(schema, dict) or depth > DEEPEST:
            return {} if depth <= DEEPEST else None
        schema = self.resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][0]
        for key in ("anyOf", "oneOf"):
            alternatives = [self.resolved(one) for one in schema.get(key, []) if isinstance(one, dict)]
            real = [one for one in alternatives if one.get("type") != "null"]
            if real:
                chosen = self.value(real[0], depth + 1)
                rest = {name: inner for name, inner in schema.items() if name not in (key, "type")}
                return chosen | self.value(rest, depth + 1) if isinstance(chosen, dict) and rest.get("properties") else chosen
        if schema.get("allOf"):
            merged: dict = {}
            for part in [*schema["allOf"], {k: v for k, v in schema.items() if k != "allOf"}]:
                value = self.value(part, depth + 1)
                if not isinstance(value, dict):
                    return value
                merged |= value
            return merged
        return self._typed(schema, depth)

    def _typed(self, schema: dict, depth: int) -> object:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((one for one in kind if one != "null"), "null")
        if kind == "string":
            return self.text(schema)
        if kind in ("integer", "number"):
            least = schema.get("minimum", schema.get("exclusiveMinimum"))
            value = 7 if not isinstance(least, (int, float)) or isinstance(least, bool) or least <= 7 else int(least) + 1
            most = schema.get("maximum")
            return value if not isinstance(most, (int, float)) or value <= most else int(most)
        if kind == "boolean":
            return True
        if kind == "array":
            count = schema.get("minItems", 0)
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(min(count, 3))]
        if kind == "null":
            return None
        required = schema.get("required") if isinstance(schema.get("required"), list) else []
        properties = schema.get("properties", {})
        return {name: self.value(properties.get(name, {}), depth + 1) for name in required}

    @staticmethod
    def text(schema: dict) -> str:
        """A string that fits, as far as one of ours does."""
        if schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        least, most = schema.get("minLength", 0), schema.get("maxLength", 1_000_000)
        example = schema.get("example")
        for text in (*TEXTS, "x" * least, *([example] if isinstance(example, str) else [])):
            try:
                if least <= len(text) <= most and re.search(schema.get("pattern", ""), text):
                    return text
            except re.error:
                break
        return "abc"


def best_call(document: dict) -> Call | None:
    """The operation that is easiest to call, with one optional parameter in the query if it has a simple one."""
    samples = Samples(document)
    calls = [prepared(samples, path, method, operation) for path, method, operation in operations(document)]
    return min(calls, key=lambda call: call.cost, default=None)


def prepared(samples: Samples, path: str, method: str, operation: dict) -> Call:
    call = Call(operation["operationId"], method, path)
    call.cost = (0 if method == "get" else 2) + (1000 if "?" in path or "#" in path else 0)
    optional = None
    for parameter in operation.get("parameters", []):
        schema = samples.resolved(parameter.get("schema", {}))
        simple = schema.get("type") in ("string", "integer") and not schema.get("pattern") and parameter.get("style", "form") in ("form", "simple")
        entry = {"name": parameter["name"], "in": parameter["in"]}
        if parameter.get("required"):
            call.parameters.append(entry | {"value": samples.value(schema)})
            call.cost += (1 if parameter["in"] in ("path", "query") else 4) + (0 if simple else 30)
        elif parameter["in"] == "query" and simple and optional is None and re.fullmatch(r"[A-Za-z_]+", parameter["name"]):
            optional = entry | {"value": samples.value(schema)}
    if optional:
        call.parameters.append(optional)
        call.cost -= 0.5
    if any(parameter["in"] == "path" for parameter in call.parameters):
        call.cost -= 3
    body(samples, operation, call)
    answered(samples, operation, call)
    return call


def body(samples: Samples, operation: dict, call: Call) -> None:
    wish = operation.get("requestBody")
    if not wish:
        return
    content = wish.get("content", {})
    call.cost += 20 if "application/json" in content else 200
    kind = "application/json" if "application/json" in content else next(iter(content), None)
    if kind and (wish.get("required") or kind == "application/json"):
        value = samples.value(content[kind].get("schema", {}))
        call.body = {"type": kind, "value": value}
        call.cost += len(json.dumps(value)) / 50


def answered(samples: Samples, operation: dict, call: Call) -> None:
    """What the upstream will answer: the first good status with its first content."""
    responses = operation["responses"]
    status = next((code for code in responses if code.startswith("2")), next(iter(responses)))
    response = samples.resolved(responses[status])
    call.status = int(status) if status.isdigit() else 200
    content = response.get("content") or {}
    if not content or call.status == 204:
        return
    kind = "application/json" if "application/json" in content else next(iter(content))
    value = samples.value(content[kind].get("schema", {}))
    data = json.dumps(value).encode() if "json" in kind or kind == "*/*" else b"abc"
    call.answer = ("application/json" if kind == "*/*" else kind, data)
    call.cost += len(data) / 200 + (0 if "json" in kind else 5) + (50 if call.status >= 300 else 0)
