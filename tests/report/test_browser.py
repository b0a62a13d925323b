"""The report in a real browser, opened from a file with the network off. Skipped where there is no chromium."""

import shutil
import time

import pytest

selenium = pytest.importorskip("selenium")


def start(profile, *arguments):
    """A headless chromium without a network; it draws in three dimensions in software."""
    from selenium import webdriver

    chromium, driver = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver here: the page is not tried in a browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    always = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", f"user-data-dir={profile}")
    for argument in (*always, *arguments):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    opened.execute_cdp_cmd("Network.enable", {})
    opened.set_network_conditions(offline=True, latency=0, throughput=0)
    return opened


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = start(tmp_path_factory.mktemp("profile"), "enable-unsafe-swiftshader")
    yield opened
    opened.quit()


@pytest.fixture
def opened(browser, page):
    browser.get_log("browser")
    browser.get(page.as_uri())
    return browser


def complaints(opened):
    """What the page logs; what chromium says of its own drawing in software is not counted."""
    return [entry for entry in opened.get_log("browser") if entry["source"] != "rendering"]


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
    assert complaints(opened) == []
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


def test_a_surface_is_drawn_and_can_be_turned(opened):
    figure = opened.find_elements("css selector", "figure")[2]
    figure.find_element("css selector", "button").click()
    wait(lambda: figure.find_elements("css selector", ".gl-container canvas"))
    eye = "return document.querySelectorAll('.live')[2]._fullLayout.scene2._scene.getCamera().eye.x"
    before = opened.execute_script(eye)
    from selenium.webdriver import ActionChains

    canvas = figure.find_element("css selector", ".gl-container canvas")
    ActionChains(opened).drag_and_drop_by_offset(canvas, 60, 10).perform()
    wait(lambda: abs(opened.execute_script(eye) - before) > 1e-3)


def test_an_animation_is_pulled_through_by_hand_and_played(opened):
    figure = opened.find_elements("css selector", "figure")[3]
    opened.execute_script("arguments[0].scrollIntoView()", figure)
    figure.find_element("css selector", "button").click()
    wait(lambda: figure.find_elements("css selector", ".slider-group"))
    where = "return document.querySelectorAll('.live')[3].data[1].x[0]"
    assert opened.execute_script(where) == 0
    opened.execute_async_script(
        "Plotly.animate(document.querySelectorAll('.live')[3], ['1'], {mode: 'immediate'}).then(arguments[0])"
    )
    assert opened.execute_script(where) == 0.5
    figure.find_elements("css selector", ".updatemenu-button")[0].click()
    wait(lambda: opened.execute_script(where) == 1)
    assert complaints(opened) == []


def test_without_webgl_the_poster_stays_and_the_button_says_why(page, tmp_path):
    opened = start(tmp_path, "disable-3d-apis")
    try:
        opened.get(page.as_uri())
        figure = opened.find_elements("css selector", "figure")[2]
        button = figure.find_element("css selector", "button")
        button.click()
        wait(lambda: "WebGL" in button.text)
        assert figure.find_element("css selector", ".poster").is_displayed()
        assert complaints(opened) == []
    finally:
        opened.quit()
