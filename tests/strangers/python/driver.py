"""A charger made of mobilityhouse's ``ocpp`` and ``websockets``; see the README beside this folder."""

import asyncio
import base64
import json
import ssl
import sys
from dataclasses import asdict
from importlib import import_module
from typing import Any

import websockets
from ocpp.charge_point import camel_to_snake_case, snake_to_camel_case
from ocpp.routing import on
from websockets.typing import Subprotocol

ANSWERS: dict[str, dict[str, Any]] = {
    "ChangeConfiguration": {"status": "Accepted"},
    "RemoteStartTransaction": {"status": "Accepted"},
    "RequestStartTransaction": {"status": "Accepted"},
    "Reset": {"status": "Accepted"},
}


def tell(**line: Any) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def charge_point(version: str) -> tuple[type, Any]:
    """The library's charge point of ``version`` with handlers, and the module of its requests."""
    package = f"ocpp.v{version.replace('.', '')}"
    results = import_module(f"{package}.call_result")

    def handler(action: str) -> Any:
        def answer(self: Any, **request: Any) -> Any:
            tell(command=action)
            if action == "SetVariables":
                accepted = [
                    {
                        "attribute_status": "Accepted",
                        "component": one["component"],
                        "variable": one["variable"],
                    }
                    for one in request["set_variable_data"]
                ]
                return results.SetVariables(set_variable_result=accepted)
            return getattr(results, action)(**ANSWERS[action])

        answer.__name__ = action  # the library finds handlers by their names
        return on(action)(answer)

    known = [action for action in [*ANSWERS, "SetVariables"] if hasattr(results, action)]
    point = import_module(package).ChargePoint
    return type("Point", (point,), {action: handler(action) for action in known}), import_module(
        f"{package}.call"
    )


def secured(ca: str, certificate: str, key: str) -> ssl.SSLContext | None:
    if not ca:
        return None
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


async def main(
    url: str, identity: str, version: str, password: str, ca: str, certificate: str, key: str
) -> None:
    point_class, calls = charge_point(version)
    points: list[Any] = []

    login = base64.b64encode(f"{identity}:{password}".encode()).decode()

    async def dial() -> None:
        async for socket in websockets.connect(
            f"{url}/{identity}",
            subprotocols=[Subprotocol(f"ocpp{version}")],
            ssl=secured(ca, certificate, key),
            additional_headers={"Authorization": f"Basic {login}"} if password else None,
        ):
            point = point_class(identity, socket, response_timeout=20)
            points[:] = [point]
            tell(up=True)
            try:
                await point.start()
            except websockets.ConnectionClosed:
                await asyncio.sleep(0.2)  # the library does not redial

    dialling = asyncio.ensure_future(dial())
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        wanted = json.loads(line)
        request = getattr(calls, wanted["call"])(**camel_to_snake_case(wanted["payload"]))
        try:
            result = await points[0].call(request, suppress=False)
            tell(answer=json.loads(json.dumps(snake_to_camel_case(asdict(result)))))
        except Exception as error:
            tell(error=repr(error))
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)


asyncio.run(main(*sys.argv[1:]))
