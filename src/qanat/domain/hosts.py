"""What a host's name tells."""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Return whether a host, with its port perhaps, is the machine itself."""
    name = ""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    # A socket that listens for both kinds of addresses says one of the old kind in the new one's way.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
