"""The ``qanat`` command."""

import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from qanat.cli.errors import CommandFailed
from qanat.configuration.sources import BadSettings

app = typer.Typer(
    name="qanat",
    help="Run catastrophe models: on a laptop with one command, or against any server of the platform.",
    no_args_is_help=True,
    rich_markup_mode=None,  # Brackets in a help text are brackets.
    pretty_exceptions_enable=False,
)
console = Console(stderr=True, highlight=False)

DataDir = Annotated[Path | None, typer.Option(help="Where the platform keeps its data.", show_default=False)]


class RunMode(StrEnum):
    """How a model's runs are done: by one worker, or in chunks."""

    V1 = "v1"
    V2 = "v2"


Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


@app.command()
def up(  # noqa: PLR0913, PLR0917 - the options of the command
    model: Annotated[list[Path] | None, typer.Option(help="A model's folder; give it again for more models.")] = None,
    demo_model: Annotated[bool, typer.Option(help="Also run the built-in demonstration model.")] = True,  # noqa: FBT002
    data_dir: DataDir = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API.", min=1, max=65535)] = 8000,
    websocket_port: Annotated[int, typer.Option(help="Port of the websocket server.", min=1, max=65535)] = 8001,
    run_mode: Annotated[RunMode, typer.Option(help="Run mode that new models are registered with.")] = RunMode.V2,
) -> None:
    """Start the whole platform on this machine; Ctrl-C stops it."""
    from qanat.cli.up import command  # noqa: PLC0415 - only this command pays for it

    command.up(
        models=model or [],
        demo_model=demo_model,
        data_dir=data_dir,
        host=host,
        port=port,
        websocket_port=websocket_port,
        run_mode=run_mode.value,
    )


@app.command()
def demo(
    locations: Annotated[int, typer.Option(min=1, help="Number of locations in the portfolio.")] = 1000,
    data_dir: DataDir = None,
    keep_running: Annotated[bool, typer.Option(help="Leave the platform up afterwards.")] = False,  # noqa: FBT002
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Run the demonstration model end to end and print its losses."""
    from qanat.cli import demo as command  # noqa: PLC0415

    command.demo(locations=locations, data_dir=data_dir, keep_running=keep_running, as_json=as_json)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - the options of the command
    model: Annotated[str, typer.Option(help="The model: its id, or SUPPLIER/MODEL[/VERSION].")],
    location: Annotated[Path | None, typer.Option("-x", "--location", help="OED locations.")] = None,
    accounts: Annotated[Path | None, typer.Option("-y", "--accounts", help="OED accounts.")] = None,
    ri_info: Annotated[Path | None, typer.Option("-i", "--ri-info", help="OED reinsurance info.")] = None,
    ri_scope: Annotated[Path | None, typer.Option("-s", "--ri-scope", help="OED reinsurance scope.")] = None,
    settings: Annotated[Path | None, typer.Option("-a", "--settings", help="Analysis settings.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")] = Path("qanat-output"),
    lookup_chunks: Annotated[int | None, typer.Option(min=1, help="Cut the keys lookup into so many chunks.")] = None,
    chunks: Annotated[int | None, typer.Option(min=1, help="Cut the losses into so many chunks.")] = None,
    v1: Annotated[bool, typer.Option("--v1", help="Run on one worker as a whole.")] = False,  # noqa: FBT002
    server: Annotated[str | None, typer.Option(help="The server; without it, this machine's platform.")] = None,
    user: Annotated[str | None, typer.Option(envvar="QANAT_USER", help="User name.")] = None,
    password: Annotated[str | None, typer.Option(envvar="QANAT_PASSWORD", help="Password.", prompt=False)] = None,
    data_dir: DataDir = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Run a model on OED files, on any server, and fetch the results."""
    from qanat.cli import run as command  # noqa: PLC0415

    wish = command.Wish(
        model=model,
        files={
            "location_file": location,
            "accounts_file": accounts,
            "reinsurance_info_file": ri_info,
            "reinsurance_scope_file": ri_scope,
        },
        settings=settings,
        output=output,
        lookup_chunks=lookup_chunks,
        loss_chunks=chunks,
        v1=v1,
    )
    with command.connect(server=server, user=user, password=password, data_dir=data_dir) as client:
        command.run(wish, client=client, as_json=as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def worker(context: typer.Context) -> None:
    """Run a model's worker: qanat worker --model DIR (see qanat worker --help)."""
    _become("qanat.worker", context.args)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def server(context: typer.Context) -> None:
    """Run one role of the server: api, websocket, monitor, task-controller, beat or migrate."""
    _become("qanat.server", context.args)


@app.command()
def doctor(
    model: Annotated[Path | None, typer.Option(help="Also look at this model's folder.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,  # noqa: FBT002
) -> None:
    """Say what is missing here, and how to mend it."""
    from qanat.cli import doctor as command  # noqa: PLC0415

    command.doctor(model=model, data_dir=data_dir, as_json=as_json)


def _become(module: str, arguments: list[str]) -> None:
    import os  # noqa: PLC0415

    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - ourselves


def main() -> None:
    """Run the command; an expected failure ends with its sentence and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        app()
    except ModuleNotFoundError as missing:
        console.print(
            f"[bold red]Error:[/] {missing.name} is not installed: `qanat doctor` says what to install.", soft_wrap=True
        )
        sys.exit(1)
    except (BadSettings, CommandFailed) as failure:
        console.print(f"[bold red]Error:[/] {escape(str(failure))}", soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
