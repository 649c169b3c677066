"""The description that is checked in is that of the code, and one of OpenAPI 3.1."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from voltgate.csms.console import openapi
from voltgate.csms.console.endpoints import ENDPOINTS

FILE = Path(__file__).parents[3] / "docs" / "csms-openapi.json"


def test_the_file_is_up_to_date() -> None:
    """To write it: ``python -m voltgate.csms.console.openapi docs/csms-openapi.json``."""
    assert json.loads(FILE.read_text()) == openapi.document()


def test_every_endpoint_is_described_once() -> None:
    document = openapi.document()
    described = [(path, method.upper()) for path, one in document["paths"].items() for method in one]
    assert sorted(described) == sorted((one.route, one.method) for one in ENDPOINTS)
    operations = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(set(operations)) == len(operations) == len(ENDPOINTS)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    document = openapi.document()
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    names = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= schemas.keys()
    assert {part.split('"')[0] for part in text.split('"#/components/responses/')[1:]} == document[
        "components"
    ]["responses"].keys()
