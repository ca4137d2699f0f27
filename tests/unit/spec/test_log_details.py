"""What --log-opt chooses for logs --details: docker's words, from the container's own documents."""

from __future__ import annotations

import pytest

from pysup.supervisor.spec.log_details import check, details

ID, IMAGE = "0123456789abcdef" * 4, "sha256:" + "fedcba9876543210" * 4
CONFIG = {
    "Labels": {"tier": "web", "com.example.team": "a b", "other": "x"},
    "Env": ["MODE=1=2", "EMPTY=", "bare", "PATH=/bin"],
    "Image": "app:1",
    "Entrypoint": ["/init"],
    "Cmd": ["serve", "all"],
}


def shown(**options: str) -> str:
    named = {name.replace("_", "-"): value for name, value in options.items()}
    check(named)
    return details(named, CONFIG, id=ID, name="web", image_id=IMAGE)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ""),
        ({"max_size": "1m"}, ""),
        ({"labels": "tier,absent", "env": "MODE,EMPTY,bare"}, "EMPTY=,MODE=1%3D2,tier=web"),
        ({"labels_regex": r"^com\."}, "com.example.team=a+b"),
        ({"env_regex": "^(MODE|PATH)$", "labels": "other"}, "MODE=1%3D2,PATH=%2Fbin,other=x"),
        ({"tag": "mine"}, "tag=mine"),
        ({"tag": "{{.Name}}/{{ .ID }}"}, "tag=web%2F0123456789ab"),
        ({"tag": "{{.ImageName}} {{.ImageID}}"}, "tag=app%3A1+fedcba987654"),
        ({"tag": "{{.Command}}"}, "tag=%2Finit+serve+all"),
        ({"tag": "{{.FullID}}{{.ImageFullID}}{{.DaemonName}}"}, f"tag={ID}{IMAGE}pysup".replace(":", "%3A")),
    ],
)
def test_what_is_shown(options: dict[str, str], expected: str) -> None:
    assert shown(**options) == expected


def test_a_container_without_labels_and_variables_has_none_to_show() -> None:
    assert (
        details({"labels": "a", "env": "b"}, {"Labels": None, "Env": None}, id=ID, name="x", image_id="")
        == ""
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("labels-regex", "("),
        ("env-regex", "[[:alpha:]]"),
        ("env-regex", "a{99999999999}"),
        ("tag", "{{.Pid}}"),
        ("tag", "{{index .Config 1}}"),
        ("tag", "{{.ID"),
    ],
)
def test_what_means_nothing_is_refused(option: str, value: str) -> None:
    with pytest.raises(ValueError, match=option):
        check({option: value})
