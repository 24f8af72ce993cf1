"""``qanat up``."""

import os
import signal
import threading
from pathlib import Path

from rich.console import Console
from rich.text import Text

from qanat.cli.up.layout import Layout, default_data_dir
from qanat.cli.up.platform import Platform
from qanat.configuration import report
from qanat.configuration.sources import Sources

console = Console(highlight=False)


def up(  # noqa: PLR0913 - the options of the command
    *,
    models: list[Path],
    demo_model: bool,
    data_dir: Path | None,
    host: str,
    port: int,
    websocket_port: int,
    run_mode: str,
) -> None:
    """Start the platform and keep it up until told to stop.

    Raises:
        BadSettings: the server would not start with what the environment says.
        CommandFailed: it cannot be started.
    """
    layout = Layout((data_dir or default_data_dir()).resolve())
    layout.prepare()
    if demo_model:
        models = [*models, ensure_demo_model(layout)]
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    platform = Platform(
        layout=layout, models=models, host=host, port=port, websocket_port=websocket_port, run_mode=run_mode
    )
    warn_of_unknown(Sources.read(os.environ), console)
    console.print("Starting …")
    with platform:
        describe(platform)
        stopping.wait()
        console.print("Stopping: workers hand back what they run …")
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    console.print("Stopped.")


def warn_of_unknown(sources: Sources, to: Console) -> None:
    """Say which names in the environment and the INI file nobody reads."""
    for sentence in report.about_unknown(sources):
        to.print(Text(sentence, style="yellow"), soft_wrap=True)


def describe(platform: Platform) -> None:
    """Say where the platform listens and how to log in."""
    console.print(f"[bold green]Ready[/] after {platform.ready_after:.1f} s")
    console.print(f"  API         {platform.url}/api/  (and {platform.url}/)")
    console.print(f"  websocket   ws://{platform.host}:{platform.websocket_port}/ws/v2/queue-status/")
    for identity in platform.identities:
        console.print(f"  model       {identity}")
    if platform.password:
        console.print(f"  log in as   admin, password [bold]{platform.password}[/]  (generated, shown once)")
    console.print(f"  data        {platform.layout.root}   logs in {platform.layout.logs}")
    console.print(f"  credentials for this machine's commands are in {platform.layout.admin}")


def ensure_demo_model(layout: Layout) -> Path:
    """Write the demonstration model and return its folder; anew each time: it takes a second and fits this release."""
    from qanat.demo.model import write_model  # noqa: PLC0415 - needs numpy

    folder = layout.root / "models" / "demo"
    write_model(folder)
    return folder
