"""What the roles of the server have in memory, and that Django finds nothing wrong with the whole."""

import os
import subprocess
import sys
from pathlib import Path

from django.core.checks import run_checks

IMPORT_A_CONSUMER = """
import sys
import django
django.setup()
from qanat.server.roles import single
single.app.loader.init_worker()
assert "qanat.record_step" in single.app.tasks
print(*(name for name in sys.modules if name.startswith(("qanat.server.api.", "gunicorn", "uvicorn", "requests"))))
"""


def test_a_role_that_serves_no_requests_imports_nothing_for_them(tmp_path: Path) -> None:
    told = {**os.environ, "DJANGO_SETTINGS_MODULE": "qanat.server.config.settings", "QANAT_DATA_DIR": str(tmp_path)}

    done = subprocess.run(
        [sys.executable, "-c", IMPORT_A_CONSUMER], env=told, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert not done.stdout.split()


def test_django_finds_nothing_wrong() -> None:
    assert run_checks() == []
