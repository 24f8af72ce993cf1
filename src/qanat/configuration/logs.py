"""What processes log, and how."""

from qanat.configuration.base import Settings
from qanat.configuration.values import AnyCase
from qanat.logs import Format, Level


class LogSettings(Settings):
    """Form and level of the log on standard error."""

    log_format: AnyCase[Format] = "text"
    """``text``: lines for people; ``json``: a JSON object a line, for programmes."""
    log_level: AnyCase[Level] = "info"
    """``debug``, ``info``, ``warning`` or ``error``: what is less is not logged. Libraries never say more than
    ``info``."""
