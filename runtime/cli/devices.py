"""Commands about remote devices: the tracker, a server on each, what is there."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runtime.cli.common import Answer, AnswerFormat, CommandError, command, write_json

if TYPE_CHECKING:
    from runtime.devices.tracker import RemoteDevice

app = typer.Typer(
    help="Remote devices: a tracker that knows them, a server on each, what is there.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
TRACKER = "127.0.0.1:9190"
TrackerAddress = Annotated[str, typer.Option("--tracker", metavar="HOST:PORT", help="where the tracker is")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="KEY", help="measure on remote devices of this key, not here"),
]
Host = Annotated[str, typer.Option("--host", help="the address to listen at")]
Expose = Annotated[
    bool, typer.Option("--expose", help="listen where other machines can connect, and have full control")
]


def remote(key: str | None, tracker: str) -> RemoteDevice | None:
    """The devices that `--device` and `--tracker` mean.

    Raises:
        DeviceProblem: the tracker's address is none.
    """
    if key is None:
        return None
    from runtime.devices.tracker import Address, RemoteDevice

    return RemoteDevice(key, Address.parse(tracker))


@command
def tracker(
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="the port to listen at")] = 9190,
    expose: Expose = False,
) -> None:
    """Be the tracker that devices register with and clients ask for them, until Ctrl-C.

    Example: onepath device tracker
    """
    from runtime.devices.server.listening import cannot_listen, exposed, listen
    from runtime.devices.tracker import run_tracker

    if (warning := exposed(host, port)) and not expose:
        raise CommandError(warning)
    ports = range(port, port + 1)
    try:
        listener = listen(host, ports)
    except OSError as problem:
        raise CommandError(cannot_listen(host, ports, problem)) from None
    if warning:
        typer.echo(f"onepath: warning: {warning.partition('. ')[0]}", err=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ready = f"onepath: the tracker listens at {host}:{port}; Ctrl-C ends it"
    run_tracker(listener, lambda: typer.echo(ready, err=True))


@command
def serve(
    key: Annotated[str, typer.Option("--key", help="what clients ask for: the same for devices of one kind")],
    tracker: TrackerAddress = TRACKER,
    name: Annotated[
        str | None, typer.Option("--name", help="the device's own name; default the host's")
    ] = None,
    host: Host = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="the port; default the first free from 9091"),
    ] = None,
    reach: Annotated[
        str | None,
        typer.Option("--reach", metavar="HOST:PORT", help="where clients reach it, where that is another"),
    ] = None,
    cores: Annotated[
        str | None, typer.Option("--cores", help="the cores that it may use, as in 2,3; default all")
    ] = None,
    expose: Expose = False,
) -> None:
    """Serve this machine as a device, until Ctrl-C. A board without Onepath runs what `device script` writes.

    Example: onepath device serve --key pi5 --name pi5-left --cores 2,3
    """
    from runtime.devices.script import serve_here

    given = {"--key": key, "--tracker": tracker, "--name": name, "--host": host, "--port": port}
    given |= {"--reach": reach, "--cores": cores}
    options = [text for option, value in given.items() if value is not None for text in (option, str(value))]
    serve_here([*options, "--expose"] if expose else options)


@command
def list_(tracker: TrackerAddress = TRACKER, form: AnswerFormat = Answer.TEXT) -> None:
    """The devices that the tracker knows: key, name, whether a session runs there, address.

    Example: onepath device list
    """
    from dataclasses import asdict

    from runtime.devices.tracker import Address, Connection
    from runtime.text_table import table_lines

    with Connection(Address.parse(tracker)) as connection:
        devices = connection.devices()
    if form is Answer.JSON:
        write_json([asdict(device) for device in devices])
    elif not devices:
        print("no device; start one with `onepath device serve --key KEY`")
    else:
        rows = [
            (each.key, each.name or "?", "busy" if each.busy else "free", each.address) for each in devices
        ]
        print("\n".join(table_lines(("key", "name", "state", "address"), rows, range(4))))


@command
def script(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the file to write")] = Path(
        "serve_device.pyz"
    ),
) -> None:
    """Write the server as one file, for a board that has Python and `apache-tvm` but no Onepath.

    Example: onepath device script
    """
    from runtime.devices.script import SERVER, server_archive
    from runtime.files import checked_output, write_atomic

    print(write_atomic(checked_output(file, SERVER, force=True), server_archive()))


app.command()(tracker)
app.command()(serve)
app.command("list")(list_)
app.command()(script)
