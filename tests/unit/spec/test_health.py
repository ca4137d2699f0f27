"""Healthcheck objects of bodies and images."""

from __future__ import annotations

from typing import Any

import pytest

from pysup.supervisor.errors import BadRequest
from pysup.supervisor.spec.fields import Fields
from pysup.supervisor.spec.health import HealthCheck, health_check, merged_check

SECOND = 10**9


def check(**health: Any) -> HealthCheck | None:
    return health_check(Fields("create container", {"Healthcheck": health}))


def merged(body: dict[str, Any] | None, image: dict[str, Any] | None) -> Any:
    found = [Fields("create container", {} if one is None else {"Healthcheck": one}) for one in (body, image)]
    return merged_check(*found).get("Healthcheck")


def test_forms_of_a_test() -> None:
    assert check(Test=["CMD", "a", "b"]) == HealthCheck(("a", "b"))
    assert check(Test=["CMD-SHELL", "a && b"]) == HealthCheck(("/bin/sh", "-c", "a && b"))
    assert check() is check(Test=[]) is check(Test=["NONE"]) is check(Interval=SECOND) is None
    shell = {"Shell": ["bash", "-ec"], "Healthcheck": {"Test": ["CMD-SHELL", "x"]}}
    assert health_check(Fields("x", shell)) == HealthCheck(("bash", "-ec", "x"))


def test_times_are_nanoseconds_and_zero_is_the_default() -> None:
    found = check(
        Test=["CMD", "x"],
        Interval=2 * SECOND,
        Timeout=SECOND // 2,
        Retries=7,
        StartPeriod=SECOND,
        StartInterval=1_000_000,
    )
    assert found == HealthCheck(("x",), 2.0, 0.5, 7, 1.0, 0.001)
    assert check(Test=["CMD", "x"], Interval=0, Retries=0) == HealthCheck(("x",), 30.0, 30.0, 3, 0.0, 5.0)


@pytest.mark.parametrize(
    ("health", "cause"),
    [
        ({"Test": ["CMD"]}, "Healthcheck.Test must be"),
        ({"Test": ["CMD-SHELL", "a", "b"]}, "Healthcheck.Test must be"),
        ({"Test": ["curl", "x"]}, "'curl'"),
        ({"Test": "CMD x"}, "Test"),
        ({"Test": ["CMD", "x"], "Interval": 999_999}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Test": ["CMD", "x"], "Timeout": -1}, "cannot be less than 1ms"),
        ({"Test": ["CMD", "x"], "Retries": -1}, "cannot be negative"),
    ],
)
def test_what_is_none(health: dict[str, Any], cause: str) -> None:
    with pytest.raises(BadRequest, match=cause):
        check(**health)


def test_a_body_is_laid_over_an_image() -> None:
    image = {"Test": ["CMD", "of", "image"], "Interval": 5, "Retries": 2}
    assert merged(None, None) is None
    assert merged(None, image) == image
    assert merged({"Retries": 9}, image) == {**image, "Retries": 9}
    assert merged({"Test": ["CMD", "own"]}, image) == {**image, "Test": ["CMD", "own"]}
    assert merged({"Test": ["NONE"]}, image) == {"Test": ["NONE"]}
