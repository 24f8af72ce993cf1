"""``python -m qanat.server ROLE``: the server's processes, one role each, or all of one host (``embedded``)."""

import sys

from qanat.server.roles import main

sys.exit(main(sys.argv[1:]))
