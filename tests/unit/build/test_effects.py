"""What instructions do to a config, the scope of build arguments, and the keys of the cache."""

from __future__ import annotations

import pytest

from pysup.supervisor.build.arguments import PREDEFINED, Arguments
from pysup.supervisor.build.effects import PATH, Described, apply, begin_stage, changes_config_alone
from pysup.supervisor.build.errors import BadDockerfile
from pysup.supervisor.build.keys import joined, step_key
from pysup.supervisor.build.lexing import read
from pysup.supervisor.build.parsing import parse


def after(text: str, before: Described | None = None) -> tuple[Described, list[str]]:
    described, told = before or Described(), []
    dockerfile = read(text)
    for line in dockerfile.lines:
        described, words = apply(described, parse(line, dockerfile.lexer))
        told.append(words)
    return described, told


def test_the_words_of_the_history_are_dockers() -> None:
    _, told = after(
        'ENV a=b c=d\nLABEL l=m\nCMD echo hi\nENTRYPOINT ["x"]\nEXPOSE 80 90\nVOLUME /a /b\nUSER me\n'
        'WORKDIR x\nSTOPSIGNAL TERM\nONBUILD RUN y\nMAINTAINER you\nSHELL ["bash"]\nHEALTHCHECK NONE'
    )
    assert told == [
        "ENV a=b c=d",
        "LABEL l=m",
        'CMD ["/bin/sh" "-c" "echo hi"]',
        'ENTRYPOINT ["x"]',
        "EXPOSE 80 90",
        "VOLUME [/a /b]",
        "USER me",
        "WORKDIR /x",
        "STOPSIGNAL TERM",
        "ONBUILD RUN y",
        "MAINTAINER you",
        'SHELL ["bash"]',
        'HEALTHCHECK ["NONE"]',
    ]


def test_an_entrypoint_takes_the_command_of_the_base_image_but_not_one_of_its_own_stage() -> None:
    base = begin_stage({"Cmd": ["base"]})
    assert "Cmd" not in after('ENTRYPOINT ["e"]', base)[0].config
    assert after('CMD ["mine"]\nENTRYPOINT ["e"]', base)[0].config["Cmd"] == ["mine"]


def test_a_shell_counts_from_where_it_is_given() -> None:
    found, _ = after('SHELL ["bash", "-ec"]\nCMD x')
    assert found.config["Cmd"] == ["bash", "-ec", "x"]


def test_working_directories_follow_each_other() -> None:
    assert after("WORKDIR /a\nWORKDIR b\nWORKDIR ../c")[0].config["WorkingDir"] == "/a/c"
    assert after("WORKDIR ../../..")[0].config["WorkingDir"] == "/"


def test_ports_and_their_ranges() -> None:
    found, _ = after("EXPOSE 1000-1002/udp 80")
    assert list(found.config["ExposedPorts"]) == ["1000/udp", "1001/udp", "1002/udp", "80/tcp"]
    for wrong in ("0", "70000", "5-4", "80/icmp", "x"):
        with pytest.raises(BadDockerfile, match="is not a port"):
            after(f"EXPOSE {wrong}")
    with pytest.raises(BadDockerfile, match="invalid signal"):
        after("STOPSIGNAL SIGNOPE")


def test_a_stage_has_a_path_and_no_input() -> None:
    assert begin_stage({"OpenStdin": True}).config == {"Env": [PATH]}
    assert begin_stage({"Env": ["PATH=/x"]}).config == {"Env": ["PATH=/x"]}


def test_which_instructions_are_about_the_config_alone() -> None:
    def alone(text: str) -> bool:
        return changes_config_alone(parse(read(text).lines[0], read(text).lexer))

    assert alone("ENV a=b") and alone("USER x")
    assert not any(map(alone, ("RUN x", "COPY a b", "WORKDIR /x", "ARG a")))


# -- arguments -----------------------------------------------------------------------------------------------


def test_an_argument_is_seen_from_where_it_is_declared_and_in_its_stage_only() -> None:
    arguments = Arguments({"a": "given", "unknown": "x", "c": None})
    arguments.declare_before_from("a", "default")
    arguments.declare_before_from("b", "default")
    assert arguments.for_from() == {"a": "given", "b": "default"}
    arguments.begin_stage()
    assert arguments.in_stage({}) == {}
    arguments.declare("a", None)
    arguments.declare("b", None)
    arguments.declare("c", None)
    assert arguments.in_stage({}) == {"a": "given", "b": "default"}
    assert arguments.in_stage({"a": "of ENV"}) == {"b": "default"}, "ENV counts more"
    arguments.begin_stage()
    assert arguments.in_stage({}) == {}
    assert arguments.unused == ["unknown"]


def test_proxies_need_no_declaration_and_are_forgotten_without_one() -> None:
    arguments = Arguments({"HTTP_PROXY": "p", "http_proxy": "q"})
    assert {"HTTP_PROXY", "no_proxy"} <= PREDEFINED
    assert arguments.in_stage({}) == {"HTTP_PROXY": "p", "http_proxy": "q"}
    assert arguments.remembered({}) == []
    arguments.declare("HTTP_PROXY", None)
    assert arguments.remembered({}) == ["HTTP_PROXY=p"]
    assert arguments.unused == []


def test_a_key_tells_all_that_matters_apart() -> None:
    keys = {
        step_key("p", ["RUN", "x"], {}),
        step_key("q", ["RUN", "x"], {}),
        step_key("p", ["RUN x"], {}),
        step_key("p", ["RUN", "x"], {"Env": ["a=b"]}),
    }
    assert len(keys) == 4
    assert step_key("p", ["x"], {"a": 1, "b": 2}) == step_key("p", ["x"], {"b": 2, "a": 1})
    with pytest.raises(BadDockerfile, match="takes more than"):
        step_key("p", ["x"], {"Env": ["a" * (4 << 20)]})
    assert joined("multi", ["file:1"]) == "file:1"
    assert joined("multi", ["file:1", "file:2"]).startswith("multi:")
