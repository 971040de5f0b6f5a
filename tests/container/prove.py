"""
`python -m tests.container.prove [FOLDER]`: run the steps of the Dockerfile in plain Debian folders, without an engine.

Needs root, debootstrap and a mirror; takes minutes, so no part of `make test`. It makes a Debian root for each stage,
runs every RUN and COPY in it, then starts the entry point as the image would: uid 10001, root read-only, nothing but
cap_net_bind_service in reach, and shows that a port below 1024 can be bound and the root cannot be written.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.container.dockerfile import Stage, stages

TOP = Path(__file__).parents[2]
# of Debian, if not the one debootstrap takes by itself
MIRROR = os.environ.get("MIRROR")
# what python:3.11-slim-bookworm has and a minimal Debian has not
PACKAGES = "python3,python3-venv,ca-certificates"
# Seconds for one step.
LIMIT_S = 600
# how the host reaches its registry and mirror: given to the steps, kept out of the image
_LENT = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")


def sh(*command: str) -> None:
    subprocess.run(command, check=True, timeout=LIMIT_S)


def bootstrap(root: Path) -> None:
    mirror = [MIRROR] if MIRROR else []
    sh("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), *mirror)
    for name in _LENT:
        if Path(name).exists():
            shutil.copyfile(name, root / name[1:])


def context(folder: Path) -> None:
    """What a build sends to the engine: the files git knows that .dockerignore lets through."""
    allowed = [line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    known = subprocess.run(["git", "ls-files", "--", *allowed], cwd=TOP, check=True, capture_output=True, text=True)
    for name in known.stdout.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(TOP / name, folder / name)


def build(stage: Stage, root: Path, sent: Path, built: dict[str, Path]) -> dict[str, str]:
    """Run the steps of a stage in `root`; return its environment."""
    lent = {k: v for k, v in os.environ.items() if k.startswith("PIP_") or k.lower().endswith("_proxy")}
    environment, folder = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}, "/"
    for word, rest in stage.steps:
        print(f"  {word} {rest}", flush=True)
        if word == "WORKDIR":
            folder = rest
            (root / rest[1:]).mkdir(parents=True, exist_ok=True)
        elif word == "ENV":
            name, _, value = rest.partition("=")
            environment[name] = value
        elif word == "COPY":
            copy(rest.split(), root, folder, sent, built)
        else:
            command = ["chroot", str(root), "/bin/sh", "-c", f"cd {folder} && {rest}"]
            subprocess.run(command, check=True, timeout=LIMIT_S, env=environment | lent)
    return environment


def copy(words: list[str], root: Path, folder: str, sent: Path, built: dict[str, Path]) -> None:
    source = sent
    if words[0].startswith("--from="):
        source = built[words.pop(0).removeprefix("--from=")]
    *names, last = words
    target = root / folder[1:] / last if not last.startswith("/") else root / last[1:]
    for name in names:
        given = source / name.lstrip("/")
        if given.is_dir():
            shutil.copytree(given, target, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(given, target / given.name)


def enter(stage: Stage, root: Path, environment: dict[str, str], *command: str) -> str:
    """Run a command as the container would: root read-only, the volumes and /tmp writable, one capability in reach."""
    uid, gid = stage.user.split(":")
    writable = "".join(
        f"mount -t tmpfs -o uid={uid},gid={gid} tmpfs {root}{place}; " for place in [*stage.volumes, "/tmp"]
    )
    script = (
        f"set -e; mount --bind {root} {root}; mount -o remount,bind,ro {root}; {writable}"
        f'mount -t proc proc {root}/proc; exec chroot {root} "$@"'
    )
    inside = [
        *("/usr/bin/env", "-i", *(f"{name}={value}" for name, value in environment.items())),
        *("/usr/bin/setpriv", "--reuid", uid, "--regid", gid, "--clear-groups"),
        *("--inh-caps", "-all", "--bounding-set", "-all,+net_bind_service", *command),
    ]
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", script, "sh", *inside],
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
    )
    return (done.stdout + done.stderr).strip()


_PORTS = "import socket; s = socket.socket(); s.bind(('', 502)); print('bound', s.getsockname()[1])"
_CAPS = "print(*(l.strip() for l in open('/proc/self/status') if l.startswith(('Uid', 'CapEff', 'CapBnd'))))"
_WRITE = """
import os
for place in ('/opt/meterbridge/x', '/etc/x', '/var/lib/meterbridge/x', '/tmp/x'):
    try:
        open(place, 'w').close()
        print(place, 'written')
    except OSError as exc:
        print(place, os.strerror(exc.errno))
"""


def main() -> int:
    top = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="meterbridge-"))
    sent = top / "context"
    context(sent)
    built: dict[str, Path] = {}
    environment: dict[str, str] = {}
    base = top / "base"
    bootstrap(base)
    read = stages((TOP / "Dockerfile").read_text())
    for number, stage in enumerate(read):
        root = top / f"stage-{number}"
        sh("cp", "-a", str(base), str(root))
        print(f"FROM {stage.base} AS {stage.name or 'final'}", flush=True)
        environment = build(stage, root, sent, built)
        built[stage.name] = root
    last, root, python = read[-1], built[read[-1].name], "/opt/meterbridge/bin/python3"
    shown = [enter(last, root, environment, python, "-c", code) for code in (_CAPS, _PORTS, _WRITE)]
    shown.append(enter(last, root, environment, *last.entrypoint, "--help"))
    print("\n".join(shown))
    # bit 10: CAP_NET_BIND_SERVICE
    wanted = (
        "Usage:",
        "Uid:\t10001",
        "CapEff:\t0000000000000400",
        "CapBnd:\t0000000000000400",
        "bound 502",
        "/etc/x Read-only",
        "/var/lib/meterbridge/x written",
    )
    missing = [text for text in wanted if text not in "\n".join(shown)]
    print(f"not shown: {missing}" if missing else "the image's steps hold")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
