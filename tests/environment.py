"""What the server's settings are in tests: a data directory of this run's own; loaded before Django is."""

import os
import tempfile

from hypothesis import settings

os.environ["QANAT_DATA_DIR"] = tempfile.mkdtemp(prefix="qanat-tests-")
os.environ["QANAT_BROKER_URL"] = "memory://"
os.environ["QANAT_ALLOWED_HOSTS"] = '["*"]'
# Tests start as many servers as they like; the password hash need not be slow for them.
os.environ.setdefault("QANAT_DATABASE_URL", "")

# Properties are tried on a few examples, and on a busy machine they may take their time.
settings.register_profile("busy machine", deadline=None, max_examples=30)
settings.load_profile("busy machine")
