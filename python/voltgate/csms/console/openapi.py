"""The OpenAPI 3.1 description, made of the endpoints and the models: docs/csms-openapi.json."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from voltgate.csms.console import answers
from voltgate.csms.console.endpoints import ENDPOINTS, Endpoint
from voltgate.csms.console.problems import CONTENT_TYPE

Document = dict[str, Any]
Refs = dict[type[Any], Document]
_SCHEMA = "#/components/schemas/{model}"
# Responses that any endpoint may give, as problem documents.
_REFUSALS = {
    "401": "No valid key or session.",
    "403": "Not allowed with this role or these sites.",
    "404": "There is no such thing, or not at your sites.",
    "422": "A value is not valid.",
    "503": "NATS or the database cannot be reached.",
}


def document() -> Document:
    """The whole description."""
    wanted: list[type[BaseModel]] = [answers.ProblemDocument]
    for one in ENDPOINTS:
        wanted += [model for model in (one.body, one.answer) if model is not None and model not in wanted]
    shown: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in wanted]
    references, definitions = models_json_schema(shown, ref_template=_SCHEMA)
    refs = {model: schema for (model, _), schema in references.items()}
    paths: dict[str, Document] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.route, {})[endpoint.method.lower()] = _operation(endpoint, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Voltgate CSMS",
            "version": "1",
            "description": "Sessions, money, uptime and commands. See docs/csms/console.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-voltgate"},
            },
            "responses": {
                code: {
                    "description": words,
                    "content": {CONTENT_TYPE: {"schema": {"$ref": _SCHEMA.format(model="ProblemDocument")}}},
                }
                for code, words in _REFUSALS.items()
            },
        },
    }


def _operation(endpoint: Endpoint, refs: Refs) -> Document:
    parameters: list[Document] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", endpoint.path)
    ]
    if endpoint.query is not None:
        parameters += _parameters(endpoint.query)
    parameters += [
        {"name": name, "in": "header", "required": False, "schema": {"type": "string"}}
        for name in endpoint.headers
    ]
    found: Document = {"operationId": endpoint.operation, "summary": endpoint.summary}
    if parameters:
        found["parameters"] = parameters
    if endpoint.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": refs[endpoint.body]}},
        }
    found["responses"] = {str(endpoint.status): _answer(endpoint, refs)} | {
        code: {"$ref": f"#/components/responses/{code}"} for code in _REFUSALS
    }
    if endpoint.role is None:
        found["security"] = []
    else:
        found["x-role"] = endpoint.role.label
    return found


def _answer(endpoint: Endpoint, refs: Refs) -> Document:
    if endpoint.answer is not None:
        return {"description": "Done.", "content": {endpoint.media: {"schema": refs[endpoint.answer]}}}
    if endpoint.status == 204:
        return {"description": "Done."}
    schema = {"type": "object"} if endpoint.media == "application/json" else {"type": "string"}
    return {"description": "Done.", "content": {endpoint.media: {"schema": schema}}}


def _parameters(query: type[BaseModel]) -> list[Document]:
    schema = query.model_json_schema(by_alias=True)
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {k: v for k, v in one.items() if k != "title"},
        }
        for name, one in schema["properties"].items()
    ]


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(document(), indent=1) + "\n")
