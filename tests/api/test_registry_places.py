"""Where registries are and whom the daemon trusts: TLS, authorities, certificates of ours, mirrors, proxies."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from helpers import own_network
from helpers.certificates import Authority
from helpers.daemon import Daemon
from helpers.image_store import forget_images
from helpers.images import Image, busybox, layer, oci_archive
from helpers.proxies import Proxy
from helpers.registries import Registry

from pysup.supervisor.images.digests import digest_of

pytestmark = pytest.mark.kernel

ADDRESS = "192.0.2.7"
"""On the loopback interface, but none of its own addresses: so nothing is insecure by itself."""
IMAGE = Image([busybox(), layer(("file", {}, b"hello"))], {"Cmd": ["cat", "/file"]})


@pytest.fixture(scope="module")
def address() -> str:
    own_network.enter()
    subprocess.run(["ip", "address", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
    return ADDRESS


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("authority of the tests")


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with Proxy() as started:
        yield started


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Of docker's hub."""
    with Registry(tmp_path_factory.mktemp("mirror")) as started:
        started.seed("library/app:1", IMAGE)
        yield started


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, proxy: Proxy, mirror: Registry, address: str
) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("places")
    flags = {
        "--registry-certs": str(directory / "certs.d"),
        "--registry-mirror": f"http://{mirror.host}",
        "--insecure-registry": "192.0.2.128/25",
        "--max-download-attempts": "2",
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTPS_PROXY", proxy.url)
        with Daemon(directory, *(word for pair in flags.items() for word in pair)) as started:
            yield started


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    yield shared
    forget_images(shared)


@pytest.fixture(scope="module")
def secure(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, address: str
) -> Iterator[Registry]:
    """A registry with TLS."""
    directory = tmp_path_factory.mktemp("secure")
    files = authority.write(directory / "tls", "registry", address=address)
    tls = {"certificate": str(files / "cert.pem"), "key": str(files / "key.pem")}
    with Registry(directory, http={"tls": tls}, address=address) as started:
        yield started


@pytest.fixture
def trusted(daemon: Daemon, secure: Registry, authority: Authority, tmp_path: Path) -> Iterator[Path]:
    """Where the daemon looks for certificates of the secure registry, with its authority there."""
    place = daemon.root.parent / "certs.d" / secure.host
    place.mkdir(parents=True)
    files = authority.write(tmp_path / "ours", "client")
    shutil.copy(files / "ca.pem", place / "ca.crt")
    yield place
    shutil.rmtree(place)


def loaded(daemon: Daemon, name: str) -> str:
    daemon.pysup("load", stdin=oci_archive(Image(IMAGE.layers, IMAGE.config, [name])), check=True)
    return name


# -- TLS -----------------------------------------------------------------------------------------------------


def test_an_authority_that_nobody_knows(daemon: Daemon, secure: Registry) -> None:
    name = loaded(daemon, f"{secure.host}/a:1")
    refused = daemon.docker("push", name)
    assert refused.returncode == 1
    assert f"cannot push {name}: {secure.host}: its certificate is not trusted: " in refused.stderr


def test_an_authority_for_this_registry(
    daemon: Daemon, secure: Registry, trusted: Path, proxy: Proxy
) -> None:
    name = loaded(daemon, f"{secure.host}/a:2")
    daemon.pysup("push", name, check=True)
    daemon.pysup("rmi", name, check=True)
    assert daemon.pysup("run", "--rm", name, check=True).stdout == "hello"
    assert set(proxy.asked) == {secure.host}


def test_a_proxy_that_does_not_lead_there_is_named(daemon: Daemon, address: str, proxy: Proxy) -> None:
    refused = daemon.docker("pull", f"{address}:1/a")
    assert refused.returncode == 1
    assert f"{address}:1: 502 Bad Gateway (through the proxy {proxy.url[len('http://') :]})" in refused.stderr


def test_a_certificate_for_another_place(
    daemon: Daemon, authority: Authority, address: str, trusted: Path, tmp_path: Path
) -> None:
    files = authority.write(tmp_path / "other", "registry", address="192.0.2.8")
    tls = {"certificate": str(files / "cert.pem"), "key": str(files / "key.pem")}
    with Registry(tmp_path / "registry", http={"tls": tls}, address=address) as registry:
        shutil.copytree(trusted, trusted.parent / registry.host)
        refused = daemon.pysup("pull", f"{registry.host}/a")
        assert "its certificate is not trusted: IP address mismatch" in refused.stderr


def test_a_registry_that_wants_a_certificate_too(
    daemon: Daemon, authority: Authority, address: str, trusted: Path, tmp_path: Path
) -> None:
    files = authority.write(tmp_path / "tls", "registry", address=address)
    tls = {
        "certificate": str(files / "cert.pem"),
        "key": str(files / "key.pem"),
        "clientcas": [str(files / "ca.pem")],
    }
    with Registry(tmp_path / "registry", http={"tls": tls}, address=address) as registry:
        name = loaded(daemon, f"{registry.host}/a:1")
        place = trusted.parent / registry.host
        shutil.copytree(trusted, place)
        refused = daemon.pysup("push", name)
        assert refused.returncode == 1 and f"cannot push {name}: {registry.host}: " in refused.stderr
        shutil.copy(tmp_path / "ours/cert.pem", place / "client.cert")
        half = daemon.pysup("push", name).stderr
        assert half == f"pysup: cannot use certificate {place}/client.cert: No such file or directory\n"
        shutil.copy(tmp_path / "ours/key.pem", place / "client.key")
        daemon.pysup("push", name, check=True)
        (place / "bad.crt").write_text("no certificate")
        assert f"cannot use certificate {place}/bad.crt: " in daemon.pysup("push", name).stderr


# -- without TLS ---------------------------------------------------------------------------------------------


def test_without_tls_only_where_that_is_allowed(daemon: Daemon, address: str, tmp_path: Path) -> None:
    with Registry(tmp_path / "refused", address=address) as registry:
        refused = daemon.pysup("push", loaded(daemon, f"{registry.host}/a:1"))
        assert refused.returncode == 1 and "TLS failed: " in refused.stderr
    subprocess.run(["ip", "address", "replace", "192.0.2.129/32", "dev", "lo"], check=True)
    with Registry(tmp_path / "allowed", address="192.0.2.129") as registry:
        name = loaded(daemon, f"{registry.host}/a:1")
        assert daemon.docker("push", name).returncode == 0
        assert registry.inspect("a:1")["Digest"] == digest_of(IMAGE.manifest)


# -- mirrors -------------------------------------------------------------------------------------------------


def test_a_mirror_of_the_hub_is_for_reading(daemon: Daemon, mirror: Registry) -> None:
    pulled = daemon.docker("pull", "app:1")
    assert pulled.stdout.splitlines()[-1] == "docker.io/library/app:1" and pulled.returncode == 0
    (inspected,) = json.loads(daemon.docker("inspect", "app:1").stdout)
    assert inspected["RepoTags"] == ["app:1"]
    assert inspected["RepoDigests"] == [f"app@{digest_of(IMAGE.manifest)}"]
    client = docker.DockerClient(base_url=f"unix://{daemon.socket}")
    with contextlib.closing(client):
        assert client.images.get_registry_data("app:1").id == digest_of(IMAGE.manifest)
    refused = daemon.pysup("push", "app:1")
    assert refused.returncode == 1 and "cannot push app:1: registry-1.docker.io: " in refused.stderr


def test_what_a_mirror_lacks_the_hub_is_asked_for(daemon: Daemon, proxy: Proxy) -> None:
    proxy.asked.clear()
    refused = daemon.pysup("pull", "nosuch:1")
    told = "pysup: cannot pull nosuch:1: not found: manifest unknown (registry-1.docker.io: "
    assert refused.returncode == 1 and refused.stderr.startswith(told)
    assert proxy.asked == ["registry-1.docker.io:443"], "through the proxy, which has no network either"
