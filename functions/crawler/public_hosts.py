"""Connections to public hosts alone: a name of the web may stand for a machine of a private network."""

from __future__ import annotations

import socket
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from crawler.answers import is_local


class PublicHosts(HTTPAdapter):
    """An adapter for sessions of requests that refuses hosts on this machine or its network, whatever their name.

    The address is checked when the connection stands and before a byte is sent: a name could stand for another one at
    the next look-up.
    """

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools, as requests calls it."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _Pool}


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class _Connection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(self, super()._new_conn())


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


def _checked(connection: HTTPConnection, connected: socket.socket) -> socket.socket:
    if is_local(str(connected.getpeername()[0])):
        connected.close()
        raise NewConnectionError(connection, f"{connection.host} is on a private network: it is not asked")
    return connected
