"""Builds: every instruction on real layers, the cache, stages, arguments, and one line for each way to fail."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import zstandard
from helpers.contexts import build, built, config_of, context, entry, of_image
from helpers.daemon import Daemon
from helpers.images import Image, busybox, docker_archive, layer
from helpers.mortal import until

from pysup.supervisor.client.sync import Client

pytestmark = pytest.mark.kernel

BASE = Image(
    [
        busybox(),
        layer(
            ("etc/passwd", {}, b"root:x:0:0::/:/bin/sh\nweb:x:33:44::/:/bin/sh\n"),
            ("etc/group", {}, b"root:x:0:\nweb:x:44:\nstaff:x:50:\n"),
            ("usr/lib/old", {"mode": 0o600, "uid": 7}, b"old"),
            ("lib", {"type": tarfile.SYMTYPE, "linkname": "usr/lib"}, b""),
            ("out", {"type": tarfile.SYMTYPE, "linkname": "/../../../tmp"}, b""),
        ),
    ],
    {"Env": ["PATH=/bin"], "Cmd": ["sh"]},
    ["base:1"],
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("build")) as started:
        started.pysup("load", stdin=docker_archive(BASE), check=True)
        yield started
        assert list((started.root / "images" / "tmp").iterdir()) == []
        assert started.docker("ps", "-aq").stdout == ""


def tree(daemon: Daemon, name: str, path: str) -> list[str]:
    """Everything below a path: name, mode, owner, kind."""
    found = of_image(daemon, name, f"cd {path}; find . ! -name . -exec stat -c '%n %a %u:%g %F' {{}} +")
    return sorted(line.removeprefix("./") for line in found.splitlines())


# -- what is told --------------------------------------------------------------------------------------------


def test_the_text_is_dockers_and_the_second_time_all_is_cached(daemon: Daemon) -> None:
    archive = context("FROM base:1\nENV a=b\nRUN echo $a; echo bad >&2\nCOPY f /f\n", ("f", "text"))
    first = built(daemon, archive, t="told:1")
    lines = first.text.splitlines()
    container = lines[5].removeprefix(" ---> Running in ")
    assert [line for line in lines[:10] if not line.startswith(" ---> ") or "i" in line] == [
        "Step 1/4 : FROM base:1",
        "Step 2/4 : ENV a=b",
        "Step 3/4 : RUN echo $a; echo bad >&2",
        f" ---> Running in {container}",
        "b",
        "\x1b[91mbad",
        f"\x1b[0m ---> Removed intermediate container {container}",
    ]
    short = first.ids[0].removeprefix("sha256:")[:12]
    assert lines[-3:] == [f" ---> {short}", f"Successfully built {short}", "Successfully tagged told:1"]
    again = built(daemon, archive, t=["told:1", "told:2"])
    assert again.cached == 3 and again.ids == first.ids
    assert built(daemon, archive, nocache=1).cached == 0
    other = context("FROM base:1\nENV a=b\nRUN echo $a; echo bad >&2\nCOPY f /f\n", ("f", "another"))
    assert built(daemon, other).cached == 2


def test_quiet_says_the_id_alone_or_everything_if_it_fails(daemon: Daemon) -> None:
    told = built(daemon, context("FROM base:1\nENV quiet=1"), q=1)
    assert told.text == f"{told.ids[0]}\n"
    failed = build(daemon, context("FROM base:1\nRUN echo seen; exit 3"), q=1)
    assert "seen\n" in failed.text
    assert failed.error == "The command '/bin/sh -c echo seen; exit 3' returned a non-zero code: 3"
    assert failed.code == 3
    (left,) = daemon.docker("ps", "-aq", "--filter", "status=exited").stdout.split()
    assert f"Running in {left}" in failed.text, "it stays, to be looked at"
    daemon.docker("rm", left)
    assert build(daemon, context("FROM base:1\nRUN exit 3"), forcerm=1).code == 3
    assert daemon.docker("ps", "-aq").stdout == ""


def test_containers_stay_if_that_is_asked_for(daemon: Daemon) -> None:
    told = built(daemon, context("FROM base:1\nRUN echo kept > /kept"), rm=0, t="kept:1")
    (left,) = daemon.docker("ps", "-aq").stdout.split()
    assert f"Running in {left}" in told.text
    assert of_image(daemon, "kept:1", "cat /kept") == "kept\n"
    daemon.docker("commit", left, "kept:2")
    assert of_image(daemon, "kept:2", "cat /kept") == "kept\n", "its write layer is still its own"
    daemon.docker("rm", left)


def test_a_container_in_which_a_build_runs_is_the_build_s(daemon: Daemon) -> None:
    steps = "FROM base:1\nRUN while [ ! -e /go ]; do sleep 0.05; done\n"
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(built, daemon, context(steps), t="mine:1")
        until(lambda: daemon.docker("ps", "-q").stdout.count("\n") == 1, "its container")
        running = daemon.docker("ps", "-q", "--no-trunc").stdout.strip()
        refusals = [daemon.docker("rm", "-f", running), daemon.pysup("rm", "-f", running)]
        pruned = daemon.docker("container", "prune", "-f").stdout
        daemon.docker("exec", running, "sh", "-c", "echo > /go")
        assert told.result().ids
    for refused in refusals:
        assert refused.returncode == 1
        assert "the build of mine:1 runs in it, and removes it; kill it to end the build" in refused.stderr
    assert running not in pruned
    assert daemon.docker("ps", "-aq").stdout == ""
    assert build(daemon, context("FROM base:1\nRUN exit 3")).code == 3
    (left,) = daemon.docker("ps", "-aq").stdout.split()
    assert daemon.docker("rm", left).returncode == 0, "it was left to whoever looks at it"


# -- COPY and ADD --------------------------------------------------------------------------------------------

FILES = (
    ("a.txt", "a"),
    ("b.txt", "b"),
    ("d/one", "1"),
    ("d/sub/two", "2"),
    entry("d/link", tarfile.SYMTYPE, "one"),
    entry("to-d", tarfile.SYMTYPE, "d"),
    entry("away", tarfile.SYMTYPE, "/etc/hostname"),
    entry("hard", tarfile.LNKTYPE, "a.txt"),
)
_DIRECTORY = (
    " 755 0:0 directory",
    "/one 644 0:0 regular file",
    "/link 777 0:0 symbolic link",
    "/sub 755 0:0 directory",
    "/sub/two 644 0:0 regular file",
)


def test_what_is_copied_where(daemon: Daemon) -> None:
    steps = """FROM base:1
WORKDIR /w/deep
COPY a.txt .
COPY a.txt renamed
COPY a.txt b.txt new/
COPY *.txt globbed/
COPY d dir
COPY d/ dir-slash/
COPY to-d through
COPY d/*e* picked/
COPY --chown=web d/one chowned/a
COPY --chown=web:staff --chmod=0710 d/one chowned/b
COPY --chown=5:6 d chowned/tree
COPY ["a.txt", "with space"]
"""
    built(daemon, context(steps, *FILES), t="copied")
    assert of_image(daemon, "copied", "stat -c '%a %u:%g' /w /w/deep") == "755 0:0\n" * 2
    assert tree(daemon, "copied", "/w/deep") == sorted([
        "a.txt 644 0:0 regular file",
        "renamed 644 0:0 regular file",
        "new 755 0:0 directory",
        "new/a.txt 644 0:0 regular file",
        "new/b.txt 644 0:0 regular file",
        "globbed 755 0:0 directory",
        "globbed/a.txt 644 0:0 regular file",
        "globbed/b.txt 644 0:0 regular file",
        *(f"{name}{rest}" for name in ("dir", "dir-slash", "through") for rest in _DIRECTORY),
        "picked 755 0:0 directory",
        "picked/one 644 0:0 regular file",
        "chowned 755 33:44 directory",
        "chowned/a 644 33:44 regular file",
        "chowned/b 710 33:50 regular file",
        *(f"chowned/tree{rest.replace('0:0', '5:6')}" for rest in _DIRECTORY),
        "with space 644 0:0 regular file",
    ])  # fmt: skip


def test_what_is_there_stays_or_makes_room(daemon: Daemon) -> None:
    files = (("lib/new", "n"), ("bin/extra", "x"), ("etc/passwd/x", "was a file"), ("f", "f"), ("tmp/t", ""))
    built(daemon, context("FROM base:1\nCOPY . /\nCOPY f /lib/old\n", *files), t="merged")
    script = "readlink /lib; cat /usr/lib/new /lib/old; ls /bin/extra /bin/sh /etc/passwd; stat -c %a /tmp"
    assert of_image(daemon, "merged", script) == "usr/lib\nnf/bin/extra\n/bin/sh\n\n/etc/passwd:\nx\n1777\n"


def test_no_link_leads_out_of_the_context_or_the_image(daemon: Daemon) -> None:
    up = entry("deep/up", tarfile.SYMTYPE, "../../../../../../etc")
    own = ("etc/hostname", "the context's own\n")
    steps = "FROM base:1\nCOPY away /x/away\nCOPY deep/up/hostname /x/up\nCOPY etc /out/\nWORKDIR /out/made\n"
    built(daemon, context(steps, *FILES, up, own), t="links")
    found = of_image(daemon, "links", "cat /x/away /x/up /tmp/hostname; ls -d /tmp/made")
    assert found == "the context's own\n" * 3 + "/tmp/made\n"
    assert not os.path.exists("/tmp/made") and not os.path.exists("/tmp/hostname")
    for name in ("../evil", "/etc/../../evil", "a/../../evil"):
        failed = build(daemon, context("FROM base:1", (name, "evil")))
        assert "its name leads upwards" in failed.error and name in failed.error
    assert "Forbidden path outside" in build(daemon, context("FROM base:1\nCOPY ../etc /")).error
    for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
        special = build(daemon, context("FROM base:1\nCOPY . /", entry("special", kind)))
        assert "'special': it is a device or a FIFO" in special.error
    made = built(daemon, context("FROM base:1\nRUN mknod /dev-null c 1 3\n")).ids[0]
    direct = build(daemon, context(f"FROM base:1\nCOPY --from={made} /dev-null /x\n"))
    assert "it is neither a file nor a directory nor a link" in direct.error
    hidden = build(daemon, context("FROM base:1\nCOPY . /", (".wh.bin", "takes /bin away")))
    assert "'.wh.bin': in a layer such a name takes another file away" in hidden.error


THROUGH = [
    ("COPY a.txt /srv/x", "/data/srv/x"),
    ("COPY a.txt /srv/", "/data/srv/a.txt"),
    ("COPY a.txt /srv", "/data/srv"),
    ("COPY a.txt /links/file", "/nowhere/deep/f"),
    ("COPY a.txt /links/up", "/up/f"),
    ("COPY d/ /links/", "/links/one"),
    ("COPY d/ /srv/", "/data/srv/sub/two"),
    ("ADD a.txt /links/chain/x", "/data/srv/x"),
    ("WORKDIR /srv/w", "/data/srv/w"),
]
"""What is found where, with docker 20.10, too."""


@pytest.mark.parametrize(("step", "made"), THROUGH)
def test_a_link_of_the_image_that_leads_to_nothing_leads_on(daemon: Daemon, step: str, made: str) -> None:
    """In the image's root, whatever it says; and nothing comes of one on the host."""
    links = {
        "/srv": "/data/srv", "/links/file": "/nowhere/deep/f", "/links/up": "../../../../up/f",
        "/links/chain": "../srv", "/links/one": "nothing", "/loop": "/loop",
    }  # fmt: skip
    making = " && ".join(f"ln -s {target} {name}" for name, target in links.items())
    steps = f"FROM base:1\nRUN rm -rf /srv && mkdir /links && {making}\n"
    built(daemon, context(f"{steps}{step}\n", *FILES), t="dangling")
    assert of_image(daemon, "dangling", f"ls -d {made}; readlink /srv") == f"{made}\n/data/srv\n"
    assert not any(os.path.exists(path) for path in ("/data/srv", "/nowhere", "/up"))
    for target in ("/loop", "/loop/x", "/loop/"):
        told = build(daemon, context(f"{steps}COPY a.txt {target}\n", *FILES))
        assert "oo many levels of symbolic links" in told.error, told.error


def test_add_unpacks_archives_and_copy_does_not(daemon: Daemon) -> None:
    inner = layer(
        ("in", {"type": tarfile.DIRTYPE, "mode": 0o750, "uid": 8, "gid": 9}, b""),
        ("in/f", {"uid": 8, "gid": 9}, b"f"),
    )
    steps = """FROM base:1
ADD a.tar /t/
ADD a.tgz /gz/
ADD --chown=3:4 a.zst /z
ADD plain.gz /plain/
COPY a.tar /copied/
"""
    files = {
        "Dockerfile": steps.encode(), "a.tar": inner, "a.tgz": gzip.compress(inner),
        "a.zst": zstandard.compress(inner), "plain.gz": gzip.compress(b"x"),
    }  # fmt: skip
    built(daemon, layer(*((name, {}, content) for name, content in files.items())), t="added")
    owned = ["in 750 8:9 directory", "in/f 644 8:9 regular file"]
    assert tree(daemon, "added", "/t") == tree(daemon, "added", "/gz") == owned
    assert tree(daemon, "added", "/z") == ["in 750 3:4 directory", "in/f 644 3:4 regular file"]
    assert tree(daemon, "added", "/plain") == ["plain.gz 644 0:0 regular file"]
    assert tree(daemon, "added", "/copied") == ["a.tar 644 0:0 regular file"]


# -- stages and arguments ------------------------------------------------------------------------------------


def test_stages_take_from_each_other_and_from_images(daemon: Daemon) -> None:
    steps = """ARG WHERE=/made
FROM base:1 AS one
RUN mkdir -p /made/sub && echo one > /made/sub/f && chown 7:8 /made/sub/f && rm -r /usr/lib/old
FROM one AS two
RUN echo two >> /made/sub/f
FROM scratch AS bare
ARG WHERE
COPY --from=0 $WHERE /0/
COPY --from=two /made/sub/f /2/
COPY --from=base:1 /etc/group /lib/old /image/
FROM base:1
COPY --from=bare / /
"""
    told = built(daemon, context(steps), t="stages")
    assert len(told.ids) == 4
    assert tree(daemon, "stages", "/0") == ["sub 755 0:0 directory", "sub/f 644 7:8 regular file"]
    assert of_image(daemon, "stages", "cat /2/f; stat -c %u:%a /image/old") == "one\ntwo\n7:600\n"
    bare = built(daemon, context(steps), t="stages:bare", target="bare")
    assert bare.ids == told.ids[:3]
    assert "could not be found" in build(daemon, context(steps), target="nope").error


def test_arguments_have_the_scope_that_docker_gives_them(daemon: Daemon) -> None:
    steps = """ARG TAG=0
ARG GLOBAL=g
FROM base:$TAG
RUN echo "1[$GLOBAL][$X]"
ARG GLOBAL
ARG X=${GLOBAL}x
ARG TARGETARCH
RUN echo "2[$GLOBAL][$X][$http_proxy][${TARGETARCH:+arch}]"
ENV X=env
RUN echo "3[$X]"
FROM base:$TAG
RUN echo "4[$X]"
"""
    given = json.dumps({"TAG": "1", "GLOBAL": "G", "http_proxy": "p", "LOST": "l"})
    lines = built(daemon, context(steps), buildargs=given, t="args").text.splitlines()
    shown = [line for line in lines if line[:1] in {"1", "2", "3", "4"}]
    assert shown == ["1[][]", "2[G][Gx][p][arch]", "3[env]", "4[]"]
    assert "[Warning] One or more build-args [LOST] were not consumed" in lines
    same = json.dumps({"TAG": "1", "GLOBAL": "G", "http_proxy": "another"})
    assert built(daemon, context(steps), buildargs=same).cached == 8, "a proxy is no part of what is made"
    other = json.dumps({"TAG": "1", "GLOBAL": "H"})
    assert built(daemon, context(steps), buildargs=other).cached == 3, "up to ARG X, whose value is another"


def test_triggers_of_the_base_image_come_first_and_once(daemon: Daemon) -> None:
    built(daemon, context("FROM base:1\nONBUILD COPY f /on/\nONBUILD RUN echo ran > /on/ran\n"), t="on:1")
    assert config_of(daemon, "on:1")["OnBuild"] == ["COPY f /on/", "RUN echo ran > /on/ran"]
    told = built(daemon, context("FROM on:1\nENV x=y\n", ("f", "file")), t="on:2")
    assert "# Executing 2 build triggers\n" in told.text
    assert of_image(daemon, "on:2", "cat /on/f /on/ran") == "fileran\n"
    assert not config_of(daemon, "on:2").get("OnBuild")


def test_every_field_of_the_config(daemon: Daemon) -> None:
    steps = """FROM base:1
MAINTAINER me
LABEL a=b "c d"="e f"
EXPOSE 80 53/udp
VOLUME ["/data", "/x"]
USER web:staff
WORKDIR /srv
STOPSIGNAL SIGINT
SHELL ["sh", "-ec"]
ENTRYPOINT exec cat
CMD ["-"]
HEALTHCHECK --interval=5s --retries=2 CMD true
"""
    built(daemon, context(steps), t="fields", labels=json.dumps({"a": "over", "l": "$x"}))
    document = json.loads(daemon.docker("image", "inspect", "fields").stdout)[0]
    config = document["Config"]
    assert document["Author"] == "me" and document["Parent"].startswith("sha256:")
    assert config["Labels"] == {"a": "over", "c d": "e f", "l": "$x"}
    assert config["ExposedPorts"] == {"53/udp": {}, "80/tcp": {}}
    assert config["Volumes"] == {"/data": {}, "/x": {}}
    assert (config["User"], config["WorkingDir"], config["StopSignal"]) == ("web:staff", "/srv", "SIGINT")
    assert (config["Shell"], config["Entrypoint"]) == (["sh", "-ec"], ["sh", "-ec", "exec cat"])
    assert config["Cmd"] == ["-"]
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5 * 10**9, "Retries": 2}
    words = ("history", "--no-trunc", "--format", "{{.CreatedBy}}", "fields")
    told = daemon.docker(*words).stdout.splitlines()
    assert told[2] == 'sh -ec #(nop)  HEALTHCHECK ["CMD-SHELL" "true"]'
    assert "/bin/sh -c #(nop)  MAINTAINER me" in told


def test_here_documents(daemon: Daemon) -> None:
    steps = """FROM base:1
ENV who=you
COPY <<one.txt <<-"two.txt" /d/
hello $who
one.txt
\thello $who
\ttwo.txt
RUN <<EOF
cat /d/one.txt
cat /d/two.txt
EOF
RUN cat > /d/three <<EOF
three $who
EOF
RUN <<EOF
#!/bin/cat
not a shell
EOF
"""
    told = built(daemon, context(steps), t="here")
    assert "hello you\nhello $who\n" in told.text and "#!/bin/cat\nnot a shell\n" in told.text
    found = of_image(daemon, "here", "cat /d/three; ls /d /dev/pipes 2>/dev/null || true")
    assert found == "three you\n/d:\none.txt\nthree\ntwo.txt\n"


# -- how it is run -------------------------------------------------------------------------------------------


def test_run_is_a_container_with_what_is_asked_for(daemon: Daemon) -> None:
    steps = """FROM base:1
USER web
WORKDIR /tmp
RUN id -u; pwd; cat /etc/hosts; ls /sys/class/net; ulimit -n; stat -f -c 'shm %b' /dev/shm
"""
    limits = json.dumps([{"Name": "nofile", "Soft": 100, "Hard": 200}])
    query = {"networkmode": "none", "memory": 64 << 20, "shmsize": 4 << 20, "ulimits": limits, "nocache": 1}
    lines = built(daemon, context(steps), **query).text.splitlines()
    assert {"33", "/tmp", "lo", "100", "shm 1024"} <= set(lines) and "eth0" not in lines
    hosts = ["one:10.0.0.1", "two:10.0.0.2"]
    lines = built(daemon, context(steps), extrahosts=hosts, nocache=1).text.splitlines()
    assert {"10.0.0.1\tone", "10.0.0.2\ttwo", "eth0"} <= set(lines)


def test_a_context_may_be_compressed_and_its_dockerfile_elsewhere(daemon: Daemon) -> None:
    for pack in (gzip.compress, zstandard.compress):
        assert built(daemon, pack(context("FROM base:1\nENV packed=1"))).ids
    elsewhere = ("other/Build.file", "FROM base:1\nCOPY . /c\n")
    archive = context("FROM nope", elsewhere, (".dockerignore", "Dockerfile\n.d*"))
    built(daemon, archive, dockerfile="other/Build.file", t="elsewhere")
    found = of_image(daemon, "elsewhere", "find /c -type f")
    assert found == "/c/Dockerfile\n/c/other/Build.file\n" or found.split() == [
        "/c/Dockerfile",
        "/c/other/Build.file",
    ]
    assert "Cannot locate specified Dockerfile: no" in build(daemon, archive, dockerfile="no").error
    assert "damaged" in build(daemon, archive[:700]).error


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("NOPE", {}, "dockerfile parse error on line 1: unknown instruction: NOPE"),
    ("FROM base:1\nCOPY none /", {}, "file not found in build context or excluded by .dockerignore: none"),
    ("FROM base:1\nCOPY no*e /", {}, "no source files were specified"),
    ("FROM base:1\nCOPY [ /", {}, "syntax error in pattern"),
    ("FROM base:1\nCOPY f g /dir", {}, "must be a directory and end with a /"),
    ("FROM base:1\nCOPY f /etc/passwd/", {}, "Not a directory"),
    ("FROM base:1\nCOPY --chown=nobody f /f", {}, "unable to find user nobody"),
    ("FROM base:1\nCOPY --chmod=a+x f /f", {}, "it is not an octal number"),
    ("FROM base:1\nCOPY --from=1 f /f", {}, "index out of bounds"),
    ("FROM base:1\nCOPY --from=0 f /f", {}, "refers to current build stage"),
    ("FROM base:1\nADD https://example.com/x /", {}, "a build downloads nothing by itself"),
    ("FROM base:1\nCOPY https://example.com/x /", {}, "can't be a URL for COPY"),
    ("FROM base:1\nRUN --mount=type=cache,target=/c x", {}, "requires BuildKit"),
    ('FROM base:1\nRUN ["/none"]', {}, "no such file"),
    ("FROM scratch\nRUN x", {}, "the stage is still empty"),
    ("FROM scratch", {}, "No image was generated"),
    ("FROM ${none}", {}, "should not be blank"),
    ("FROM base:1", {"platform": "foobar/x/y/z"}, "cannot use platform"),
    ("FROM base:1", {"version": "2"}, "set DOCKER_BUILDKIT=0"),
    ("FROM base:1", {"remote": "https://example.com/x.git"}, "a build downloads no context"),
    ("FROM base:1", {"squash": "1"}, "cannot build with --squash"),
    ("FROM base:1", {"t": "UPPER"}, "invalid reference format"),
    ("FROM base:1", {"t": "host"}, "the name is that of the machine's own root"),
    ("FROM base:1", {"buildargs": "[1]"}, "buildargs is not a JSON object"),
    ("FROM base:1\nRUN true", {"networkmode": "nope"}, "nope"),
    ("FROM host\nENV a=b", {}, "machine's own root"),
]


@pytest.mark.parametrize(("dockerfile", "query", "cause"), WRONG)
def test_what_is_wrong_is_said(daemon: Daemon, dockerfile: str, query: dict[str, str], cause: str) -> None:
    told = build(daemon, context(dockerfile, ("f", ""), ("g", "")), forcerm=1, **query)
    assert cause in told.error


def test_cache_from_limits_the_cache_to_what_is_named(daemon: Daemon) -> None:
    archive = context("FROM base:1\nENV from=1\nRUN true\nRUN echo\n")
    built(daemon, archive, t="from:1")
    assert built(daemon, archive, cachefrom=json.dumps(["from:1"])).cached == 3
    assert built(daemon, archive, cachefrom=json.dumps(["nosuchtag"])).cached == 0


def test_cache_from_knows_the_steps_of_an_image_that_came_from_elsewhere(daemon: Daemon) -> None:
    files = ("f", "from elsewhere")
    archive = context(
        "FROM base:1\nENV where=here\nRUN echo made > /made\nCOPY f /f\nRUN <<E\necho\nE\n", files
    )
    built(daemon, archive, t="elsewhere:1")
    saved = subprocess.run(daemon.command("save", "elsewhere:1"), capture_output=True, check=True).stdout
    daemon.docker("rmi", "elsewhere:1")
    daemon.docker("builder", "prune", "-af")
    daemon.pysup("load", stdin=saved, check=True)
    assert built(daemon, archive).cached == 0
    daemon.docker("builder", "prune", "-af")
    daemon.docker("image", "prune", "-f")
    told = built(daemon, archive, cachefrom=json.dumps(["elsewhere:1"]), t="elsewhere:2")
    assert told.cached == 3, "a here-document is not told whole in a history"
    assert of_image(daemon, "elsewhere:2", "cat /made /f") == "made\nfrom elsewhere"
    changed = context("FROM base:1\nENV where=there\nRUN echo made > /made\n")
    assert built(daemon, changed, cachefrom=json.dumps(["elsewhere:1"])).cached == 0


# -- images and the cache ------------------------------------------------------------------------------------


def test_steps_are_hidden_and_go_with_the_image_that_they_were_made_for(daemon: Daemon) -> None:
    def ids(*words: str) -> set[str]:
        return set(daemon.docker("images", "-q", "--no-trunc", *words).stdout.split())

    before = ids("-a")
    one = built(daemon, context("FROM base:1\nENV gone=1\nENV gone=2\nENV gone=3\n"), t="gone:1").ids[0]
    two = built(daemon, context("FROM base:1\nENV gone=1\nENV gone=2\nENV gone=4\n"), t="gone:2").ids[0]
    made = ids("-a") - before
    assert len(made) == 4 and made & ids() == {one, two}
    words = ("query", "--json", "select id from images")
    shown = {row["id"] for row in json.loads(daemon.pysup(*words, check=True).stdout)}
    assert {image_id[7:19] for image_id in made if image_id[7:19] in shown} == {one[7:19], two[7:19]}
    assert daemon.docker("rmi", "gone:1").stdout.count("Deleted:") == 1, "the other one needs the rest"
    assert daemon.docker("rmi", "gone:2").stdout.count("Deleted:") == 3
    assert ids("-a") == before
    base = built(daemon, context("FROM base:1\nENV stays=1\n"), t="stays:1").ids[0]
    built(daemon, context("FROM stays:1\nENV more=1\n"), t="stays:2")
    assert daemon.docker("rmi", "stays:1").stdout == "Untagged: stays:1\n"
    assert base not in ids() and base in ids("-a"), "it is a step of another one now"
    assert daemon.docker("rmi", "stays:2").stdout.count("Deleted:") == 2
    assert ids("-a") == before


def test_builds_at_once_and_anew_leave_no_image_that_nobody_asked_for(daemon: Daemon) -> None:
    def untagged() -> int:
        return len(daemon.docker("images", "-q", "--filter", "dangling=true").stdout.split())

    before = untagged()
    archive = context("FROM base:1\nENV at=once\nRUN echo once > /once\nWORKDIR /at\n")
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda number: built(daemon, archive, t=f"once:{number}"), range(4)))
    assert all(of_image(daemon, one.ids[0], "cat /once") == "once\n" for one in told)
    built(daemon, archive, t="once:0", nocache=1)
    assert untagged() - before <= 1, "the one that has lost its name"
    for number in range(4):
        daemon.docker("rmi", f"once:{number}")
    daemon.docker("image", "prune", "-f")
    daemon.docker("builder", "prune", "-af")
    assert untagged() == 0


def test_as_many_layers_as_a_dockerfile_likes(daemon: Daemon) -> None:
    steps = "FROM base:1\n" + "".join(f"COPY f /many/{number}\n" for number in range(140))
    built(daemon, context(steps + "RUN ls /many | wc -l > /count\n", ("f", "")), t="many")
    assert of_image(daemon, "many", "cat /count") == "140\n"


def cache(daemon: Daemon) -> dict[str, dict[str, Any]]:
    """What GET /system/df has of the cache, by what each step did."""
    with contextlib.closing(Client(f"unix://{daemon.socket}")) as client:
        return {one["Description"]: one for one in client.get("/system/df")["BuildCache"]}


def test_the_cache_is_counted_and_pruned_but_nothing_in_use(daemon: Daemon) -> None:
    daemon.docker("builder", "prune", "-af")
    first = "FROM base:1 AS one\nRUN head -c 100000 /dev/zero > /big\n"
    steps = first + "FROM base:1\nENV step=1\nCOPY --from=one /big /b\n"
    built(daemon, context(steps), t="pruned:1")
    found = cache(daemon)
    run = next(one for name, one in found.items() if "head -c" in name)
    env = next(one for name, one in found.items() if "ENV step" in name)
    assert len(found) == 2 and (run["Shared"], env["Shared"]) == (False, True)
    assert run["Size"] == 100_000 and not run["InUse"]
    row = daemon.docker(
        "system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}"
    ).stdout.splitlines()[-1]
    assert row == "Build Cache 2 100kB"
    held = daemon.docker("create", run["ID"][:12], "true").stdout.strip()
    assert cache(daemon)["/bin/sh -c head -c 100000 /dev/zero > /big"]["InUse"]
    assert daemon.pysup("builder", "prune", "-f", check=True).stdout == "Total reclaimed space: 0B\n"
    daemon.docker("rm", held)
    assert (
        daemon.docker("builder", "prune", "-f", "--filter", "until=1h").stdout
        == "Total reclaimed space: 0B\n"
    )
    assert daemon.pysup("builder", "prune", "-f", "--keep-storage", "1m", check=True).stdout.endswith(
        ": 0B\n"
    )
    told = daemon.pysup("builder", "prune", "-f", check=True).stdout
    assert run["ID"] in told and env["ID"] not in told, "an image stands on the other one"
    assert built(daemon, context(steps), t="pruned:1").cached == 2, (
        "the stage is made anew, the rest is as it was"
    )
    assert set(cache(daemon)) == set(found)
    daemon.docker("system", "prune", "-f")
    assert daemon.pysup("builder", "prune", "-af", check=True).stdout.count("\n") > 2
    assert cache(daemon) == {}
    assert of_image(daemon, "pruned:1", "wc -c < /b") == "100000\n"
    assert built(daemon, context(steps), t="pruned:1").cached == 0


def test_a_client_that_leaves_ends_its_build(daemon: Daemon) -> None:
    archive = context("FROM base:1\nRUN echo begun; sleep 1000\n")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(daemon.socket))
        head = f"POST /build HTTP/1.1\r\nHost: x\r\nContent-Length: {len(archive)}\r\n\r\n"
        client.sendall(head.encode() + archive)
        received = b""
        while b'"begun' not in received:
            received += client.recv(1 << 16)
        assert daemon.docker("ps", "-q").stdout
    until(lambda: daemon.docker("ps", "-aq").stdout == "", "the container to be removed")
    until(lambda: list((daemon.root / "images" / "tmp").iterdir()) == [], "the context to be removed")
