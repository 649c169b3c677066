"""The NATS service API: what is answered, parsed by nats-py's own micro client."""

import orjson
from nats.micro.service import ServiceInfo, ServicePing, ServiceStats

from voltgate.service_api import BURST, RATE, Counts, Endpoint, Service, permitted

ENDPOINT = Endpoint("send", "rpc.send.*.*", "group", lambda: Counts(4, 1, 2.0), (("a", "b"),))
SERVICE = Service("voltgate", "host-1", "1.2.3", "what it is", [ENDPOINT, Endpoint("link", "rpc.link", "g")])


def asked(subject: str, now: float = 1000.0) -> dict[str, object]:
    body = SERVICE.answer(subject, now)
    assert body is not None
    answer: dict[str, object] = orjson.loads(body)
    return answer


def test_nine_subjects_are_answered_by_each_instance_and_its_user_may_subscribe_to_them() -> None:
    subjects = SERVICE.subjects()
    assert len(subjects) == 9
    assert subjects[:3] == ["$SRV.PING", "$SRV.PING.voltgate", "$SRV.PING.voltgate.host-1"]
    assert permitted("voltgate") == ["$SRV.*", "$SRV.*.voltgate", "$SRV.*.voltgate.*"]


def test_ping_info_and_stats_are_those_of_adr_32() -> None:
    ping = asked("$SRV.PING.voltgate")
    assert ping["type"] == "io.nats.micro.v1.ping_response"
    assert ServicePing.from_dict(ping) == ServicePing("host-1", "voltgate", "1.2.3", {})
    info = ServiceInfo.from_dict(asked("$SRV.INFO"))
    assert (info.id, info.description, info.type) == (
        "host-1",
        "what it is",
        "io.nats.micro.v1.info_response",
    )
    assert [(one.name, one.subject, one.queue_group) for one in info.endpoints] == [
        ("send", "rpc.send.*.*", "group"),
        ("link", "rpc.link", "g"),
    ]
    assert info.endpoints[0].metadata == {"a": "b"}
    stats = ServiceStats.from_dict(asked("$SRV.STATS.voltgate.host-1"))
    send, link = stats.endpoints
    assert (send.num_requests, send.num_errors, send.processing_time) == (4, 1, 2_000_000_000)
    assert send.average_processing_time == 500_000_000
    assert (link.num_requests, link.average_processing_time) == (0, 0)


def test_a_flood_gets_a_bounded_number_of_answers() -> None:
    service = Service("voltgate", "host-1", "1.2.3", "", [])

    def answered(at: float) -> int:
        return sum(service.answer("$SRV.STATS", at) is not None for _ in range(10 * BURST))

    assert [answered(5000.0), answered(5000.0), answered(5001.0)] == [BURST, 0, RATE]
    assert answered(9000.0) == BURST, "full again, and no more"
