"""The live page in a real browser: what it shows is what backward() computes, and no data becomes markup."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

import nn
import tensorgraph as tg
from tensorgraph.drawing.dot import _TINTS
from tensorgraph.drawing.page import page

HOSTILE = "</script><img src=x onerror=alert(1)>\u2028<!-- {{page.js}} \\u003c & \ud800 $& \" '"


def leaf(values, name=None):
    return tg.tensor(np.array(values, np.float64), requires_grad=True, name=name)


def neuron():
    """The course's W1."""
    x1, x2 = (tg.tensor(x, dtype="float64", name=name) for x, name in ((-1.0, "x1"), (-2.0, "x2")))
    return tg.sigmoid(x1 * leaf(2.0, "w1") + x2 * leaf(-3.0, "w2") + leaf(-3.0, "b"))


def toy_cnn():
    """The course's W3, and the tensors that it learns from."""
    image = [[[[1, 0, 1], [0, 1, 0], [1, 0, 1]]]]
    tensors = [
        leaf(image, "image"),
        leaf([[[[0.9, 0.1], [0.1, 0.9]]]], "filter"),
        leaf([0.1], "b_conv"),
        leaf([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]], "W_hidden"),
        leaf([0.2, 0.2], "b_hidden"),
        leaf([[0.1, 0.2], [0.3, 0.4]], "W_out"),
        leaf([0.3, 0.3], "b_out"),
    ]
    x, kernel, bias, w_hidden, b_hidden, w_out, b_out = tensors
    maps = tg.relu(tg.conv2d(x, kernel, bias))
    h = tg.relu(tg.linear(maps.reshape(1, 4), w_hidden, b_hidden))
    return tg.softmax_cross_entropy(tg.linear(h, w_out, b_out), np.array([0])), tensors


class Block(nn.Module):
    """A residual block."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.norm = nn.BatchNorm2d(2)

    def forward(self, x):
        return tg.relu(x + self.norm(self.conv(x)))


def residual_network(blocks=2):
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), *[Block() for _ in range(blocks)], nn.Flatten(), nn.Linear(128, 3)
    )
    images = np.linspace(-1, 1, 2 * 64, dtype=np.float32).reshape(2, 1, 8, 8)
    return tg.softmax_cross_entropy(net(tg.tensor(images, name="images")), np.array([0, 2]))


def facts_in(text):
    """What the page knows."""
    return json.loads(re.search(r'<script type="application/json" id="graph">(.*?)</script>', text, re.DOTALL)[1])


# --- the text ---------------------------------------------------------------------------------------------------------


def test_the_page_is_one_file_that_asks_the_network_for_nothing():
    text = page(tg.graph(neuron()).nodes)
    assert "{{" not in text
    assert not re.search(r"<link|@import|fetch\(|XMLHttpRequest|import\(|\bsrc=|url\((?!#)", text)
    assert [address for address in re.findall(r"https?://[^\s\"']+", text) if "w3.org" not in address] == []
    assert "default-src 'none'" in text


def test_gates_have_the_colours_of_the_picture():
    style = page(tg.graph(neuron()).nodes)
    for gate, colour in _TINTS.items():
        assert f".{gate} rect, .swatch.{gate} {{ fill: {colour.lower()}; background: {colour.lower()}; }}" in style


def test_hostile_names_leave_the_markup_as_it_is():
    def tags(name):
        return re.findall(r"<[/!]?\w*", page(tg.graph(leaf(1.0, name) * 2.0).nodes))

    assert tags(HOSTILE) == tags("x")
    text = page(tg.graph(leaf(1.0, HOSTILE) * 2.0).nodes)
    assert "\u2028" not in text
    assert facts_in(text)["nodes"][0]["name"] == HOSTILE
    text.encode()


def test_numbers_survive():
    values = np.array([0.1, np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7976931348623157e308])
    x = tg.tensor(values, requires_grad=True)
    facts = facts_in(page(tg.graph((x * 1.0).sum()).nodes))
    shown = facts["arrays"][facts["nodes"][0]["value"]]
    np.testing.assert_array_equal([float(number) for number in shown["values"]], values)
    assert np.signbit(shown["values"][4])
    assert facts_in(page(tg.graph(tg.tensor([0.1], requires_grad=True) * 3).nodes))["arrays"][0]["values"] == [0.1]


def test_a_heat_map_shows_the_first_maps_in_their_own_scale():
    values = np.zeros((2, 3, 4, 4))
    values[0, 0, 0, 0], values[1, 2, 3, 3], values[0, 1, 2, 2] = 2, -1, np.nan
    facts = facts_in(page(tg.graph(tg.relu(tg.tensor(values, requires_grad=True)).sum()).nodes))
    picture = facts["arrays"][facts["nodes"][0]["value"]]["picture"]
    import base64

    shades = np.frombuffer(base64.b64decode(picture["pixels"]), np.uint8).reshape(picture["height"], picture["width"])
    assert shades.shape == (9, 14)  # six maps of 4x4, three beside each other, with gaps
    assert (shades[4] == 255).all()
    assert (shades[:, 4] == 255).all()
    assert (shades[0, 0], shades[2, 7], shades[8, 13]) == (253, 254, 63)  # the largest, NaN, minus a half of it
    assert (np.delete(shades[5:, :4], 0) == np.rint(253 / 2)).all()


def test_a_failed_pass_is_shown_up_to_the_mistake():
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    with pytest.raises(tg.ShapeError) as raised:
        net(tg.tensor(np.ones((1, 1, 4, 4), np.float32)))
    last = facts_in(page(raised.value.graph.nodes))["nodes"][-1]
    assert (last["op"], last["value"], last["word"]) == ("linear", None, "failed")
    assert "(3, 9)" in last["error"]


def test_a_graph_without_gradients():
    nodes = tg.graph(neuron(), grads=False).nodes
    assert {node["grad"] for node in facts_in(page(nodes))["nodes"]} == {None}


# --- in the browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chromium():
    missing = [program for program in ("chromium", "chromedriver") if shutil.which(program) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: the live page is not tested in a browser")
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="no selenium: the live page is not tested in a browser"
    )
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1600,1000"):
        options.add_argument(argument)
    options.add_argument("--force-prefers-reduced-motion")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


class Reader:
    """Somebody who looks at a page, with the keys and the mouse."""

    def __init__(self, driver):
        self.driver = driver

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        (found,) = self.all(selector)
        return found

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def text(self, selector):
        return self.one(selector).text

    def item(self, key):
        return self.one(f".item[data-key={key}]")

    def items(self):
        return [item.get_attribute("data-key") for item in self.all(".item")]

    def click(self, key):
        self.driver.execute_script("bringIntoView(itemOf(arguments[0]))", key)
        self.one(f".item[data-key={key}] > rect:not(.behind)").click()

    def gradients(self):
        """The gradients that can be seen beside edges, by the edge."""
        return self.driver.execute_script("""
            const seen = [...document.querySelectorAll(".label.gradient")]
              .filter((label) => getComputedStyle(label).visibility === "visible")
              .map((label) => [label.dataset.edge, [...label.querySelectorAll("text")].map((t) => t.textContent)]);
            return Object.fromEntries(seen.map(([edge, lines]) => [edge, lines.join(" ")]));""")

    def exact(self, kind):
        """All digits of the value or the gradient in the facts."""
        return [float(number) for number in self.one(f"#facts .exact.{kind}").get_property("textContent").split()]


@pytest.fixture
def read(chromium, tmp_path):
    """Opens the page of an output; in the end nothing may have gone wrong in it."""

    def open_page(output):
        path = tmp_path / "graph.html"
        tg.graph(output).save(path)
        chromium.get(path.as_uri())
        return Reader(chromium)

    yield open_page
    assert chromium.get_log("browser") == []


def keys():
    from selenium.webdriver.common.keys import Keys

    return Keys


def test_stepping_to_the_end_shows_the_gradients_of_backward(read):
    loss, tensors = toy_cnn()
    reader = read(loss)
    everything = reader.gradients()
    reader.press(keys().HOME)
    assert reader.gradients() == {}
    steps = 0
    while reader.one("#step").is_enabled() and reader.text("#where") != "15 / 15":
        before = reader.gradients()
        reader.press(keys().ARROW_RIGHT)
        steps += 1
        assert before.items() <= reader.gradients().items()
    assert steps == 15  # 7 gates forward, the gradient of the loss, 7 gates backward
    assert reader.gradients() == everything

    loss.backward()
    for tensor in tensors:
        (label,) = (text for edge, text in everything.items() if edge.split()[0] == key(reader, tensor))
        numbers = [float(number) for number in re.findall(r"[-\d.e]+", label)]
        np.testing.assert_allclose(numbers, tensor.grad.data.ravel(), rtol=0, atol=1e-3)
        reader.click(key(reader, tensor))
        assert reader.exact("gradient") == tensor.grad.data.ravel().tolist()
        assert reader.exact("value") == tensor.data.ravel().tolist()
        reader.press(keys().ESCAPE)


def key(reader, tensor):
    return reader.driver.execute_script(
        "return graph.nodes.find((node) => node.name === arguments[0]).key", tensor.name
    )


def test_the_rule_of_every_step_is_spelled_out(read):
    reader = read(neuron())
    reader.press(keys().HOME, "n")
    assert reader.text("#rule .heading").startswith("Forward #2 mul")
    assert reader.text("#rule .equation") == "#2 = x1 × w1 = -1 × 2 = -2"
    assert reader.item("n2").get_attribute("class").endswith("current")
    reader.press(keys().END)
    assert reader.text("#rule .heading").startswith("Backward #2 mul swaps")
    parts = {
        role: [part.text for part in reader.all(f"#rule .part.{role}")] for role in ("upstream", "local", "downstream")
    }
    assert parts == {
        "upstream": ["dL/d#2", "0.196612"],
        "local": ["x1", "-1"],
        "downstream": ["dL/dw1", "-0.196612"],
    }
    reader.press("p", "p")
    assert reader.text("#rule .heading").startswith("Backward #6 add distributes")
    assert sorted(reader.gradients().values()) == [*["0.196612"] * 5, "1.0"]


def test_play_goes_on_by_itself_and_space_stops_it(read):
    reader = read(neuron())
    reader.press(keys().HOME, keys().SPACE)
    assert reader.text("#where") == "1 / 11"
    assert reader.text("#play") == "⏸ Pause"
    reader.press(keys().SPACE)
    assert reader.text("#play") == "▶ Play"
    reader.one("#step").click()
    assert reader.text("#where") == "2 / 11"
    reader.one("#back").click()
    assert reader.text("#where") == "1 / 11"


def test_layers_fold_and_unfold(read):
    reader = read(residual_network())
    unfolded = reader.items()
    assert len(unfolded) < 60
    reader.press(keys().SHIFT, "F", keys().NULL)
    assert [item for item in reader.items() if item[0] == "b"] == ["b0"]
    assert "Sequential" in reader.text(".item.folded")
    reader.item("b0").send_keys(keys().ENTER)
    titles = [item.text.split("\n") for item in reader.all(".item.folded")]
    assert [title for title, _ in titles] == ["0 (Conv2d)", "1 (Block)", "2 (Block)", "4 (Linear)"]
    assert titles[1][1] == "5 gates, 4 parameters"
    block = next(item for item in reader.all(".item.folded") if "1 (Block)" in item.text).get_attribute("data-key")
    folded = len(reader.items())
    reader.click(block)
    assert len(reader.items()) > folded
    reader.press("f")  # the focus is where it was
    assert len(reader.items()) == folded
    reader.one("#unfold").click()
    assert sorted(reader.items()) == sorted(unfolded)


def test_a_folded_layer_is_one_step(read):
    reader = read(residual_network())
    reader.one("#fold").click()
    total = int(reader.text("#where").split()[-1])
    reader.press(keys().HOME)
    stops = 0
    while not reader.text("#where").startswith(f"{total} "):
        reader.press(keys().ARROW_RIGHT)
        stops += 1
    assert stops == 5  # forward, the loss, the gradient of the loss, the loss, backward
    for _ in range(stops):
        reader.press(keys().ARROW_LEFT)
    assert reader.text("#where").startswith("0 ")


def test_search_finds_and_goes_there(read):
    reader = read(residual_network())
    reader.one("#fold").click()
    reader.press("/")
    assert reader.driver.switch_to.active_element.get_attribute("id") == "search"
    reader.press("1.norm.weight")
    assert [entry.text for entry in reader.all("#found li")] == ["1.norm.weight parameter 1.norm (BatchNorm2d)"]
    reader.press(keys().ENTER)
    assert reader.text("#facts h2") == "1.norm.weight"
    assert reader.one(".item.selected").is_displayed()
    reader.press("/")
    reader.press("nowhere")  # instead of what was searched before
    assert reader.text("#found") == "nothing found"


def test_the_keyboard_reaches_every_gate_and_its_facts(read):
    with tg.record():
        output = neuron()
    reader = read(output)
    reader.driver.execute_script("svg.focus()")
    met = []
    for _ in range(10):
        reader.press(keys().TAB)
        met.append(reader.driver.switch_to.active_element.get_attribute("data-key"))
    assert sorted(met) == sorted(reader.items())
    outline = reader.driver.execute_script(
        "return getComputedStyle(document.activeElement.querySelector('rect')).strokeWidth"
    )
    assert outline == "4px"
    reader.item("n9").send_keys(keys().ENTER)
    facts = reader.text("#facts")
    for fact in ("sigmoid (function gate)", "float64", "test_page.py", "#8", "0.7310585786300049", "multiplies"):
        assert fact in facts
    reader.one("#facts .link").click()
    assert reader.text("#facts h2") == "add"
    reader.press(keys().ESCAPE)
    assert not reader.one("#facts").is_displayed()
    reader.press("?")
    assert "step" in reader.text("#keys")


def test_zoom_pan_and_fit(read):
    reader = read(neuron())

    def view():
        return reader.driver.execute_script("return [view.x, view.y, view.scale]")

    x, y, scale = view()
    reader.press("+")
    assert view()[2] == pytest.approx(1.25 * scale)
    reader.press("0")
    assert view() == pytest.approx([x, y, scale])
    reader.press(keys().SHIFT, keys().ARROW_LEFT, keys().NULL)
    assert view() == pytest.approx([x + 60, y, scale])


def test_hostile_names_stay_text(read):
    class Hostile(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(np.ones(2, np.float32))

        def forward(self, x):
            return tg.sin(x * self.a)

    Hostile.__name__ = "<img src=x onerror=alert(1)>"
    name = "</script><img src=x onerror=alert(1)>\u2028"
    reader = read((Hostile()(leaf([1.0, 2.0], name)) * 2.0).sum())
    found = reader.driver.execute_script("return graph.nodes.find((node) => node.name?.startsWith('</script>')).key")
    reader.click(found)
    assert reader.text("#facts h2").startswith("</script><img src=x onerror=alert(1)>")
    reader.press("/", "<img")
    assert reader.all("#found li")
    reader.press(keys().ESCAPE, keys().HOME)
    for _ in range(int(reader.text("#where").split()[-1])):
        reader.press("n")
    assert reader.all("img") == []
    assert "<img src=x onerror=alert(1)>" in reader.text("#world")


def test_nan_and_infinity_are_shown(read):
    x = leaf([np.nan, np.inf, -np.inf], "x")
    reader = read((x * 1.0).sum())
    reader.click("n0")
    np.testing.assert_array_equal(reader.exact("value"), [np.nan, np.inf, -np.inf])


def test_a_long_chain_starts_folded(read):
    x = leaf(1.0, "x")
    y = x
    for _ in range(20_000):
        y = tg.sin(y)
    reader = read(y)
    assert len(reader.items()) < 60
    reader.press(keys().HOME, keys().ARROW_RIGHT)
    assert reader.gradients() == {}
    reader.press("/")
    reader.press("#12345")
    reader.press(keys().ENTER)
    assert reader.text("#facts h2") == "sin"
    assert len(reader.items()) < 300


def test_a_failed_pass_shows_where(read, tmp_path, chromium):
    net = nn.Sequential(nn.Flatten(), nn.Linear(9, 3))
    with pytest.raises(tg.ShapeError) as raised:
        net(tg.tensor(np.ones((1, 1, 4, 4), np.float32)))
    path = tmp_path / "failed.html"
    raised.value.graph.save(path)
    chromium.get(path.as_uri())
    reader = Reader(chromium)
    assert "(3, 9)" in reader.text("#rule")
    assert reader.one(".item.failed").is_displayed()
