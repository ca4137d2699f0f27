"""docker-py and images: the flows of its own integration tests, with a mirror of the hub that the test has made."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Iterator

import docker
import pytest
from docker.errors import APIError, ImageLoadError, ImageNotFound
from helpers.daemon import Daemon
from helpers.images import Image, busybox, encode, layer
from helpers.registries import Registry

pytestmark = [
    pytest.mark.kernel,
    # docker-py leaves the sockets of finished streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BASE = busybox()
NAMES = ("alpine:3.10", "alpine:latest", "hello-world:latest")


def image(name: str) -> Image:
    """Each is another one."""
    return Image([BASE, layer(("name", {}, name.encode()))], {"Cmd": ["cat", "/name"]})


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Registry(tmp_path_factory.mktemp("hub")) as hub:
        for name in NAMES:
            hub.seed(f"library/{name}", image(name))
        with Daemon(tmp_path_factory.mktemp("sdk"), "--registry-mirror", f"http://{hub.host}") as started:
            yield started


@pytest.fixture
def client(daemon: Daemon) -> Iterator[docker.DockerClient]:
    found = docker.DockerClient(base_url=f"unix://{daemon.socket}", version="auto", timeout=60)
    yield found
    found.close()


@pytest.fixture(autouse=True)
def alpine(client: docker.DockerClient) -> Iterator[None]:
    """Begin with one image, and end with none."""
    client.images.pull("alpine:3.10")
    yield
    for one in client.images.list():
        if "host:latest" not in one.tags:
            client.images.remove(one.id, force=True)


def root(size: int = 512) -> bytes:
    return layer(("file", {}, b"x" * size))


def test_pull_by_tag_and_all_of_them(client: docker.DockerClient) -> None:
    assert client.images.pull("hello-world").tags == ["hello-world:latest"]
    assert client.images.pull("alpine", tag="3.10").id == image("alpine:3.10").id
    pulled = client.images.pull("alpine", all_tags=True)
    assert {tag for one in pulled for tag in one.tags} == {"alpine:3.10", "alpine:latest"}
    by_digest = client.images.get("hello-world").attrs["RepoDigests"][0]
    assert client.images.pull(by_digest).id == image("hello-world:latest").id


def test_pull_tells_how_far_it_is(client: docker.DockerClient) -> None:
    lines = list(client.api.pull("hello-world", stream=True, decode=True))
    assert lines[0] == {
        "status": "Pulling from library/hello-world",
        "id": "latest",
        "progressDetail": {},
    }
    assert lines[-1] == {"status": "Status: Downloaded newer image for hello-world:latest"}
    assert isinstance(client.api.pull("hello-world"), str)


@pytest.mark.parametrize(("platform", "cause"), [("foobar", "unknown operating system"), ("a/b/c/d", "not")])
def test_a_platform_that_nobody_knows(client: docker.DockerClient, platform: str, cause: str) -> None:
    with pytest.raises(APIError, match=cause) as caught:
        client.api.pull("hello-world", platform=platform)
    assert caught.value.is_client_error()


def test_list_and_count(client: docker.DockerClient) -> None:
    listed = client.api.images(all=True)
    assert len({one["Id"] for one in listed}) == client.info()["Images"]
    assert {"Id", "Created", "RepoTags"} <= set(listed[0])
    assert all(isinstance(one, str) for one in client.api.images(quiet=True))
    assert [one.tags for one in client.images.list("alpine")] == [["alpine:3.10"]]
    assert client.images.list("nosuch") == []


def test_what_a_registry_has(client: docker.DockerClient) -> None:
    found = client.api.inspect_distribution("alpine:latest")
    assert {"os": "linux", "architecture": "amd64"} in found["Platforms"]
    assert found["Descriptor"]["size"] == len(image("alpine:latest").manifest)
    with pytest.raises(ImageNotFound):
        client.images.get("alpine:latest")


def test_import_in_every_way(client: docker.DockerClient) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(root())
        file.flush()
        for told in (
            client.api.import_image_from_data(root(), repository="test/bytes"),
            client.api.import_image(src=file.name, repository="test/file"),
            client.api.import_image(src=io.BytesIO(root()), repository="test/stream"),
        ):
            assert '"error"' not in told and '"sha256:' in told
        client.api.import_image(src=file.name, repository="test/changed", changes=["USER foobar", "CMD echo"])
    config = client.images.get("test/changed").attrs["Config"]
    assert (config["User"], config["Cmd"]) == ("foobar", ["/bin/sh", "-c", "echo"])
    assert client.images.get("test/bytes").id != client.images.get("test/changed").id


def test_save_and_load(client: docker.DockerClient) -> None:
    whole = client.images.get("alpine:3.10")
    saved = b"".join(whole.save(named="alpine:3.10"))
    client.images.remove("alpine:3.10")
    assert [one.id for one in client.images.load(saved)] == [whole.id]
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        manifest = archive.extractfile("manifest.json")
        assert manifest is not None and b'"alpine:3.10"' in manifest.read()
    (line,) = [one for one in client.api.load_image(saved) if "Loaded image" in one.get("stream", "")]
    assert line["stream"] == "Loaded image: alpine:3.10\n"
    with pytest.raises(docker.errors.InvalidArgument):
        whole.save(named="nosuch:1")
    with pytest.raises(ImageLoadError):
        client.images.load(encode("no archive"))


def test_tag_remove_and_prune(client: docker.DockerClient) -> None:
    found = client.images.get("alpine:3.10")
    assert found.tag("dockersdk.tests/images", "abc") is True
    assert "dockersdk.tests/images:abc" in client.images.get(found.id).tags
    client.images.remove("dockersdk.tests/images:abc")
    client.api.create_container("alpine:3.10", ["true"], name="user")
    client.images.pull("hello-world")
    hello = image("hello-world:latest").id
    assert hello not in [one.get("Deleted") for one in client.images.prune()["ImagesDeleted"] or []]
    pruned = client.images.prune({"dangling": False})
    assert pruned["SpaceReclaimed"] > 0
    assert {"Untagged": "hello-world:latest"} in pruned["ImagesDeleted"]
    assert {"Deleted": hello} in pruned["ImagesDeleted"]
    assert client.images.get("alpine:3.10").id == found.id, "it is in use"
    client.api.remove_container("user")
    client.api.remove_image("alpine:3.10")
    with pytest.raises(ImageNotFound):
        client.images.get("alpine:3.10")


def test_commit_with_changes(client: docker.DockerClient) -> None:
    box = client.containers.create("alpine:3.10", ["sh", "-c", "echo more >/more"])
    box.start()
    box.wait()
    made = box.commit("made", "1", changes=["EXPOSE 8000", 'CMD ["cat", "/more"]'])
    assert made.attrs["Parent"] == client.images.get("alpine:3.10").id
    config = client.images.get("made:1").attrs["Config"]
    assert "8000/tcp" in config["ExposedPorts"] and config["Cmd"] == ["cat", "/more"]
    assert client.containers.run("made:1", remove=True) == b"more\n"
    box.remove()
    client.images.remove(made.id)
