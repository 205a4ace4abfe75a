"""Opens a report as a reader would and fails on anything a reader would mind.

    python check.py REPORT.html [--out FOLDER] [--axe axe.min.js] [--print]

Checked at 1280 and 390 px, light and dark, with and without scripts: console errors, requests other than file: and
data:, dialogs, images not shown, a page that scrolls sideways, columns of the paper or of the run's main numbers out of
sight, sorting, the list of prompts, opening in more than two seconds or 15 MB; with --axe the rules of axe-core, all
chapters open. Height, chapters and time to open are printed. Full-page screenshots go to FOLDER.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, sync_playwright

WIDTHS = {"wide": 1280, "narrow": 390}
SCHEMES = ("light", "dark")
# No service of the browser's maker is asked, and no profile is used but the one that playwright makes and removes.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# What a page may take: seconds until it is loaded and drawn, bytes.
MOST_SECONDS = 2.0
MOST_BYTES = 15_000_000
# Full-page screenshots take their time on a busy machine.
SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path("report-check"), help="folder for the screenshots")
    parser.add_argument("--axe", type=Path, help="axe.min.js of axe-core: serious and critical faults count")
    parser.add_argument("--print", action="store_true", dest="pdf", help="also print to PDF")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    url = arguments.report.resolve(strict=True).as_uri()
    axe = arguments.axe.read_text(encoding="utf-8") if arguments.axe else None
    faults: list[str] = []
    size = arguments.report.stat().st_size
    if size > MOST_BYTES:
        faults.append(f"the page has {size} bytes, more than {MOST_BYTES}")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not start as root, which is what containers usually are.
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        for name, width in WIDTHS.items():
            for scheme in SCHEMES:
                picture = arguments.out / f"{name}-{scheme}.png"
                faults += view(browser, url, width, scheme, scripts=True, picture=picture, axe=axe)
        faults += view(browser, url, WIDTHS["wide"], "light", scripts=False, picture=arguments.out / "no-script.png")
        if arguments.pdf:
            page = browser.new_page()
            page.goto(url)
            margin = dict.fromkeys(("top", "right", "bottom", "left"), "15mm")
            page.pdf(path=arguments.out / "report.pdf", format="A4", margin=margin)
        browser.close()
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"{arguments.report}: {len(faults)} faults; screenshots in {arguments.out}")
    return 1 if faults else 0


def chromium() -> str:
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        sys.exit("no chromium: install it or name it in the environment variable CHROMIUM")
    return found


def view(browser: Browser, url: str, width: int, scheme: str, scripts: bool, picture: Path, axe: str | None = None) -> list[str]:
    """Faults of the page at this width; `picture` is written on the way."""
    faults: list[str] = []
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        reduced_motion="reduce",
        java_script_enabled=scripts,
    )
    context.set_default_timeout(SECONDS * 1000)
    page = context.new_page()

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"console: {message.text}")

    def request(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            faults.append(f"request: {request.url[:200]}")

    def dialog(dialog: Dialog) -> None:
        faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", console)
    page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
    page.on("request", request)
    page.on("dialog", dialog)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    faults += described(page, picture.stem)
    page.screenshot(path=picture, full_page=True)
    if scripts:
        faults += sideways(page) + images(page) + sorting(page)
        page.evaluate(OPEN_ALL)
        faults += sideways(page) + hidden(page) + trapped(page) + intervals(page) + prompts(page) + linked(page)
        page.screenshot(path=picture.with_stem(f"{picture.stem}-open"), full_page=True)
        if axe is not None:
            faults += accessibility(page, axe)
    context.close()
    return [f"{picture.stem}: {fault}" for fault in faults]


def described(page: Page, name: str) -> list[str]:
    """Prints height, chapters and the time to open; a fault if it opens too slowly."""
    seconds = timed(page)
    # Another program may have had the processor: the best of three.
    for _ in range(2):
        if seconds > MOST_SECONDS:
            page.reload()
            page.wait_for_load_state("networkidle")
            seconds = min(seconds, timed(page))
    height, chapters, links = page.evaluate(
        """() => [document.documentElement.scrollHeight, document.querySelectorAll("main h2").length,
            document.querySelectorAll("nav a").length]"""
    )
    print(f"{name}: {height} px tall, {chapters} chapters, {links} links of navigation, opened in {seconds:.2f} s")
    return [f"opened in {seconds:.2f} s, more than {MOST_SECONDS}"] if seconds > MOST_SECONDS else []


def timed(page: Page) -> float:
    """Seconds until the page was loaded and drawn."""
    return page.evaluate(
        """() => {
            const [timing] = performance.getEntriesByType("navigation");
            const paint = performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0;
            return Math.max(timing.loadEventEnd, paint) / 1000;
        }"""
    )


def hidden(page: Page) -> list[str]:
    """Columns that a reader came for and cannot see without scrolling sideways inside a table's frame."""
    return page.evaluate(
        """() => [...document.querySelectorAll(".table .scroll")].flatMap(frame => {
            const right = frame.getBoundingClientRect().left + frame.clientWidth + 1;
            const cells = [...frame.querySelectorAll("tbody tr:first-child td.num:not(.detail)")];
            const out = cells.filter(cell => cell.getBoundingClientRect().right > right).map(cell => cell.dataset.label);
            return out.length ? [`out of sight: ${out.join(", ")} in: ${frame.textContent.trim().slice(0, 60)}`] : [];
        })"""
    )


def trapped(page: Page) -> list[str]:
    """Frames in which the wheel moves something else than the page."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main .scroll")]
            .filter(frame => frame.scrollHeight > frame.clientHeight + 1 && getComputedStyle(frame).overflowY !== "hidden")
            .map(frame => `the wheel is caught by: ${frame.getAttribute("aria-label")}`)"""
    )


def intervals(page: Page) -> list[str]:
    """What is out of sight while tables show spreads and intervals."""
    box = page.locator("#show-spread")
    if box.count() == 0:
        return []
    box.check()
    faults = [f"with intervals: {fault}" for fault in sideways(page) + hidden(page)]
    box.uncheck()
    return faults


def linked(page: Page) -> list[str]:
    """A finding about a model's prompts leads to the prompts of this model, and what a prompt says when it is opened."""
    faults = []
    for link in page.locator("a[data-model]").all():
        link.click()
        wanted = link.get_attribute("data-model")
        shown = page.evaluate("() => document.querySelector('.browse select').selectedOptions[0].textContent")
        if shown != wanted:
            faults.append(f"prompts: a link to those of {wanted} shows those of {shown}")
        page.locator(".browsed .open").first.click()
        inside = page.locator(".browsed .inside").first
        if " % of the model" not in (inside.text_content() or ""):
            faults.append("prompts: an opened prompt has no ranks")
        if inside.locator("img").count() == 0 and "no picture" not in (inside.text_content() or ""):
            faults.append("prompts: an opened prompt says nothing about pictures")
        page.locator(".browsed .open").first.click()
    return faults


def prompts(page: Page) -> list[str]:
    """The list of prompts: sorted by disagreement, searched, opened."""
    if page.locator("#browser").count() == 0:
        return []
    page.wait_for_selector(".browsed tbody tr")
    faults = []
    page.locator(".browsed thead button", has_text="Disagreement").click()
    shown = page.evaluate(DISAGREEMENTS)
    if shown != sorted(shown, reverse=True):
        faults.append("prompts: not sorted by disagreement")
    first = page.locator(".browsed .open").first
    first.click()
    if page.locator(".browsed .inside").count() != 1:
        faults.append("prompts: a prompt does not open")
    first.click()
    page.locator(".browse input").fill(first.text_content() or "")
    if page.locator(".browsed tbody tr").count() == 0:
        faults.append("prompts: the search finds nothing")
    page.locator(".browse input").fill("")
    return faults


def accessibility(page: Page, axe: str) -> list[str]:
    """Serious and critical violations of axe-core's rules, with all chapters open; lesser ones are printed."""
    page.evaluate(OPEN_ALL)
    page.evaluate(axe)
    found = page.evaluate(
        "() => axe.run().then(r => r.violations.map(v => ({id: v.id, impact: v.impact, count: v.nodes.length,"
        " first: v.nodes[0].html.slice(0, 160), why: (v.nodes[0].failureSummary || '').slice(0, 300)})))"
    )
    faults = []
    for one in found:
        text = f"axe: {one['impact']}: {one['id']}, {one['count']} elements, first {one['first']}: {one['why']}"
        if one["impact"] in ("serious", "critical"):
            faults.append(text)
        else:
            print(text)
    return faults


def sideways(page: Page) -> list[str]:
    have, need = page.evaluate("[document.documentElement.clientWidth, document.documentElement.scrollWidth]")
    if need <= have:
        return []
    wide = page.evaluate(
        """have => [...document.body.querySelectorAll("*")]
            .filter(e => e.getBoundingClientRect().right > have + 1 && !e.closest(".scroll"))
            .slice(0, 5).map(e => e.tagName + "." + e.className)""",
        have,
    )
    return [f"the page is {need} px wide in a window of {have} px: {wide}"]


def images(page: Page) -> list[str]:
    broken = page.evaluate("[...document.images].filter(i => i.naturalWidth === 0).map(i => i.alt)")
    return [f"image not shown: {alt}" for alt in broken]


def sorting(page: Page) -> list[str]:
    """Sorts every column of every table both ways and back; the first one also by keyboard."""
    faults = page.evaluate(SORT_ALL)
    first = page.locator("table[data-sortable] thead button").first
    if first.count() > 0 and first.is_visible():
        first.focus()
        page.keyboard.press("Enter")
        if first.locator("xpath=..").get_attribute("aria-sort") != "ascending":
            faults.append("sorting: Enter does nothing")
    return faults


# What the list of prompts shows in the column of disagreement.
DISAGREEMENTS = """() => {
    const headers = [...document.querySelectorAll(".browsed thead th")].map(header => header.textContent);
    const at = headers.indexOf("Disagreement");
    return [...document.querySelectorAll(".browsed tbody tr")].map(row => Number(row.cells[at].textContent));
}"""

OPEN_ALL = "document.querySelectorAll('details').forEach(e => e.open = true)"

# Numbers must stand in order with missing cells last, and the third press must restore the rows.
SORT_ALL = """() => {
    const faults = [];
    for (const table of document.querySelectorAll("table[data-sortable]")) {
        const text = () => [...table.tBodies[0].rows].map(row => row.textContent).join();
        const before = text();
        for (const button of table.tHead.querySelectorAll("button")) {
            const header = button.parentElement;
            for (const direction of ["ascending", "descending", "none"]) {
                button.click();
                const where = `${table.caption.textContent}, ${header.textContent}, ${direction}`;
                if (header.getAttribute("aria-sort") !== direction) faults.push(`sorting: aria-sort: ${where}`);
                if (direction === "none") continue;
                const cells = [...table.tBodies[0].rows].map(row => row.cells[header.cellIndex]);
                const known = cells.filter(cell => !cell.classList.contains("missing"));
                if (known.some((cell, i) => cells[i] !== cell)) faults.push(`sorting: missing not last: ${where}`);
                const sign = direction === "ascending" ? 1 : -1;
                const keys = known.map(cell => sign * Number(cell.dataset.sort));
                if (keys.some((key, i) => i > 0 && key < keys[i - 1])) faults.push(`sorting: order: ${where}`);
            }
        }
        if (text() !== before) faults.push(`sorting: rows not restored: ${table.caption.textContent}`);
    }
    return faults;
}"""


if __name__ == "__main__":
    sys.exit(main())
