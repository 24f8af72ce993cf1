"""``qanat demo``: the whole platform, a model and a portfolio, end to end."""

import json
import time
from pathlib import Path

from rich.console import Console

from qanat.cli.run import Wish, connect, execute, outcome_as_json
from qanat.cli.show import show_losses
from qanat.cli.up.command import describe, ensure_demo_model
from qanat.cli.up.layout import Layout, default_data_dir
from qanat.cli.up.platform import Platform, free_port
from qanat.demo import MODEL_ID, SUPPLIER_ID, VERSION_ID
from qanat.demo.portfolio import write_portfolio

console = Console(highlight=False)

HOST = "127.0.0.1"


def demo(*, locations: int, data_dir: Path | None, keep_running: bool, as_json: bool) -> None:
    """Start the platform, run the demonstration model, and print what it lost.

    Raises:
        CommandFailed: with what went wrong and what to do.
    """
    started = time.monotonic()
    layout = Layout((data_dir or default_data_dir() / "demo").resolve())
    say = Console(quiet=True) if as_json else console
    say.print("The demonstration model: hurricane wind in Florida. First use compiles the kernel, which takes minutes.")
    layout.prepare()
    model = ensure_demo_model(layout)
    portfolio = write_portfolio(layout.root / "portfolio", locations=locations)
    output = layout.root / "results"
    platform = Platform(layout=layout, models=[model], host=HOST, port=free_port(HOST), websocket_port=free_port(HOST))
    with platform:
        say.print(
            f"Platform ready after {platform.ready_after:.1f} s at {platform.url}; running {locations:,} locations …"
        )
        wish = Wish(
            model=f"{SUPPLIER_ID}/{MODEL_ID}/{VERSION_ID}",
            files={
                "location_file": portfolio.location,
                "accounts_file": portfolio.accounts,
                "reinsurance_info_file": portfolio.reinsurance_info,
                "reinsurance_scope_file": portfolio.reinsurance_scope,
            },
            settings=portfolio.settings,
            output=output,
        )
        with connect(server=None, user=None, password=None, data_dir=layout.root) as client:
            outcome = execute(client, wish, quiet=as_json)
        if as_json:
            print(json.dumps(outcome_as_json(outcome)))  # noqa: T201 - for scripts
        elif outcome.losses:
            console.print(f"\nLosses in USD of {locations:,} locations, 20 accounts:")
            show_losses(console, outcome.losses)
        say.print(f"Results   {output}")
        say.print(f"Portfolio {portfolio.location.parent}")
        say.print(f"Model     {model}")
        say.print(f"Done in {time.monotonic() - started:.1f} s.")
        if keep_running:
            describe(platform)
            say.print("Ctrl-C stops it.")
            _until_interrupted()


def _until_interrupted() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return
