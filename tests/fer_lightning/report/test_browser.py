"""The page in a real browser, without a network: what it shows, how it sorts and filters."""

import pytest

from fer_lightning.report.__main__ import write_report
from tests.fer_lightning.chromium import browser as browser, needs_browser, requests

pytestmark = needs_browser


@pytest.fixture
def opened(browser, tmp_path, write_sweep, write_run, write_clustering, write_evaluation):
    """The page about a sweep, an evaluated run, a damaged one, and a mixture."""
    runs = [({"optim.lr": lr, "seed": 0}, acc) for lr, acc in ((0.5, 0.3), (0.01, 0.7), (0.1, 0.6))]
    write_sweep("2026-01-01_sweep", *runs)
    write_evaluation(write_run("2026-01-02_train", (0.2, 0.45, 0.4)))
    (write_run("2026-01-03_<b>train") / "summary.json").write_text("{")
    write_clustering("2026-01-04_cluster")
    browser.get_log("performance")
    browser.get(write_report([tmp_path]).as_uri())
    return browser


def column(browser, name):
    """The texts of a column of the table of runs, as shown."""
    return browser.execute_script(
        """
        const table = document.getElementById("all-runs");
        const names = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent);
        const rows = Array.from(table.tBodies[0].rows).filter((row) => row.offsetHeight > 0);
        return rows.map((row) => row.cells[names.indexOf(arguments[0])].textContent);
        """,
        name,
    )


def click(browser, name):
    """Click a head of the table of runs."""
    xpath = f"//table[@id='all-runs']//th/button[text()='{name}']"
    browser.find_element("xpath", xpath).click()


def test_everything_shows_without_a_network_and_without_an_error(opened):
    shown = opened.execute_script(
        "return Array.from(document.querySelectorAll('main > section')).filter("
        "(s) => s.offsetHeight > 40).map((s) => s.id)"
    )
    assert shown == [
        *("runs", "sweeps", "cost", "same-faces"),
        *("first-layers", "uncertainty", "mixtures", "trouble"),
    ]
    broken = "return Array.from(document.images).filter((i) => !i.naturalWidth).map((i) => i.alt)"
    assert opened.execute_script("return document.images.length") > 8
    assert opened.execute_script(broken) == []
    assert opened.get_log("browser") == []
    asked = requests(opened)
    own = [url for url in asked if not url.startswith(("data:", "chrome"))]  # of the page itself
    assert own == [opened.current_url]


def test_a_click_on_a_head_sorts_by_figures_and_another_turns_it_round(opened):
    click(opened, "Val acc")
    assert column(opened, "Val acc") == ["70.0%", "60.0%", "50.0%", "45.0%", "30.0%"]
    click(opened, "Val acc")
    assert column(opened, "Val acc") == ["30.0%", "45.0%", "50.0%", "60.0%", "70.0%"]
    click(opened, "Learning rate")  # runs that have none come last
    assert column(opened, "Learning rate") == ["0.5", "0.1", "0.01", "-", "-"]
    click(opened, "Learning rate")
    assert column(opened, "Learning rate") == ["0.01", "0.1", "0.5", "-", "-"]
    click(opened, "Run")
    assert column(opened, "Run")[:3] == ["0_run", "1_run", "2_run"]


def test_words_and_status_filter_the_runs_and_say_how_many_are_left(opened):
    words = opened.find_element("id", "filter")
    words.send_keys("SWEEP 0.1")
    assert column(opened, "Val acc") == ["60.0%"]
    assert opened.find_element("id", "shown").text == "1 of 5 runs"
    words.clear()
    words.send_keys("<b>")
    assert column(opened, "Status") == ["damaged"]
    words.clear()
    words.send_keys(" ")
    option = "//select[@id='status']/option[@value='done']"
    opened.find_element("xpath", option).click()
    assert len(column(opened, "Run")) == 4


def test_a_phone_scrolls_the_page_in_one_direction_only(opened):
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        width = opened.execute_script("return document.documentElement.scrollWidth")
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width <= 390
