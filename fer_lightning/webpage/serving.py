"""How a page is served: to this machine, and without a word to any other."""

import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from fer_lightning.errors import InputError, SettingError

MAX_BYTES = 64 * 2**20  # of a photo
MISSING = "the page needs other packages: pip install 'fer-lightning[photo,demo]'"
# The browser loads nothing from elsewhere, whatever Gradio's template asks for.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "frame-ancestors 'self'"
)


class SelfContained:
    """Tells browsers to load nothing from other machines (Content-Security-Policy).

    Args:
        app: What answers requests (ASGI).
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def with_policy(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", POLICY.encode())
                message = {**message, "headers": [*message["headers"], policy]}
            await send(message)

        await self.app(scope, receive, with_policy)


def quiet_gradio() -> Any:
    """Return Gradio, which is told to ask no other machine for anything.

    Raises:
        InputError: It is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # which tells each request
    try:
        import gradio
    except ImportError as error:
        raise InputError(MISSING) from error
    return gradio


def require_free(host: str, port: int | None) -> None:
    """Raise a `SettingError` unless this machine can be listened to there."""
    try:
        family, *_, place = socket.getaddrinfo(host, port or 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(place)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise SettingError("port", "be free; another program listens there", port) from error
        raise SettingError("host", "be an address of this machine", host) from error


def serve(page: Any, css: str, host: str, port: int | None, blocking: bool = True) -> str:
    """Serve a page, and return its address.

    Args:
        page: Gradio's `Blocks`.
        css: How its own parts look.
        host: The address that is listened at: 127.0.0.1 for this machine alone.
        port: None for the first free one from 7860.
        blocking: Whether to return at Ctrl-C only.

    Raises:
        SettingError: The port is taken, or the address is none of this machine's.
    """
    require_free(host, port)
    gradio = quiet_gradio()
    from starlette.middleware import Middleware

    fonts = ["system-ui", "sans-serif"]
    theme = gradio.themes.Default(font=fonts, font_mono=["ui-monospace", "monospace"])
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        theme=theme,
        css=css,
        footer_links=[],
        max_file_size=MAX_BYTES,
        ssr_mode=False,
        prevent_thread_lock=True,
        app_kwargs={"middleware": [Middleware(SelfContained)]},
    )
    print(f"open {address} in a browser; Ctrl-C ends it", flush=True)
    if blocking:
        page.block_thread()
    return str(address)
