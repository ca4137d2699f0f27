"""Templates against what Go's text/template and docker's functions print for the same input."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.cli.output.template import Template, TemplateError

WEB: dict[str, Any] = {
    "Name": "/web",
    "State": {"Running": True, "Pid": 3, "Error": ""},
    "Config": {"Labels": {"a": "b", "c.d": "x"}, "Env": ["A=1", "B=2"]},
    "Ports": [],
    "Nothing": None,
    "Share": 1.5,
    "Label": lambda name: f"value of {name}",
}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/web"),
        ("{{ .State.Pid }} {{.State.Running}} {{.Share}}", "3 true 1.5"),
        ("{{json .Config}}", '{"Labels":{"a":"b","c.d":"x"},"Env":["A=1","B=2"]}'),
        ('{{json "<&>"}}', '"<&>"'),
        ('{{index .Config.Labels "c.d"}}', "x"),
        ('{{index .Config.Labels "none"}}', ""),
        ("{{index .Config.Env 1}}", "B=2"),
        ("{{(index .Config.Env 0)}}", "A=1"),
        ("{{.Config.Labels.a}}{{.Config.Labels.zz}}", "b<no value>"),
        (
            "{{.Config.Labels}} {{.Config.Env}} {{.Ports}} {{.Nothing}}",
            "map[a:b c.d:x] [A=1 B=2] [] <no value>",
        ),
        ("{{range .Config.Env}}[{{.}}]{{end}}", "[A=1][B=2]"),
        ("{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$i}}:{{$e}}{{end}}", "0:A=1, 1:B=2"),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v};{{end}}".replace("$v}", "$v}}"), "a=b;c.d=x;"),
        ("{{range .Ports}}x{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .Config.Env}}{{if eq . `A=1`}}{{continue}}{{end}}{{.}}{{end}}", "B=2"),
        ("{{range .Config.Env}}{{.}}{{break}}{{end}}", "A=1"),
        ("{{if and .State.Running (eq .State.Pid 3)}}yes{{else}}no{{end}}", "yes"),
        ("{{if .Nothing}}a{{else if .State.Error}}b{{else}}c{{end}}", "c"),
        ("{{with .State}}{{.Pid}} {{$.Name}}{{end}}", "3 /web"),
        ("{{with .Nothing}}x{{else}}y{{end}}", "y"),
        ("{{with $x := .State.Pid}}{{$x}}{{end}}", "3"),
        ('{{ .Name | upper | printf "%-6s|%q" }}'.replace('|%q"', '|"'), "/WEB  |"),
        ('{{printf "%d %05.2f %v %x %t %%" 3 1.5 .Config.Env 255 true}}', "3 01.50 [A=1 B=2] ff true %"),
        ('{{join .Config.Env ","}} {{join (split "a:b" ":") "-"}}', "A=1,B=2 a-b"),
        ("{{len .Config.Env}} {{len .Name}} {{len .Config.Labels}}", "2 4 2"),
        (
            '{{lower "AB"}}{{title "ab cd"}}{{pad "x" 1 2}}|{{pad "" 1 2}}|{{truncate "hello" 3}}',
            "abAb Cd x  ||hel",
        ),
        ("{{slice .Name 1 3}}", "we"),
        ("{{println .Name 1}}", "/web 1\n"),
        ('{{print 1 2 "a" 3}}', "1 2a3"),
        ("{{not .Nothing}} {{or .Nothing .Name}} {{and .Name .Nothing}}", "true /web <no value>"),
        (
            "{{eq 1 2 1}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge `b` `a`}}",
            "true true true true false true",
        ),
        ("a {{- .State.Pid -}} b", "a3b"),
        ("a{{/* a comment }} */}}b", "ab"),
        ("a {{- /* x */ -}} b", "ab"),
        ("{{$x := 3}}{{if true}}{{$x = 4}}{{end}}{{$x}}", "4"),
        ("{{$x := 3}}{{if true}}{{$x := 4}}{{end}}{{$x}}", "3"),
        ('{{.Label "q"}}', "value of q"),
        ('{{"}}"}} {{`raw\\n`}} {{"t\\tx"}}', "}} raw\\n t\tx"),
        ("{{-3}} {{- 3}}", "-33"),
        ("{{true}} {{'a'}}", "true 97"),
        ("{{html `<a>`}} {{urlquery `a b`}}", "&lt;a&gt; a+b"),
    ],
)
def test_rendering(template: str, shown: str) -> None:
    assert Template(template).render(WEB) == shown


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        ("{{.Name", "unclosed action"),
        ("{{end}}", r"unexpected \{\{end\}\}"),
        ("{{if .Name}}", "EOF"),
        ("{{if}}x{{end}}", "missing value"),
        ("{{range .Name}}{{end}}", "range can't iterate over /web"),
        ("{{foo}}", 'function "foo" not defined'),
        ("{{.State.Foo}}", "no field 'Foo'"),
        ("{{.Name.Foo}}", "can't evaluate field Foo"),
        ("{{.Nothing.Foo}}", "nil has no field Foo"),
        ('{{eq 1 "a"}}', "incompatible types"),
        ("{{index .Config.Env 5}}", "out of range"),
        ("{{break}}", "outside"),
        ('{{define "x"}}', "no {{end}}"),
        ('{{if true}}{{define "x"}}{{end}}{{end}}', "inside another block"),
        ('{{define "x"}}{{end}}{{template "y"}}', "template 'y' not defined"),
        ('{{define "x"}}{{template "x"}}{{end}}{{template "x"}}', "without end"),
        ("{{printf `%b` 1.5}}", "%b of a float is not supported"),
        ("{{1i}}", "illegal number syntax"),
        ("{{/* x }}", "unclosed comment"),
        ("{{if $y := 1}}{{end}}{{$y}}", "undefined variable"),
        ("{{.name}}", "no field 'name' here; there is Name"),
        ("{{.Label}}", "arguments for a method"),
        ("{{nil}}", "nil is not a command"),
        ("{{.Name .Name}}", "can't give argument to non-function"),
        ("{{len 3}}", "len of 3"),
        ("{{lower 3}}", "expected a string"),
        ("{{upper}}", "arguments for upper"),
        ("{{$x}}", "undefined variable"),
        ("{{.Name}", "unclosed action"),
        ("{{(.Name}}", "unclosed left paren"),
        ("{{.Name ? 1}}", "unexpected"),
    ],
)
def test_what_is_refused(template: str, cause: str) -> None:
    with pytest.raises(TemplateError, match=cause) as caught:
        Template(template).render(WEB)
    assert str(caught.value).startswith("cannot format: ")
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_json_round_trips(value: Any) -> None:
    assert json.loads(Template("{{json .}}").render(value)) == value


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_itself(text: str) -> None:
    assert Template(text).render(None) == text


@given(st.text(alphabet='{}.|()$ab"`-:=, 1/*\n'), JSON)
def test_any_template_renders_or_is_refused(template: str, value: Any) -> None:
    with suppress(TemplateError):
        Template(template).render(value)


_WORDS = [
    "if .A",
    "range .L",
    "with .A",
    "else",
    "end",
    ".A",
    ".L",
    "$x := .A",
    "$x",
    "len .L",
    "json .",
    "continue",
]


@given(st.lists(st.sampled_from(_WORDS), max_size=8))
def test_any_sequence_of_actions_renders_or_is_refused(words: list[str]) -> None:
    with suppress(TemplateError):
        Template("".join(f"{{{{{word}}}}}" for word in words)).render({"A": 1, "L": [1, 2]})


@given(st.lists(st.text()), st.text())
def test_join_and_split_are_inverse(parts: list[str], separator: str) -> None:
    if (
        parts
        and separator
        and not any(separator in part for part in parts)
        and separator not in "".join(parts)
    ):
        joined = separator.join(parts)
        if joined.split(separator) == parts:
            quoted = json.dumps(separator, ensure_ascii=False)
            assert Template(f"{{{{join (split . {quoted}) {quoted}}}}}").render(joined) == joined
