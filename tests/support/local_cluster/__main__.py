# SPDX-License-Identifier: Apache-2.0
"""Command line of the local cluster: `PYTHONPATH=tests/support python -m local_cluster --help`."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from local_cluster import binaries
from local_cluster.cluster import Cluster, say_status
from local_cluster.errors import ClusterError
from local_cluster.image_build import build_image
from local_cluster.instance import instances


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _up(asked: argparse.Namespace) -> None:
    cluster = Cluster.up(asked.name, nodes=not asked.no_nodes)
    print(f"export KUBECONFIG={cluster.kubeconfig}")


def _down(asked: argparse.Namespace) -> None:
    Cluster.remove(asked.name)


def _status(asked: argparse.Namespace) -> None:
    for one in instances():
        say_status(one)


def _build(asked: argparse.Namespace) -> None:
    binaries.build()


def _kubeconfig(asked: argparse.Namespace) -> None:
    print(Cluster.running(asked.name).kubeconfig)


def _build_image(asked: argparse.Namespace) -> None:
    print(build_image(asked.containerfile, asked.context, asked.tag).digest)


def _load_image(asked: argparse.Namespace) -> None:
    Cluster.running(asked.name).load_image(asked.tag)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_cluster", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], None], meaning: str, *, named: bool = False
    ) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=meaning, description=meaning)
        one.set_defaults(run=run)
        if named:
            one.add_argument(
                "--name", default="dev", help="name of the instance (default: %(default)s)"
            )
        return one

    up = command("up", _up, "Start an instance; at once when it runs.", named=True)
    up.add_argument("--no-nodes", action="store_true", help="API server and controllers only")
    command("down", _down, "Stop an instance and remove every trace of it.", named=True)
    command("status", _status, "Show the processes of every instance.")
    command("build", _build, "Build the programs a cluster needs into the cache.")
    command("kubeconfig", _kubeconfig, "Print the path of an instance's kubeconfig.", named=True)
    image = command(
        "build-image", _build_image, "Build an image into the cache; at once when nothing changed."
    )
    image.add_argument("--containerfile", type=Path, required=True)
    image.add_argument("--context", type=Path, required=True)
    image.add_argument("--tag", required=True)
    load = command(
        "load-image", _load_image, "Bring a built image onto an instance's node.", named=True
    )
    load.add_argument("--tag", required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
