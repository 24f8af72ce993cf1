import sys
from pathlib import Path

# Tests start servers as `make services` does.
sys.path.append(str(Path(__file__).parents[1] / "scripts"))
