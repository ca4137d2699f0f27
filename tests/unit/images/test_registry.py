"""The pure decisions about registries: challenges, places, tries, credentials, and what failures are called."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysup.supervisor.api.render.registries import proxies, registry_config
from pysup.supervisor.errors import BadRequest, Forbidden, NotFound, Unavailable
from pysup.supervisor.images.compression import gzipped
from pysup.supervisor.images.content import Blob
from pysup.supervisor.images.documents import OCI_CONFIG, OCI_LAYER, Manifest, parse
from pysup.supervisor.images.registry import retries
from pysup.supervisor.images.registry.challenges import Challenge, chosen, parse_challenges, scopes
from pysup.supervisor.images.registry.credentials import (
    NOBODY,
    Credentials,
    from_document,
    from_header,
    registry_of,
)
from pysup.supervisor.images.registry.endpoints import (
    Endpoint,
    Policy,
    blob_path,
    check_insecure,
    check_mirror,
    endpoints_for,
    is_insecure,
    manifest_path,
    scope_of,
    upload_place,
    uploads_path,
)
from pysup.supervisor.images.registry.failures import cause_of, message_of, refusal
from pysup.supervisor.images.registry.outgoing import to_be_compressed, with_compressed
from pysup.supervisor.images.registry.tags import next_page
from pysup.supervisor.settings import Settings
from pysup.supervisor.spec.reference import parse_reference

HUB_CHALLENGE = (
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",'
    'scope="repository:library/alpine:pull,push"'
)
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
VALUES = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# -- challenges ----------------------------------------------------------------------------------------------


def test_the_hubs_challenge() -> None:
    (found,) = parse_challenges([HUB_CHALLENGE])
    assert found == Challenge("bearer", {
        "realm": "https://auth.docker.io/token",
        "service": "registry.docker.io",
        "scope": "repository:library/alpine:pull,push",
    })  # fmt: skip
    assert scopes(found, ["repository:library/alpine:pull"]) == [
        "repository:library/alpine:pull",
        "repository:library/alpine:pull,push",
    ]


def test_several_challenges_in_one_header_and_in_several() -> None:
    # RFC 9110, 11.6.1, with a token68 before it
    one = 'Negotiate oYG2MIGz==, Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"'
    names = [(found.scheme, found.parameters) for found in parse_challenges([one, "Bearer realm=x"])]
    assert names[0][0] == "negotiate"
    assert names[1:] == [
        ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
        ("basic", {"realm": "simple"}),
        ("bearer", {"realm": "x"}),
    ]


@given(
    st.lists(
        st.tuples(TOKENS, st.dictionaries(TOKENS, VALUES, min_size=1, max_size=4)), min_size=1, max_size=4
    )
)
def test_what_is_written_by_the_rules_is_read(made: list[tuple[str, dict[str, str]]]) -> None:
    parts = [
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items())
        for scheme, parameters in made
    ]
    assert parse_challenges([", ".join(parts)]) == [Challenge(*one) for one in made]


@given(st.text(max_size=200))
def test_nothing_that_is_sent_breaks_the_reading(header: str) -> None:
    found = parse_challenges([header])
    assert chosen(found) in [None, *found]


def test_a_token_goes_before_a_password() -> None:
    basic, bearer = Challenge("basic", {}), Challenge("bearer", {"realm": "r"})
    assert chosen([basic, bearer]) == bearer
    assert chosen([Challenge("bearer", {}), basic]) == basic, "a bearer without realm leads nowhere"
    assert chosen([Challenge("digest", {"realm": "r"})]) is None


# -- places --------------------------------------------------------------------------------------------------


def test_where_a_registry_is() -> None:
    mirrors = Policy(mirrors=["http://10.0.0.1:5000/"], insecure=["10.0.0.0/8", "plain.example", "other:81"])
    assert endpoints_for("docker.io", mirrors) == [
        Endpoint("http://10.0.0.1:5000", verified=False, is_mirror=True),
        Endpoint("https://registry-1.docker.io"),
    ]
    assert endpoints_for("quay.io", mirrors) == [Endpoint("https://quay.io")], "mirrors are the hub's"
    for host in (
        "10.1.2.3:443",
        "plain.example:5000",
        "other:81",
        "localhost:5000",
        "127.1.2.3",
        "[::1]:5000",
    ):
        both = [Endpoint(f"{scheme}://{host}", verified=False) for scheme in ("https", "http")]
        assert endpoints_for(host, mirrors) == both
    for host in (
        "other",
        "other:82",
        "11.1.2.3",
        "localhost.example",
        "127.0.0.1.example",
        "example.com:5000",
    ):
        assert endpoints_for(host, mirrors) == [Endpoint(f"https://{host}")]


@given(st.ip_addresses(), st.integers(1, 65535))
def test_only_loopback_is_insecure_by_itself(address: object, port: int) -> None:
    host = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    assert is_insecure(host, ()) == address.is_loopback  # type: ignore[attr-defined]
    assert is_insecure(host, ["0.0.0.0/0", "::/0"])


def test_what_a_reference_is_asked_as() -> None:
    assert manifest_path(parse_reference("alpine")) == "/v2/library/alpine/manifests/latest"
    digest = "sha256:" + "a" * 64
    assert manifest_path(parse_reference(f"h:5/a/b:1@{digest}")) == f"/v2/a/b/manifests/{digest}"
    assert blob_path("a/b", digest) == f"/v2/a/b/blobs/{digest}"
    assert uploads_path("a/b") == "/v2/a/b/blobs/uploads/"
    assert scope_of("a/b", "pull", "push") == "repository:a/b:pull,push"


@pytest.mark.parametrize(
    "url", ["mirror", "ftp://m", "http://", "http://m/path", "http://m?x", "http://u:p@m"]
)
def test_what_is_no_mirror(url: str) -> None:
    with pytest.raises(BadRequest, match="cannot use registry mirror"):
        check_mirror(url)


@pytest.mark.parametrize("text", ["", "http://h", "h/path", "10.0.0.0/99"])
def test_what_is_no_insecure_registry(text: str) -> None:
    with pytest.raises(BadRequest, match="cannot use insecure registry"):
        check_insecure(text)


# -- tries ---------------------------------------------------------------------------------------------------


@given(st.integers(0, 50), st.integers(1, 20), st.none() | st.floats(0, 1e6))
def test_tries_end_and_pauses_are_bounded(failed: int, attempts: int, asked: float | None) -> None:
    pause = retries.pause(failed, attempts, asked)
    if failed >= attempts or (asked or 0) > retries.LONGEST:
        assert pause is None
    else:
        assert pause is not None and max(retries.FIRST, asked or 0) <= pause <= retries.LONGEST


def test_the_schedule() -> None:
    assert [retries.pause(failed, 5) for failed in range(1, 6)] == [0.25, 1.0, 4.0, 16.0, None]
    assert retries.pause(1, 5, 7.0) == 7.0


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, None), ("3", 3.0), ("Wed, 21 Oct 2015 07:28:00 GMT", None), ("-1", None)]
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retries.retry_after(header) == seconds


# -- who asks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("strip", [True, False])
def test_the_header_in_each_form(encode: object, strip: bool) -> None:
    document = json.dumps({"username": "ü>?", "password": "~~~þ", "serveraddress": "x"}, ensure_ascii=False)
    header = encode(document.encode()).decode()  # type: ignore[operator]
    found = from_header(header.rstrip("=") if strip else header)
    assert found == Credentials("ü>?", "~~~þ")
    assert "~~~" not in repr(found)


def test_other_documents() -> None:
    assert from_header(None) == from_header("") == from_header("e30=") == NOBODY
    assert from_document({"auth": base64.b64encode(b"a:b:c").decode()}) == Credentials("a", "b:c")
    assert from_document({"identitytoken": "t"}) == Credentials(identity_token="t")
    assert Credentials("a", "b").basic == "Basic YTpi" and NOBODY.basic == ""


@given(st.text(max_size=50))
def test_other_headers_are_refused_or_read(text: str) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(from_header(text), Credentials)


@pytest.mark.parametrize(
    "text", ["!", "bm8=", "W10=", "eyJ1c2VybmFtZSI6MX0="]
)  # no base64, no JSON, [], a number
def test_what_is_no_header(text: str) -> None:
    with pytest.raises(BadRequest, match="cannot use the"):
        from_header(text)


# -- failures ------------------------------------------------------------------------------------------------


def test_refusals_have_classes_and_one_line() -> None:
    said = json.dumps({"errors": [{"code": "DENIED", "message": "no \x1b[31m\nway"}]}).encode()
    for status, kind in ((401, Forbidden), (403, Forbidden), (404, NotFound), (429, Unavailable)):
        error = refusal("pull x:1", status, said)
        assert type(error) is kind
        assert str(error).startswith("cannot pull x:1: ") and str(error).endswith(": no  [31m way")
    assert str(refusal("pull x:1", 418, b"")) == "cannot pull x:1: the registry answered 418"


ANY_JSON = st.recursive(
    st.none() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["errors", "message", "code"]), inner),
)


@given(st.binary(max_size=100) | ANY_JSON.map(lambda value: json.dumps(value).encode()))
def test_any_text_of_a_registry_is_one_line(content: bytes) -> None:
    assert message_of(content).isprintable()


def test_the_innermost_reason_counts() -> None:
    outer = RuntimeError("wrapped")
    outer.__cause__ = OSError("all attempts failed")
    outer.__cause__.__cause__ = ExceptionGroup("many", [ConnectionRefusedError(111, "Connection refused")])
    assert cause_of(outer) == "Connection refused"
    assert cause_of(ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x")).startswith("TLS failed")
    assert cause_of(ValueError()) == "ValueError"


# -- uploads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "location", "place"),
    [
        (
            "http://h:5/v2/a/blobs/uploads/",
            "/v2/a/blobs/uploads/1?s=2",
            "http://h:5/v2/a/blobs/uploads/1?s=2",
        ),
        ("http://h:5/v2/a/blobs/uploads/", "http://other/1", "http://other/1"),
        ("https://h/v2/a/blobs/uploads/", "http://h/v2/1", "https://h/v2/1"),
        ("https://h/v2/a/blobs/uploads/", "https://store.example/1?sig=x", "https://store.example/1?sig=x"),
    ],
)
def test_where_an_upload_goes_on(asked: str, location: str, place: str) -> None:
    assert upload_place(asked, location) == place


@pytest.mark.parametrize("location", ["", "file:///etc/passwd", "http://other/1", "ftp://h/1", "http://[x/"])
def test_where_no_upload_goes(location: str) -> None:
    with pytest.raises(Unavailable, match="cannot upload to h: "):
        upload_place("https://h/v2/a/blobs/uploads/", location)


@given(st.text(max_size=60))
def test_nothing_leaves_tls(location: str) -> None:
    with contextlib.suppress(Unavailable):
        assert upload_place("https://h/v2/a/blobs/uploads/", location).startswith("https://")


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("", ""),
        ('</v2/a/tags/list?n=2&last=b>; rel="next"', "http://h/v2/a/tags/list?n=2&last=b"),
        ("<http://h/x>; rel=next", "http://h/x"),
        ('<http://other/x>; rel="next"', ""),
        ('<http://[x>; rel="next"', ""),
        ('</x>; rel="prev"', ""),
    ],
)
def test_the_next_page_of_a_list(link: str, page: str) -> None:
    assert next_page("http://h", link) == page


def test_what_is_compressed_for_a_push() -> None:
    def layer(kind: str, number: int) -> dict[str, object]:
        return {
            "mediaType": kind,
            "digest": f"sha256:{number:064x}",
            "size": number,
            "annotations": {"a": "b"},
        }

    docker_layer = "application/vnd.docker.image.rootfs.diff.tar"
    kinds = [OCI_LAYER, f"{OCI_LAYER}+gzip", f"{OCI_LAYER}+zstd", f"{OCI_LAYER}+xz", docker_layer]
    document = {
        "schemaVersion": 2,
        "config": {"mediaType": OCI_CONFIG, "digest": f"sha256:{99:064x}", "size": 1},
        "layers": [layer(kind, number) for number, kind in enumerate(kinds)],
        "x": "stays",
    }
    content = json.dumps(document).encode()
    manifest = parse(content)
    assert isinstance(manifest, Manifest)
    chosen = to_be_compressed(manifest)
    assert chosen == [f"sha256:{number:064x}" for number in (0, 3, 4)]
    assert with_compressed(content, {}) is content, "byte for byte"
    made = {digest: Blob("sha256:" + "f" * 64, 7) for digest in chosen}
    changed = json.loads(with_compressed(content, made))
    assert [one["mediaType"] for one in changed["layers"]] == [
        *(f"{OCI_LAYER}+{kind}" for kind in ("gzip", "gzip", "zstd", "gzip")),
        f"{docker_layer}.gzip",
    ]
    assert [one["size"] for one in changed["layers"]] == [7, 1, 2, 7, 7]
    assert changed["layers"][0]["annotations"] == {"a": "b"} and changed["x"] == "stays"
    assert to_be_compressed(parse(json.dumps(changed).encode())) == []  # type: ignore[arg-type]


@given(st.binary(max_size=3 << 10).map(lambda data: data * 700))
def test_gzip_is_the_same_each_time(data: bytes) -> None:
    first, second = (b"".join(gzipped(io.BytesIO(data))) for _ in range(2))
    assert first == second and gzip.decompress(first) == data


@pytest.mark.parametrize(
    ("address", "registry"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("http://127.0.0.1:5000", "127.0.0.1:5000"),
        ("registry.example/v2/", "registry.example"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_the_registry_of_a_server_address(address: str, registry: str) -> None:
    assert registry_of(address) == registry


@pytest.mark.parametrize("address", [7, "a b", "x\x00.example"])
def test_what_is_no_server_address(address: object) -> None:
    with pytest.raises(BadRequest, match="cannot use the credentials"):
        registry_of(address)


# -- what the daemon tells of it -----------------------------------------------------------------------------


def test_registries_in_info() -> None:
    settings = Settings(registry_mirrors=("http://m:1",), insecure_registries=("10.0.0.0/8", "h:5"))
    found = registry_config(settings)
    assert found["InsecureRegistryCIDRs"] == ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]
    assert found["Mirrors"] == found["IndexConfigs"]["docker.io"]["Mirrors"] == ["http://m:1"]
    assert found["IndexConfigs"]["h:5"]["Secure"] is False
    given = {"HTTPS_PROXY": "http://u:p@proxy:3128", "no_proxy": "x", "http_proxy": "http://plain:1"}
    assert proxies(given) == {
        "HttpProxy": "http://plain:1",
        "HttpsProxy": "http://xxxxx:xxxxx@proxy:3128",
        "NoProxy": "x",
    }
