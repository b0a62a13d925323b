"""The report in a real browser, opened from a file with the network off. Skipped where there is no chromium."""

import shutil
import time

import pytest

selenium = pytest.importorskip("selenium")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    chromium, driver = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver here: the page is not tried in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.execute_cdp_cmd("Network.enable", {})
    opened.set_network_conditions(offline=True, latency=0, throughput=0)
    yield opened
    opened.quit()


@pytest.fixture
def opened(browser, page):
    browser.get_log("browser")
    browser.get(page.as_uri())
    return browser


def wait(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_the_page_opens_quickly_and_without_complaint(opened):
    assert opened.get_log("browser") == []
    assert opened.title.startswith("Early stopping")
    paint = opened.execute_script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 5000  # milliseconds; 300 to 700 on an idle machine
    assert opened.execute_script("return typeof Plotly") == "undefined"


def test_a_click_draws_and_another_brings_the_poster_back(opened):
    for figure in opened.find_elements("css selector", "figure"):
        button = figure.find_element("css selector", "button")
        poster = figure.find_element("css selector", ".poster")
        button.click()
        wait(lambda button=button: button.text == "Static figure")
        assert not poster.is_displayed()
        assert figure.find_elements("css selector", ".main-svg")
        assert len(figure.find_elements("css selector", ".trace")) >= 1
        button.click()
        wait(lambda button=button: button.text == "Interactive figure")
        assert poster.is_displayed()
    assert opened.get_log("browser") == []
    assert opened.execute_script("return document.querySelectorAll('img[onerror]').length") == 0


def test_nothing_was_asked_of_a_network(opened):
    opened.find_element("css selector", "figure button").click()
    wait(lambda: opened.find_elements("css selector", ".main-svg"))
    fetched = opened.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert [name for name in fetched if not name.startswith("data:")] == []


@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_sticks_out_sideways(opened, width):
    opened.set_window_size(width, 900)
    wider = opened.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0


def test_names_are_text_also_in_the_interactive_figure(opened):
    figure = opened.find_elements("css selector", "figure")[1]
    figure.find_element("css selector", "button").click()
    wait(lambda: figure.find_elements("css selector", ".main-svg"))
    legends = [element.text for element in figure.find_elements("css selector", ".legendtext")]
    assert "MLP 1x512 <b>" in legends or legends == []
    assert opened.execute_script("return document.querySelectorAll('b').length") == 0
