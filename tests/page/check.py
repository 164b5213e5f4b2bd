#!/usr/bin/env python3
"""Opens the pages of reports in headless Chromium and checks what a reader relies on: the page opens from disk with no
request and no message in the console, its figures are those of `harness analyze --json`, sorting, filtering and picking
work with mouse and keyboard, it fits a phone, prints, says something without a script, and holds a thousand runs.

    tests/page/check.py [PROGRAM] [--pictures DIR]

Without a browser ($CHROME, chromium, google-chrome) it says so and skips.
"""

import argparse
import json
import pathlib
import random
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

# The working tree stays as it is.
sys.dont_write_bytecode = True
import browser
from browser import Browser

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Columns whose first click shows small values first.
RISING = ["run", "accuracy"]
# Bytes of a page of a thousand runs, at most.
LIMIT = 5_000_000


class Failed(Exception):
    pass


def expect(found, expected, what):
    if found != expected:
        raise Failed(f"{what}: {str(found)[:300]} instead of {str(expected)[:300]}")


def holds(condition, what):
    if not condition:
        raise Failed(what)


# ---- what is looked at


def npz(path, runs, labels):
    """Logits `runs[run][example][class]` and labels as NumPy would save them."""

    def array(kind, shape, body):
        head = str({"descr": kind, "fortran_order": False, "shape": shape})
        head += " " * (-(10 + len(head) + 1) % 64) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode("latin1") + body

    values = [value for run in runs for row in run for value in row]
    shape = (len(runs), len(labels), len(runs[0][0]))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("logits.npy", array("<f4", shape, struct.pack(f"<{len(values)}f", *values)))
        archive.writestr("labels.npy", array("<i8", (len(labels),), struct.pack(f"<{len(labels)}q", *labels)))


def made_up(count, examples, classes, seed):
    """Runs that share what is hard about an example and differ in a little."""
    draw = random.Random(seed).gauss
    labels = [example % classes for example in range(examples)]
    common = [[draw(0, 1) + 2.2 * (label == c) for c in range(classes)] for label in labels]
    return [[[value + draw(0, 0.5) for value in row] for row in common] for _ in range(count)], labels


def analyse(program, source, out, *more):
    """The report of a source in a folder, and the JSON of its analysis."""
    command = [program, "analyze", source, "--json", "--out", out, *more]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{command} ended with {done.returncode}: {done.stderr}")
    return out / "report.html", json.loads(done.stdout)


# ---- what must hold


def opens(page, path, size=(1280, 900)):
    page.size(*size)
    page.scheme("light")
    page.open(path)
    # Pictures of examples are in the page itself.
    expect([address for address in page.requests if not address.startswith("data:")], [path.absolute().as_uri()], "requests")
    expect(page.problems, [], "messages in the console")


def percent(share):
    return f"{share * 100:.2f} %"


def heads(page):
    return page.evaluate("[...document.querySelectorAll('.runs thead th')].map((head) => head.dataset.key)")


def table(page, part="tbody"):
    """Cells of the table of runs by the key of their column."""
    rows = page.evaluate(f"[...document.querySelectorAll('.runs {part} tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
    # A number and its unit are held together by a space that does not break.
    return [dict(zip(heads(page), [cell.replace("\u00a0", " ") for cell in row])) for row in rows]


def shows_the_json(page, found):
    """The table shows the numbers of the JSON, and so do curves and cells."""
    cells = table(page)
    expect(len(cells), len(found["runs"]), "rows")
    for row, run in zip(cells, found["runs"]):
        expect(row["run"], str(run["run"]), "index")
        for key in ["accuracy", "ece", "churn", "alpha", "alpha_relative"]:
            expect(row[key], "–" if run[key] is None else percent(run[key]), f"{key} of run {run['run']}")
        expect(row["ks"], "–" if run["ks"] is None else f"{run['ks']:.3f}", f"KS of run {run['run']}")
        expect(row["flags"].replace(" ", ""), "".join(flag["flag"] for flag in run["flags"]), f"flags of run {run['run']}")
    totals = table(page, "tfoot")
    summary = found["summary"]
    if totals:
        expect(totals[0]["accuracy"], percent(summary["accuracy"]["mean"]), "mean accuracy")
        expect(totals[1]["accuracy"], percent(summary["accuracy"]["std"]), "standard deviation of accuracy")
        expect(totals[0]["churn"], percent(summary["churn"]["mean"]), "mean churn")
    if "margins" in found:
        # Every corner of a curve, turned back into values by the axes that the page's script reads too, lies on the ECDF.
        axes = page.evaluate("(({ x, y }) => [x, y])(document.querySelector('#margins .panels svg').dataset)")
        (x0, x1, xl, xh), (y0, y1, yl, yh) = (list(map(float, axis.split(" ")[:4])) for axis in axes)
        drawn = page.evaluate("[...document.querySelectorAll('#margins .panels > div:first-child path.l[data-run]')].map((path) => [Number(path.dataset.run), path.getAttribute('d')])")
        exact = {curve["run"]: curve["y"] for curve in found["margins"]["runs"]}
        expect(sorted(run for run, _ in drawn), sorted(exact), "curves of margins")
        places = found["margins"]["x"]
        step = (places[-1] - places[0]) / (len(places) - 1)
        for run, path in drawn:
            for corner in path.replace("M", "L").split("L")[1:]:
                x, y = map(float, corner.split(" "))
                margin, share = xl + (x - x0) / (x1 - x0) * (xh - xl), yl + (y - y0) / (y1 - y0) * (yh - yl)
                place = round((margin - places[0]) / step)
                holds(abs(share - exact[run][place]) < 0.004, f"margins of run {run} at {margin}: {share} and {exact[run][place]}")
    tips = page.evaluate("[...document.querySelectorAll('#churn [data-tip]')].map((cell) => cell.dataset.tip)")
    pairs = {(pair["a"], pair["b"]): pair["churn"] for pair in found["pairs"]}
    for tip in tips:
        a, b = (int(run) for run in tip.split(":")[0].replace("runs ", "").split(" and "))
        shown = float(tip.split(": ")[1].replace(" %", ""))
        holds(abs(shown - pairs[min(a, b), max(a, b)] * 100) <= 0.0501, f"churn of {a} and {b}: {tip}")
    holds(len(tips) == 0 or len(tips) % 2 == 0, "cells come in twos")


def order(page, visible=True):
    return page.evaluate(f"[...document.querySelectorAll('.runs tbody tr')].filter((row) => !{str(visible).lower()} || !row.hidden).map((row) => Number(row.dataset.run))")


def number(text):
    """The number that a cell shows, as the page's script reads it."""
    found = re.search(r"[−-]?[\d,]*\.?\d+(?:[eE][−-]?\d+)?", text)
    return float(found[0].replace("−", "-").replace(",", "")) if found else None


def sorts(page, found):
    cells = {int(row["run"]): row for row in table(page)}
    for key in [key for key in heads(page) if key != "run"] + ["run"]:
        head = f"document.querySelector('[data-key={key}] button')"

        def value(run):
            return len(run["flags"]) if key == "flags" else number(cells[run["run"]][key])

        for again in [False, True]:
            rising = (key in RISING) != again
            page.evaluate(f"{head}.click()")
            known = [run for run in found["runs"] if value(run) is not None]
            rest = [run for run in found["runs"] if value(run) is None]
            known.sort(key=lambda run: (value(run) * (1 if rising else -1), run["run"]))
            got = order(page)
            expect(got[:len(known)], [run["run"] for run in known], f"order by {key}")
            expect(sorted(got[len(known):]), [run["run"] for run in rest], f"runs without {key}")
            expect(page.evaluate(f"{head}.parentElement.ariaSort"), "ascending" if rising else "descending", "aria-sort")
    expect(page.evaluate("document.querySelectorAll('[aria-sort=ascending], [aria-sort=descending]').length"), 1, "sorted columns")
    page.evaluate("document.querySelector('[data-key=run] button').click()")
    expect(order(page), [run["run"] for run in found["runs"]], "order by run")


def filters(page, found):
    def typed(text):
        page.evaluate("(() => { const box = document.getElementById('find'); box.value = ''; box.focus(); })()")
        page.type(text)
        return order(page)

    trouble = "(() => { const said = document.getElementById('trouble'); return said.hidden ? '' : said.textContent; })()"
    shown = {int(row["run"]): row for row in table(page)}
    known = [run["run"] for run in found["runs"] if run["accuracy"] is not None]
    accuracy = {run: number(shown[run]["accuracy"]) for run in known}
    middle = sorted(accuracy.values())[len(known) // 2] if known else 50.0
    below = [run for run in known if accuracy[run] < middle]
    # Numbers mean what the table shows, with a per cent sign or without.
    for text in [f"accuracy<{middle:.2f}%", f"accuracy < {middle:.2f}", f"Accuracy<{middle:.2f} %"]:
        expect(typed(text), below, f"filter by {text}")
    expect(typed(f"accuracy<{middle:.2f} 0-2"), [run for run in below if run <= 2], "conditions are joined by and")
    expect(typed("1-2, 0"), [run["run"] for run in found["runs"] if run["run"] <= 2], "filter by index")
    expect(page.evaluate(trouble), "", "message")
    for flag in {flag["flag"] for run in found["runs"] for flag in run["flags"]}:
        carry = [run["run"] for run in found["runs"] if any(held["flag"].startswith(flag) for held in run["flags"])]
        expect(typed(flag), carry, f"filter by {flag}")
    expect(typed("gibberish accurcy<3"), [run["run"] for run in found["runs"]], "what is not understood hides nothing")
    holds("gibberish, accurcy<3" in page.evaluate(trouble), "what is not understood is not named")
    page.evaluate("(() => { const box = document.getElementById('find'); box.value = ''; box.dispatchEvent(new Event('input')); })()")
    page.click("document.getElementById('flagged')")
    expect(order(page), [run["run"] for run in found["runs"] if run["flags"]], "flagged only")
    page.click("document.getElementById('flagged')")
    expect(len(order(page)), len(found["runs"]), "all again")


def picked(page):
    return page.evaluate("(() => { const row = document.querySelector('[aria-current=true]'); return row && Number(row.dataset.run); })()")


def shown_in(page):
    """Figures that show something on top."""
    return page.evaluate("[...document.querySelectorAll('.figure')].filter((figure) => figure.querySelector('.top > *')).map((figure) => figure.id)")


def holding(page, run):
    """Figures in which something stands for a run."""
    return page.evaluate(f"[...document.querySelectorAll('.figure')].filter((figure) => figure.querySelector('[data-run~=\"{run}\"]:not(.heat)')).map((figure) => figure.id)")


def row(run):
    return f"document.querySelector('tr[data-run=\"{run}\"]')"


def picks(page, found):
    repeated = page.evaluate("Object.fromEntries([...document.querySelectorAll('tr[data-as]')].map((row) => [row.dataset.run, row.dataset.as]))")
    run = next(run["run"] for run in reversed(found["runs"]) if run["accuracy"] is not None and str(run["run"]) not in repeated)
    expected = holding(page, run)
    page.click(row(run) + ".cells[1]")
    page.point(1, 1)
    expect(picked(page), run, "picked run")
    expect(shown_in(page), expected, "figures that show the pick")
    holds(page.evaluate("document.querySelector('#chosen > .shown h3').textContent").startswith(f"Run {run}"), "the pick is not described")
    expect(page.evaluate("location.hash"), f"#run-{run}", "address")
    page.key("Escape")
    expect((picked(page), shown_in(page)), (None, []), "after Escape")
    # Hovering shows the same without picking.
    page.point(*page.place(row(run) + ".cells[1]"))
    expect((picked(page), shown_in(page)), (None, expected), "figures that show what the mouse is over")
    page.point(1, 1)
    expect(shown_in(page), [], "after the mouse has left")
    # A click on the mark of a run that stands alone in its figure, and again.
    points = page.evaluate("[...document.querySelectorAll('#runs .panels > div:first-child [data-tip]')].map((mark) => { const box = mark.getBoundingClientRect(); return [Number(mark.dataset.run), box.x, box.y]; })")
    if points:
        far = max(points, key=lambda point: min([1e9] + [abs(point[1] - other[1]) + abs(point[2] - other[2]) for other in points if other is not point]))
        place = f"document.querySelector('#runs .panels > div:first-child [data-run=\"{far[0]}\"]')"
        page.click(place)
        expect(picked(page), far[0], "run picked in a figure")
        page.point(*page.place(place))
        holds(page.evaluate("document.getElementById('tip').textContent").startswith(f"run {far[0]}: accuracy"), "the point says nothing")
        page.click(place)
        expect(picked(page), None, "run let go in a figure")
    # The keyboard alone: into the table, down, pick, on to the next run, let go.
    page.evaluate(row(found["runs"][0]["run"]) + ".focus()")
    if len(found["runs"]) > 1:
        page.key("ArrowDown")
    second = found["runs"][min(1, len(found["runs"]) - 1)]["run"]
    page.key("Enter")
    expect(picked(page), second, "run picked with the keyboard")
    if page.evaluate("Boolean(document.querySelector('.panels svg'))") and len(found["runs"]) > 1:
        page.evaluate("document.querySelector('.panels svg').focus()")
        page.key("ArrowLeft")
        expect(picked(page), found["runs"][0]["run"], "run before, from a figure")
    page.key("Escape")
    expect(picked(page), None, "after Escape")
    for copy, original in repeated.items():
        page.evaluate(f"{row(copy)}.click()")
        expect(shown_in(page), holding(page, original), "figures of a repeated run")
    page.evaluate("document.getElementById('clear').click()")
    expect(page.problems, [], "messages in the console")


def shows_pictures(page, found):
    """The examples on which a run stands alone are drawn, and are not blank."""
    for held in found["alone"]:
        if held["count"] == 0:
            continue
        page.evaluate(f"{row(held['run'])}.click()")
        spread = page.evaluate(
            "Promise.all([...document.querySelectorAll('#chosen > .shown img')].map(async (image) => {"
            " await image.decode(); const canvas = document.createElement('canvas');"
            " [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];"
            " const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);"
            " const bytes = context.getImageData(0, 0, canvas.width, canvas.height).data;"
            " return Math.max(...bytes.filter((_, i) => i % 4 === 0)) - Math.min(...bytes.filter((_, i) => i % 4 === 0)); }))"
        )
        expect(len(spread), min(16, len(held["examples"])), f"pictures of run {held['run']}")
        holds(all(range_ > 100 for range_ in spread), f"blank pictures of run {held['run']}: {spread}")
        page.evaluate("document.getElementById('clear').click()")


def no_text_over_text(page):
    """Labels of a figure keep apart; numbers inside the cells of a matrix are their own."""
    clashes = page.evaluate("""[...document.querySelectorAll('.panels svg')].flatMap((picture) => {
      const boxes = [...picture.querySelectorAll('text')].map((text) => [text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width > 0);
      const found = [];
      boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
        const across = Math.min(p.right, q.right) - Math.max(p.left, q.left), down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
        if (across > 1 && down > 3) found.push(`${a} / ${b}`);
      }));
      const frame = picture.getBoundingClientRect();
      for (const [text, box] of boxes) if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1) found.push(`cut: ${text}`);
      return found;
    })""")
    expect(clashes, [], "texts on texts")


def fits(page):
    """Nothing is wider than the screen, of a desk and of a phone, in both themes; flags are seen without scrolling; and the
    button changes the theme."""
    for width in [1280, 400, 320]:
        page.size(width, 860, phone=width < 500)
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        holds(over <= 0, f"{over} pixels too wide on a screen of {width}")
        right = page.evaluate("document.querySelector('[data-key=flags]').getBoundingClientRect().right")
        holds(right <= width, f"flags end at {right} on a screen of {width}")
        no_text_over_text(page)
    page.size(1280, 900)
    paper = "getComputedStyle(document.body).backgroundColor"
    colours = []
    for scheme in ["light", "dark"]:
        page.scheme(scheme)
        colours.append(page.evaluate(paper))
    expect(colours, ["rgb(255, 255, 255)", "rgb(20, 23, 27)"], "paper in both themes")
    page.evaluate("document.getElementById('theme').click()")
    expect(page.evaluate(paper), colours[0], "paper after a click on the theme")
    page.evaluate("document.getElementById('theme').click(); document.getElementById('theme').click()")
    page.scheme("light")


def prints(page):
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.scheme("print")
    expect(page.evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)", "paper of a printer")
    expect(page.evaluate("getComputedStyle(document.querySelector('.tools')).display"), "none", "tools on paper")
    page.scheme("light")
    page.evaluate("delete document.documentElement.dataset.theme")
    holds(page.pdf().startswith(b"%PDF"), "nothing is printed")


def says_something_without_a_script(page, path):
    page.call("Emulation.setScriptExecutionDisabled", value=True)
    page.open(path)
    tree = page.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    drawn = page.call("DOM.querySelectorAll", nodeId=tree, selector=".figure")["nodeIds"]
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    files = len(list(path.parent.glob("*.svg")))
    expect(len(drawn), files, "figures without a script")


# ---- the cases


def whole(page, path, found):
    opens(page, path)
    shows_the_json(page, found)
    sorts(page, found)
    filters(page, found)
    picks(page, found)
    fits(page)
    prints(page)
    says_something_without_a_script(page, path)


def a_sweep(page, program, folder):
    sweep = folder / "digits"
    settings = ["train.epochs=3", "record.checkpoints=[0, 1]", "record.kernel.probes=20"]
    command = [program, "run", ROOT / "configs/digits.toml", "--out", sweep, "--quiet", "--runs", "5"]
    subprocess.run([*command, *(word for setting in settings for word in ("--set", setting))], check=True, capture_output=True, cwd=ROOT)
    path = sweep / "report/report.html"
    found = json.loads(subprocess.run([program, "analyze", sweep, "--json"], check=True, capture_output=True, text=True).stdout)
    whole(page, path, found)
    opens(page, path)
    shows_pictures(page, found)
    return path


def a_file(page, program, folder):
    """An atypical run, a repeated one, a diverged one, and a name that must stay text."""
    runs, labels = made_up(9, 400, 10, 1)
    broken = random.Random(2)
    runs[3] = [[broken.gauss(0, 1) for _ in row] for row in runs[3]]
    runs[5] = runs[2]
    runs[7][11][4] = float("nan")
    source = folder / "<img src=x onerror=alert(1)> & \"long\" 'name' ```.npz"
    npz(source, runs, labels)
    path, found = analyse(program, source, folder / "file", "--diverged")
    flags = {run["run"]: [flag["flag"] for flag in run["flags"]] for run in found["runs"]}
    holds("alpha" in flags[3] and flags[5] == ["duplicate"] and flags[7] == ["diverged"], f"flags: {flags}")
    whole(page, path, found)
    opens(page, path)
    expect(page.evaluate("document.querySelector('h1').textContent"), source.stem, "name")
    expect(page.evaluate("document.images.length"), 0, "images that a name smuggled in")
    page.evaluate(f"{row(7)}.click()")
    expect(shown_in(page), [], "figures that show a diverged run")
    return path


def few_classes_and_few_runs(page, program, folder):
    paths = []
    for count, classes in [(1, 10), (2, 2), (12, 2)]:
        runs, labels = made_up(count, 300, classes, count)
        source = folder / f"{count}-of-{classes}.npz"
        npz(source, runs, labels)
        path, found = analyse(program, source, folder / source.stem)
        whole(page, path, found)
        paths.append(path)
    return paths[-1]


def nothing_to_judge(page, program, folder):
    runs, labels = made_up(2, 20, 3, 5)
    for run in runs:
        run[0][0] = float("inf")
    source = folder / "nothing.npz"
    npz(source, runs, labels)
    path, found = analyse(program, source, folder / "nothing", "--diverged")
    opens(page, path)
    shows_the_json(page, found)
    page.click(row(1) + ".cells[1]")
    expect(picked(page), 1, "picked run")
    expect(shown_in(page), [], "figures")
    expect(page.problems, [], "messages in the console")
    return path


def a_thousand_runs(page, program, folder):
    runs, labels = made_up(1000, 400, 5, 3)
    draw = random.Random(4).gauss
    for index in range(40, 1000, 41):
        runs[index] = [[value * 0.4 + draw(0, 1.2) for value in values] for values in runs[index]]
    source = folder / "thousand.npz"
    npz(source, runs, labels)
    path, found = analyse(program, source, folder / "thousand", "--bootstraps", "10")
    size = path.stat().st_size
    holds(size < LIMIT, f"the page has {size} bytes, more than {LIMIT}")
    start = time.monotonic()
    opens(page, path)
    took = [time.monotonic() - start]
    for script in ["document.querySelector('[data-key=churn] button').click()", f"{row(500)}.click()"]:
        start = time.monotonic()
        page.evaluate(script)
        page.frame()
        took.append(time.monotonic() - start)
    print(f"  1,000 runs: {size / 1e6:.2f} MB; opens in {took[0]:.2f} s, sorts in {took[1]:.2f} s, picks in {took[2]:.2f} s")
    top = "document.querySelector('.scroll').scrollTop"
    page.evaluate(f"{top} = 1e6")
    holds(page.evaluate(f"{top} > 5000"), "the table does not scroll")
    whole(page, path, found)
    return path


def a_comparison(page, program, folder):
    """Figures of a report without a table of runs are alive too."""
    with tarfile.open(ROOT / "tests/fixtures/sweeps-0.1.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    subprocess.run([program, "compare", folder / "a", folder / "b", "--out", folder / "compared"], capture_output=True)
    path = next((folder / "compared").glob("*.html"))
    opens(page, path)
    dot = "document.querySelector('#sides .panels [data-run=\"baseline-0\"]')"
    page.click(dot)
    page.point(1, 1)
    held = page.evaluate("document.querySelectorAll('#sides .panels svg > [data-run=\"baseline-0\"]').length")
    expect(page.evaluate("document.querySelectorAll('#sides .top > .picked').length"), held, "marks of the pick")
    page.point(*page.place(dot))
    holds(page.evaluate("document.getElementById('tip').textContent").startswith("baseline run 0: "), "the dot says nothing")
    page.key("Escape")
    for width in [1280, 400]:
        page.size(width, 860, phone=width < 500)
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        holds(over <= 0, f"{over} pixels too wide on a screen of {width}")
        no_text_over_text(page)
    expect(page.problems, [], "messages in the console")
    return path


CASES = [a_sweep, a_file, few_classes_and_few_runs, nothing_to_judge, a_thousand_runs, a_comparison]


def pictures(page, path, folder):
    """Both themes, a phone and paper, with a run picked, for people to look at."""
    folder.mkdir(parents=True, exist_ok=True)
    name = path.parent.name if path.parent.name != "report" else path.parent.parent.name
    for scheme, width in [("light", 1280), ("dark", 1280), ("light", 400), ("dark", 400)]:
        page.size(width, 900, phone=width < 500)
        page.scheme(scheme)
        page.open(path, "#run-3")
        page.frame()
        page.evaluate("document.getElementById('bar').style.position = 'static'")
        page.picture(folder / f"{name}-{scheme}-{width}.png")
    page.size(1280, 900)
    page.scheme("light")
    (folder / f"{name}.pdf").write_bytes(page.pdf())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", type=pathlib.Path, default=ROOT / "target/release/harness")
    parser.add_argument("--pictures", type=pathlib.Path, help="keep screenshots and PDFs of every page here")
    args = parser.parse_args()
    found = browser.find()
    if found is None:
        print("page: skipped, no browser found (install chromium, or set CHROME)")
        return 0
    program = args.program.resolve()
    if not program.is_file():
        print(f"page: {program} is not there: build it first (cargo build --release)", file=sys.stderr)
        return 2
    failed = 0
    with tempfile.TemporaryDirectory() as folder, Browser(found) as page:
        for case in CASES:
            name = case.__name__.replace("_", " ")
            try:
                path = case(page, program, pathlib.Path(folder))
                print(f"ok   {name}", flush=True)
                if args.pictures:
                    pictures(page, path, args.pictures)
            except Failed as problem:
                failed += 1
                print(f"FAIL {name}: {problem}", flush=True)
    print(f"{len(CASES) - failed} passed, {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
