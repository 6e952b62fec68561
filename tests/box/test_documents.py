"""Real documents of other people: what plugway publishes of each is valid, portable and whole."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import openapi_schema_validator.validators
import openapi_spec_validator
import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import SPECIFICATIONS
from referencing.jsonschema import DRAFT202012

import materials
from materials import Certificates
from real_documents import METHODS, VERSIONS, Fleet, Real, documents, operations

HERE = Path(__file__).resolve().parent
PARSER = HERE.parent / ".env/npm/node_modules/@apidevtools/swagger-parser/lib/index.js"
ALL = documents()
SCRIPT = """
const { default: Parser } = await import(process.argv[1]);
for (const file of process.argv.slice(2)) {
  let said = null;
  try { await Parser.validate(file, { resolve: { external: false } }); }
  catch (error) { said = String(error.message); }
  console.log(JSON.stringify([file, said]));
}
"""
pytestmark = pytest.mark.timeout(240)
each = pytest.mark.parametrize("real", ALL, ids=lambda real: real.file)
both = pytest.mark.parametrize("version", list(VERSIONS))


def validated(file: str) -> str | None:
    """What openapi-spec-validator says against a document; in a process of its own, since it is slow."""
    document = json.loads(Path(file).read_text())
    try:
        openapi_spec_validator.validate(document, cls=indexed() if document["openapi"].startswith("3.1") else None)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what it says
        return f"{type(error).__name__}: {str(error)[:600]}"
    return None


@functools.cache
def indexed() -> type:
    """The validator for 3.1 as it is, with registries that are indexed once: else it looks through
    the whole schema of OpenAPI anew at every reference, which takes six times as long."""
    openapi_schema_validator.validators.OPENAPI_SPECIFICATIONS = openapi_schema_validator.validators.OPENAPI_SPECIFICATIONS.crawl()
    standard = openapi_spec_validator.OpenAPIV31SpecValidator
    schema = dict(standard.schema_validator.schema)
    registry = SPECIFICATIONS.with_resource(schema["$id"], DRAFT202012.create_resource(schema)).crawl()
    validator = Draft202012Validator(schema, registry=registry, _resolver=registry.resolver(schema["$id"]))
    return type("Indexed", (standard,), {"schema_validator": validator})


class Published:
    """All that the gateway publishes, and what two validators say about it."""

    def __init__(self, fleet: Fleet, folder: Path):
        self.fleet, self.folder = fleet, folder
        self.files: dict[tuple[str, str, str], Path] = {}
        for real in fleet.documents:
            if real.file in fleet.refused:
                continue
            for version in VERSIONS:
                for ending in ("json", "yaml"):
                    path = folder / f"{real.plugin}-{version}.{ending}"
                    path.write_text(fleet.published(real, version, ending))
                    self.files[real.file, version, ending] = path
        # The longest first, so that both processes end at about the same time.
        paths = sorted(self.files.values(), key=lambda path: -path.stat().st_size)
        with ProcessPoolExecutor(2) as pool:
            whole = [str(path) for path in paths if path.suffix == ".json"]
            spec_validator = pool.map(validated, whole)
            self.node = self._node(paths)
            self.python = dict(zip(whole, spec_validator, strict=True))

    @staticmethod
    def _node(paths: list[Path]) -> dict[str, str | None]:
        done = subprocess.run(
            ["node", "--input-type=module", "-e", SCRIPT, str(PARSER), *map(str, paths)],
            capture_output=True, text=True, check=False, timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return dict(json.loads(line) for line in done.stdout.splitlines())

    def document(self, real: Real, version: str) -> dict:
        assert real.file not in self.fleet.refused, self.fleet.refused[real.file]
        return json.loads(self.files[real.file, version, "json"].read_text())


@pytest.fixture(scope="module")
def published(certificates: Certificates) -> Iterator[Published]:
    with tempfile.TemporaryDirectory(prefix="pw-") as folder:
        fleet = Fleet(Path(folder) / "gateway", certificates, "http://127.0.0.1:9", {"reader": materials.token()})
        try:
            yield Published(fleet, Path(folder))
        finally:
            fleet.stop()


def test_the_validator_for_3_1_still_refuses(tmp_path):
    """What makes it quick makes it no laxer."""
    good = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {"responses": {"200": {"description": "d"}}}}}}
    wrong = [
        {}, {"paths": {"/a": {"get": {"responses": {"200": {}}}}}}, {"paths": {"/a": {"get": {"parameters": [{"name": "q"}]}}}},
        {"components": {"schemas": {"A": {"type": "text"}}}}, {"components": {"schemas": {"A": {"type": "string", "enum": ["a"], "default": "b"}}}},
    ]
    for changes in wrong:
        path = tmp_path / "document.json"
        path.write_text(json.dumps(good | changes))
        assert (validated(str(path)) is None) is (changes == {}), changes


@each
@both
def test_two_validators_take_it(published, real, version):
    assert published.document(real, version)
    for ending in ("json", "yaml"):
        assert published.node[str(published.files[real.file, version, ending])] is None
    assert published.python[str(published.files[real.file, version, "json"])] is None


@each
@both
def test_yaml_says_the_same(published, real, version):
    document = published.document(real, version)
    text = published.files[real.file, version, "yaml"].read_text()
    assert json.dumps(yaml.load(text, yaml.CSafeLoader)) == json.dumps(document)


@each
def test_nothing_is_lost_in_silence(published, real):
    """Every operation of the document is published, or the load report says which is not, and why."""
    document = published.document(real, "3.1")
    assert [(p, m) for p, m, _ in operations(document)] == [(p, m) for p, m, _ in operations(published.document(real, "3.0"))]
    entry = published.fleet.reports[real.file]
    assert entry["unavailable"] is None
    assert len(operations(document)) == entry["operations"]
    skipped = [finding for finding in entry["report"] if finding["action"] == "skipped" and lost(finding["pointer"])]
    # The README counts the fields of path items; what 3.2 adds to them is one more level.
    more = [finding for finding in skipped if "/additionalOperations/" in finding["pointer"]]
    assert entry["operations"] + len(skipped) - len(more) == real.operations, skipped
    for finding in entry["report"]:
        assert finding["action"] in ("noted", "repaired", "simplified", "skipped"), finding
        assert finding["pointer"].startswith("#") and finding["message"], finding


def lost(pointer: str) -> bool:
    """Whether a finding is about an operation as a whole."""
    return bool(re.search(rf"/paths/[^/]+/(additionalOperations/[^/]+|{'|'.join(METHODS)}|query)$", pointer))


@each
@both
def test_it_is_portable(published, real, version):
    document = published.document(real, version)
    assert document["openapi"] == {"3.1": "3.1.0", "3.0": "3.0.1"}[version]
    assert document["servers"] == [{"url": published.fleet.origin(real)}]
    assert "webhooks" not in document
    schemes = document.get("components", {}).get("securitySchemes", {})
    seen: set[str] = set()
    for path, item in document["paths"].items():
        assert path.startswith("/") and "#" not in path, path
        assert set(item) <= set(METHODS), set(item) - set(METHODS)
    for path, method, operation in operations(document):
        name = operation["operationId"]
        assert re.fullmatch(r"[A-Za-z0-9_]{1,64}", name), name
        assert name not in seen, name
        seen.add(name)
        assert operation["responses"], name
        assert operation["security"], name
        for requirement in operation["security"]:
            assert set(requirement) <= set(schemes), requirement
        assert operation["x-openai-isConsequential"] is (method != "get"), name
        assert "$ref" not in operation.get("requestBody", {}), name
        declared = [(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", [])]
        assert len(declared) == len(set(declared)), (name, declared)
        in_path = {parameter for place, parameter in declared if place == "path"}
        assert in_path == set(re.findall(r"\{([^{}]+)\}", path.partition("?")[0])), (path, in_path)


@each
@both
def test_every_reference_leads_somewhere(published, real, version):
    document = published.document(real, version)
    used = set(references(document))
    for reference in used:
        here = document
        for part in reference.removeprefix("#/").split("/"):
            here = here[part.replace("~1", "/").replace("~0", "~")]
    components = {
        f"#/components/{kind}/{name}" for kind, entries in document.get("components", {}).items()
        if kind != "securitySchemes" for name in entries
    }
    assert not components - used - set(mappings(document)), "unused components"


def references(value: object, name: str = "") -> Iterator[str]:
    """Every `$ref`, without what is data."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str) and name != "properties":
            yield value["$ref"]
        if name != "properties" and isinstance(value.get("examples"), dict):
            named = (each.get("$ref") for each in value["examples"].values() if isinstance(each, dict))
            yield from (ref for ref in named if isinstance(ref, str) and ref.startswith("#/components/examples/"))
        for key, inner in value.items():
            if name in ("properties", "responses") or key not in ("example", "examples", "default", "enum", "const"):
                yield from references(inner, "" if name == "properties" else key)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def mappings(value: object) -> Iterator[str]:
    """Where discriminators lead."""
    if isinstance(value, dict):
        discriminator = value.get("discriminator")
        if isinstance(discriminator, dict) and isinstance(discriminator.get("mapping"), dict):
            yield from discriminator["mapping"].values()
        for inner in value.values():
            yield from mappings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from mappings(inner)
