"""A runner that does what the step's parameters say, without a kernel: ``fake_runner.py SPEC DESCRIPTOR``."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

spec_path = Path(sys.argv[1])
spec = json.loads(spec_path.read_text())
wish = spec["parameters"]
sys.stdout.write("the step's log\n")
sys.stdout.flush()
if wish.get("child"):
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
if wish.get("hang"):
    (spec_path.parent / "hanging").touch()
    signal.pause()
if wish.get("stuck"):
    script = spec_path.parent / "run.sh"
    script.write_text("mkfifo pipe; cat pipe; echo")
    subprocess.run(["bash", str(script)], check=False)  # noqa: S607 - PATH finds it
if number := wish.get("signal"):
    os.kill(os.getpid(), number)
out = spec_path.parent / "keys.csv"
out.write_text("LocID\n1\n")
result = {"outputs": {"keys_data": str(out)}, "facts": {"keys": 1}, **wish.get("result", {})}
if not wish.get("silent"):
    (spec_path.parent / "result.json").write_text(json.dumps(result))
sys.exit(wish.get("exit", 0))
