"""Pages in headless Chromium: a click sorts, nothing is wider than the window, and nothing is fetched."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

import accelsim
from accelsim.explore import overview, reliefs
from accelsim.importers import load_for
from accelsim.report.documents import (
    run_document,
    sensitivity_document,
    sweep_document,
    variants_document,
    verification_document,
)
from accelsim.simulation import Simulation, run
from tests.report.test_sweep_page import vast

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
WIDTHS = (1280, 400)
LONG = "model/functional_1/very/long/scope/without/any/space/" * 4
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not there to open pages in")

PROBE = """<script>{
const layers = [...document.querySelectorAll("table")].find((t) => t.tHead && t.tHead.textContent.includes("layer"));
const column = (k) => [...layers.tBodies[0].rows].map((row) => row.cells[k].textContent);
const heads = [...layers.tHead.rows[0].cells], found = { names: heads.map((head) => head.textContent), before: heads.map((_, k) => column(k)) };
found.clicked = heads.map((head, k) => { head.click(); const once = column(k); head.click(); return [once, column(k)]; });
const mark = document.querySelector("[data-tip]");
if (mark) {
  mark.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, clientX: 5, clientY: 5 }));
  found.tip = [document.getElementById("tip").textContent, mark.dataset.tip];
}
const colour = () => getComputedStyle(document.querySelector(".node rect")).fill;
found.colours = [...document.querySelectorAll(".network input")].map((choice) => { choice.checked = true; return colour(); });
const image = new Image();
document.addEventListener("securitypolicyviolation", () => { found.refused = true; });
image.src = "http://localhost:9/x.png";
const wide = document.documentElement;
setTimeout(() => {
  found.width = [wide.scrollWidth, wide.clientWidth];
  found.fetched = performance.getEntriesByType("resource").filter((entry) => entry.transferSize).map((entry) => entry.name);
  parent.postMessage(found, "*");
}, 50);
}</script>"""
FRAME = """<!doctype html><body><pre id="found"></pre><script>
const found = {};
addEventListener("message", (event) => { found[event.source.frameElement.width] = event.data;
  document.getElementById("found").textContent = JSON.stringify(found); });
</script>"""


def opened(page: str, folder: Path) -> dict[int, Any]:
    """What a script in ``page`` finds, by the width of its window: that of a frame, for a window has a least width."""
    inside = escape(page.replace("</body>", f"{PROBE}</body>"))
    frames = "".join(f'<iframe width="{width}" height="900" srcdoc="{inside}"></iframe>' for width in WIDTHS)
    file = folder / "page.html"
    file.write_text(f"{FRAME}{frames}", encoding="utf-8")
    return {int(width): found for width, found in json.loads(between(dumped(file.as_uri(), folder))).items()}


def dumped(address: str, folder: Path) -> str:
    assert CHROMIUM
    own = (f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", "--dump-dom", address)
    return subprocess.run([CHROMIUM, *FLAGS, *own], capture_output=True, text=True, timeout=120, check=True).stdout


def between(text: str) -> str:
    found = re.search(r'<pre id="found">(.*?)</pre>', text, re.DOTALL)
    assert found, text[:2000]
    return unescape(found[1])


@pytest.fixture(scope="module")
def small_run() -> Simulation:
    return run("digits_cnn", arch="edge_16x16")


def run_page(simulation: Simulation) -> str:
    layers = list(simulation.result.layers)
    layers[0] = layers[0].model_copy(update={"name": LONG})
    odd = simulation.result.model_copy(update={"layers": tuple(layers), "model": LONG, "notes": (LONG,)})
    named = Simulation(simulation.graph, simulation.arch, simulation.program, simulation.timeline, odd, None)
    return run_document(named, reliefs(simulation.graph, arch=simulation.arch, base=odd))


def variants_page(simulation: Simulation) -> str:
    other = accelsim.simulate("digits_cnn", arch="nvdla_small")
    return variants_document(accelsim.compare({LONG: simulation.result, "other": other}), simulation.graph)


def verification_page(simulation: Simulation) -> str:
    report = accelsim.verify("digits_cnn", arch="edge_16x16", random_count=2)
    graph = load_for("digits_cnn", accelsim.load_arch("edge_16x16"))[0]
    return verification_document(report, graph, simulation.result)


@pytest.mark.parametrize("document", [run_page, variants_page, verification_page])
def test_a_page_in_a_browser(document: Callable[[Simulation], str], small_run: Simulation, tmp_path: Path) -> None:
    found = opened(document(small_run), tmp_path)
    assert set(found) == set(WIDTHS)
    for seen in found.values():
        assert seen["width"][0] <= seen["width"][1]
        assert seen["fetched"] == []
        assert seen["refused"]
        assert seen["tip"][0] == seen["tip"][1] != ""
        assert len(set(seen["colours"])) > 1
        check_sorting(seen)


def test_the_page_of_a_sweep_is_no_wider_than_its_window_whatever_names_it_has(tmp_path: Path) -> None:
    page = sweep_document(overview(vast(rows=400, workloads=2, axes=12, length=200)))
    for seen in opened(page, tmp_path).values():
        assert seen["width"][0] <= seen["width"][1]
        assert (seen["fetched"], seen["refused"]) == ([], True)
        assert seen["tip"][0] == seen["tip"][1] != ""


def check_sorting(seen: dict[str, Any]) -> None:
    """Every column goes one way by the first click and the other by the second; what is not there stays last."""
    moved = 0
    for before, (once, twice) in zip(seen["before"], seen["clicked"], strict=True):
        assert sorted(before) == sorted(once) == sorted(twice)
        gone = [cell for cell in before if cell in ("—", "")]
        assert [once[len(before) - len(gone) :], twice[len(before) - len(gone) :]] == [gone, gone] or set(gone) == {
            "—",
            "",
        }
        first, last = once[: len(before) - len(gone)], twice[: len(before) - len(gone)]
        assert sorted(first) == sorted(last)
        moved += first != last
    assert moved >= 3


def test_numbers_sort_by_size_and_an_address_asks_for_an_order(small_run: Simulation, tmp_path: Path) -> None:
    page = sensitivity_document(accelsim.sensitivity("digits_cnn", arch="edge_16x16"))
    assert "data-v" in page
    file = tmp_path / "run.html"
    file.write_text(run_page(small_run), encoding="utf-8")
    heads = ("", "layer", "op", "MACs", "cycles")
    text = dumped(f"{file.as_uri()}#sort=2.{heads.index('cycles')}", tmp_path)
    rows = re.findall(r"<tr>(.*?)</tr>", text.partition(">Layers</h2>")[2].partition("</tbody>")[0], re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in rows]
    cycles = [int(row[4].replace(",", "")) for row in cells if row and row[4] != "—"]
    assert cycles == sorted((layer.cycles for layer in small_run.result.layers if layer.tiles), reverse=True)
