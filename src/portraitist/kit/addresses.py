"""Which network addresses belong to the public internet. Pure: it resolves and connects nothing."""

import ipaddress

_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_6TO4 = ipaddress.ip_network("2002::/16")  # carries any IPv4 address
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: IPv4 as seen from IPv6-only networks
_PROTOCOLS = ipaddress.ip_network("192.0.0.0/24")  # RFC 6890; parts of it count as global


def is_public(address: str) -> bool:
    """Whether an IP address (text) is a host on the public internet, whatever it is wrapped in."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip in _TRANSLATED:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        return ip.is_global and ip in _GLOBAL_UNICAST and ip not in _6TO4
    return ip.is_global and not ip.is_multicast and ip not in _PROTOCOLS
