"""What is read about this process, against another reader of the same."""

import os
import resource

import psutil
import pytest

from voltgate.gateway.telemetry import process

US = psutil.Process()


def test_cpu_only_grows() -> None:
    before = process.cpu_seconds()
    while process.cpu_seconds() == before:
        sum(range(10_000))
    assert process.cpu_seconds() == pytest.approx(sum(US.cpu_times()[:2]), abs=0.5)


def test_memory() -> None:
    assert process.resident_memory_bytes() == pytest.approx(US.memory_info().rss, rel=0.05)


def test_each_open_descriptor_counts() -> None:
    before = process.open_fds()
    opened = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)]
    assert process.open_fds() == before + 5
    for descriptor in opened:
        os.close(descriptor)
    assert process.open_fds() == before


def test_the_most_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process.max_fds() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert process.max_fds() == float("inf")


def test_the_start() -> None:
    assert process.start_time_seconds() == pytest.approx(US.create_time(), abs=1.0)
