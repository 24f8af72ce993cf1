"""``python -m qanat.worker``: a model worker."""

import argparse
import sys
from pathlib import Path

from qanat.configuration.worker import INTERNAL
from qanat.worker.identity import ModelDirectoryError
from qanat.worker.main import run
from qanat.worker.settings import BadSettings, ModelNotSaid, from_environment


def main() -> int:
    """Read the options and work; return the exit code."""
    if sys.argv[1:2] == ["warm"]:
        from qanat.worker import warm  # noqa: PLC0415 - it needs more than a worker does

        del sys.argv[1]
        return warm.main()
    parser = argparse.ArgumentParser(
        prog="qanat worker",
        description="Run the steps of a model's analyses.",
        epilog="`qanat worker warm` compiles the kernel beforehand.",
    )
    parser.add_argument("--model", type=Path, help="folder with the model's oasislmf.json [OASIS_MODEL_DATA_DIRECTORY]")
    parser.add_argument("--server", help="address of the API [QANAT_SERVER, http://127.0.0.1:8000/]")
    parser.add_argument("--broker", help="address of the broker [QANAT_BROKER_URL]")
    parser.add_argument("--worker-key-file", type=Path, help="file with the server's worker key [QANAT_WORKER_KEY]")
    parser.add_argument("--supplier", help="the model's supplier [OASIS_MODEL_SUPPLIER_ID]")
    parser.add_argument("--model-id", help="the model's name [OASIS_MODEL_ID]")
    parser.add_argument("--version", help="the model's version [OASIS_MODEL_VERSION_ID]")
    parser.add_argument(
        "--run-mode",
        type=str.lower,
        choices=["v1", "v2", INTERNAL],
        help=f"mode that a new model is registered with; {INTERNAL}: validate, run and transform exposure, no model "
        "[OASIS_RUN_MODE, v2]",
    )
    parser.add_argument("--work-dir", type=Path, help="where steps run [OASIS_BASE_RUN_DIR]")
    parser.add_argument("--slots", type=_positive, help="chunks to run at a time [as many as there are cores]")
    parser.add_argument(
        "--warm-seconds", type=float, help="how long an idle worker keeps the kernel in memory [for ever]"
    )
    parser.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        settings = from_environment(
            options.model,
            server=options.server,
            broker_url=options.broker,
            worker_key=_worker_key(options.worker_key_file),
            supplier_id=options.supplier,
            model_id=options.model_id,
            version_id=options.version,
            mode=options.run_mode,
            work_dir=options.work_dir,
            slots=options.slots,
            warm_seconds=options.warm_seconds,
            parent_fd=options.parent_fd,
        )
        return run(settings)
    except ModelNotSaid as error:
        parser.error(str(error))
    except BadSettings as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever starts it
        return 1  # wire contract, section 5.2
    except (ModelDirectoryError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever starts it
        return 2


def _positive(text: str) -> int:
    """Return a number from 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not text.isdecimal() or int(text) < 1:
        message = f"'{text}' is not a whole number from 1"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def _worker_key(path: Path | None) -> str | None:
    """Return the key in the file that is given; a file that is not there holds none."""
    return path.read_text().strip() if path is not None and path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
