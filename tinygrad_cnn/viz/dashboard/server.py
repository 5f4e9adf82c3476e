"""The dashboard's page, served from memory to this machine alone.

Who may ask: the server listens on 127.0.0.1, so nobody else on the network can. A page from elsewhere that is open in
the same browser can neither read an answer (nothing allows other origins) nor pretend to be us under a name of its
own that points to 127.0.0.1 (the Host header must be a name of this machine), nor press a button (that takes a token
that only our page knows, and an Origin that is ours).
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import json
import secrets
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # what a browser may have called us; any port, for it may be forwarded by ssh
PAGES = {"/": "dashboard.html", "/dashboard.css": "dashboard.css", "/dashboard.js": "dashboard.js"}
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "json": "application/json"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LARGEST = 1000  # bytes of a command
SECONDS = 10  # a client that takes longer is dropped


class Server(ThreadingHTTPServer):
    """Serves the page, what `state` gives, and takes commands, each client in a thread of its own.

    Args:
        port: Where to listen; 0 for any free port.
        state: Called with the address's path and query, "/state" and "seen=3"; gives JSON, or None for "not found".
        obey: Called with a command, a dict; gives what is wrong with it, or None.

    Raises:
        OSError: If the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let two programs have one port

    def __init__(
        self, port: int, state: Callable[[str, str], bytes | None], obey: Callable[[dict[str, Any]], str | None]
    ) -> None:
        self.state, self.obey = state, obey
        self.token = secrets.token_urlsafe(24)
        folder = files("tinygrad_cnn.viz") / "pages"
        self.pages = {path: (folder / name).read_bytes() for path, name in PAGES.items()}
        self.pages["/"] = self.pages["/"].replace(b"{{token}}", self.token.encode())
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            what = "is in use already" if error.errno == errno.EADDRINUSE else "may not be used"
            text = f"dashboard: port {port} {what}; choose another one, or 0 for any that is free"
            raise OSError(error.errno, text) from error
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="dashboard", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_address[1]}/"

    def server_bind(self) -> None:
        """As an HTTP server does, but without asking a name server for our name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away or dawdled is nobody's concern."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One client."""

    server: Server
    # HTTP/1.0: a connection for each question, so that none outlives the server
    timeout = SECONDS
    wbufsize = -1  # headers and body in one packet

    def do_GET(self) -> None:
        """The page and the state; anything else does not exist."""
        url = urlsplit(self.path)
        if not self._is_ours(self.headers.get("Host")):
            self._refuse(403, "this address is served to this machine only")
        elif url.path in self.server.pages:
            name = PAGES[url.path]
            self._answer(200, self.server.pages[url.path], name.rpartition(".")[2])
        else:
            content = self.server.state(url.path, url.query)
            if content is None:
                self._refuse(404, "there is nothing here")
            else:
                self._answer(200, content, "json")

    def do_POST(self) -> None:
        """A button was pressed."""
        length = self.headers.get("Content-Length", "")
        origin = self.headers.get("Origin")
        host = self.headers.get("Host")
        if not self._is_ours(host) or (origin is not None and origin != f"http://{host}"):
            self._refuse(403, "commands are taken from the dashboard's own page only")
        elif not hmac.compare_digest(self.headers.get("X-Token", "").encode(), self.server.token.encode()):
            self._refuse(403, "the token is wrong; load the page again")
        elif self.path != "/control":
            self._refuse(404, "there is nothing here")
        elif not length.isdecimal() or int(length) > LARGEST:
            self._refuse(413, "the command is too long")
        else:
            problem: str | None = "a command is a JSON object"
            with contextlib.suppress(ValueError, RecursionError):
                command = json.loads(self.rfile.read(int(length)))
                if isinstance(command, dict):
                    problem = self.server.obey(command)
            if problem is None:
                self._answer(200, b"{}", "json")
            else:
                self._refuse(400, problem)

    def _is_ours(self, host: str | None) -> bool:
        return host is not None and host.rpartition(":")[0 if ":" in host else 2] in NAMES

    def _refuse(self, status: int, reason: str) -> None:
        self._answer(status, json.dumps({"error": reason}).encode(), "json")

    def _answer(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{KINDS[kind]}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def version_string(self) -> str:
        """Who answers; nobody needs to know Python's version."""
        return "tinygrad_cnn"

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal belongs to the training."""
