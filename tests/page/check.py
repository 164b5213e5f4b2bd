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
import struct
import subprocess
import sys
import tempfile
import time
import zipfile

# The working tree stays as it is.
sys.dont_write_bytecode = True
import browser
from browser import Browser

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLUMNS = ["accuracy", "nll", "ece", "churn", "alpha", "alpha_relative", "alpha_hat", "ks", "wasserstein"]
# Columns whose first click shows small values first.
RISING = ["run", "accuracy"]
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
    expect(page.requests, [path.absolute().as_uri()], "requests")
    expect(page.problems, [], "messages in the console")


def percent(share):
    return f"{share * 100:.2f} %"


def shows_the_json(page, found):
    """The script's numbers are the JSON's, and so are the texts of the table."""
    data = json.loads(page.evaluate("document.getElementById('data').textContent"))
    expect(data["runs"], found["runs"], "runs of the page")
    cells = page.evaluate("[...document.querySelectorAll('.runs tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
    expect(len(cells), len(found["runs"]), "rows")
    for row, run in zip(cells, found["runs"]):
        expect(row[0], str(run["run"]), "index")
        for key, place in [("accuracy", 1), ("ece", 3), ("churn", 4), ("alpha", 5), ("alpha_relative", 6)]:
            expect(row[place], "–" if run[key] is None else percent(run[key]), f"{key} of run {run['run']}")
        expect(row[8], "–" if run["ks"] is None else f"{run['ks']:.3f}", f"KS of run {run['run']}")
        expect(page_flags(row[11], run), True, f"flags of run {run['run']}")
    totals = page.evaluate("[...document.querySelectorAll('.runs tfoot tr')].map((row) => [...row.cells].map((cell) => cell.textContent))")
    summary = found["summary"]
    if totals:
        expect(totals[0][1], percent(summary["accuracy"]["mean"]), "mean accuracy")
        expect(totals[1][1], percent(summary["accuracy"]["std"]), "standard deviation of accuracy")
        expect(totals[0][4], percent(summary["churn"]["mean"]), "mean churn")
    plots = {plot["id"]: plot for plot in data["plots"]}
    if "margins" in found:
        exact = {curve["run"]: dict(zip(found["margins"]["x"], curve["y"])) for curve in found["margins"]["runs"]}
        drawn = plots["margins"]
        expect(sorted(run for run, _ in drawn["runs"]), sorted(exact), "curves of margins")
        places = sorted(found["margins"]["x"])
        for run, values in drawn["runs"]:
            for x, y in zip(drawn["at"], values):
                place = min(places, key=lambda held: abs(held - x))
                holds(close(y, exact[run][place]), f"margins of run {run} at {x}: {y} and {exact[run][place]}")
    if "churn-matrix" in plots:
        pairs = {(pair["a"], pair["b"]): pair["churn"] for pair in found["pairs"]}
        drawn = plots["churn-matrix"]
        for row, a in enumerate(drawn["runs"]):
            for value, b in zip(drawn["values"][row], drawn["runs"][row + 1:]):
                holds(close(value, pairs[a, b]), f"churn of {a} and {b}: {value} and {pairs[a, b]}")


def page_flags(text, run):
    return text == "".join(flag["flag"] for flag in run["flags"])


def close(shown, exact):
    """Whether a number is another one to four significant digits."""
    return abs(shown - exact) <= 0.000_51 * abs(exact) + 1e-12


def order(page, visible=True):
    return page.evaluate(f"[...document.querySelectorAll('.runs tbody tr')].filter((row) => !{str(visible).lower()} || !row.hidden).map((row) => Number(row.dataset.run))")


def sorts(page, found):
    alone = {held["run"]: held["count"] for held in found.get("alone", [])}
    value = {key: (lambda run, key=key: run[key]) for key in ["run", *COLUMNS]}
    value["flags"] = lambda run: len(run["flags"])
    value["alone"] = lambda run: alone.get(run["run"])
    for key in [*COLUMNS, "alone", "flags", "run"]:
        head = f"document.querySelector('[data-key={key}]')"
        for again in [False, True]:
            rising = (key in RISING) != again
            page.evaluate(f"{head}.click()")
            known = [run for run in found["runs"] if value[key](run) is not None]
            rest = [run for run in found["runs"] if value[key](run) is None]
            known.sort(key=lambda run: (value[key](run) * (1 if rising else -1), run["run"]))
            expect(order(page), [run["run"] for run in known + rest], f"order by {key}")
            expect(page.evaluate(f"{head}.parentElement.ariaSort"), "ascending" if rising else "descending", "aria-sort")
    expect(page.evaluate("document.querySelectorAll('[aria-sort=ascending], [aria-sort=descending]').length"), 1, "sorted columns")
    page.evaluate("document.querySelector('[data-key=run]').click()")
    expect(order(page), [run["run"] for run in found["runs"]], "order by run")


def filters(page, found):
    def typed(text):
        page.evaluate("(() => { const box = document.getElementById('find'); box.value = ''; box.focus(); })()")
        page.type(text)
        return order(page)

    known = [run for run in found["runs"] if run["accuracy"] is not None]
    middle = sorted(run["accuracy"] for run in known)[len(known) // 2]
    expect(typed(f"accuracy<{middle * 100:.2f}%"), [run["run"] for run in known if run["accuracy"] < round(middle, 4)], "filter by accuracy")
    expect(typed("1-2, 0"), [run["run"] for run in found["runs"] if run["run"] <= 2], "filter by index")
    for flag in {flag["flag"] for run in found["runs"] for flag in run["flags"]}:
        carry = [run["run"] for run in found["runs"] if any(held["flag"] == flag for held in run["flags"])]
        expect(typed(flag), carry, f"filter by {flag}")
    expect(typed("nothing"), [], "filter by nothing")
    page.evaluate("(() => { const box = document.getElementById('find'); box.value = ''; box.dispatchEvent(new Event('input')); })()")
    page.click("document.getElementById('flagged')")
    expect(order(page), [run["run"] for run in found["runs"] if run["flags"]], "flagged only")
    page.click("document.getElementById('flagged')")
    expect(len(order(page)), len(found["runs"]), "all again")


def picked(page):
    return page.evaluate("(() => { const row = document.querySelector('[aria-current=true]'); return row && Number(row.dataset.run); })()")


def shown_in(page):
    """Plots that show a run on top, and which."""
    return page.evaluate("Object.fromEntries([...document.querySelectorAll('.plots figure')].map((figure) => [figure.id, [...new Set([...figure.querySelectorAll('.top [data-run]')].map((node) => Number(node.dataset.run)))]]).filter(([, runs]) => runs.length))")


def row(run):
    return f"document.querySelector('tr[data-run=\"{run}\"]')"


def picks(page, found):
    data = json.loads(page.evaluate("document.getElementById('data').textContent"))
    members = {}
    for plot in data["plots"]:
        listed = plot["runs"] if plot["kind"] != "scatter" else plot["points"]
        members["plot-" + plot["id"]] = listed if plot["kind"] == "matrix" else [held[0] for held in listed]
    run = next(run["run"] for run in reversed(found["runs"]) if run["accuracy"] is not None and str(run["run"]) not in data["originals"])
    expected = {plot: [run] for plot, runs in members.items() if run in runs}
    page.click(row(run) + ".cells[1]")
    page.point(1, 1)
    expect(picked(page), run, "picked run")
    expect(shown_in(page), expected, "plots that show the pick")
    holds(page.evaluate("document.querySelector('#chosen h3').textContent").startswith(f"Run {run}"), "the pick is not described")
    expect(page.evaluate("location.hash"), f"#run-{run}", "address")
    page.key("Escape")
    expect((picked(page), shown_in(page)), (None, {}), "after Escape")
    # Hovering shows the same without picking.
    page.point(*page.place(row(run) + ".cells[1]"))
    expect((picked(page), shown_in(page)), (None, expected), "plots that show what the mouse is over")
    page.point(1, 1)
    expect(shown_in(page), {}, "after the mouse has left")
    # A click on a point of a plot, and again.
    if "plot-levels" in members:
        points = next(plot for plot in data["plots"] if plot["id"] == "levels")["points"]
        far = max(points, key=lambda point: min([1.0] + [abs(point[1] - other[1]) for other in points if other is not point]))
        place = f"document.querySelectorAll('#plot-levels svg g:not(.top) path')[{drawing_order(data, points).index(far[0])}]"
        page.click(place)
        expect(picked(page), far[0], "run picked in a plot")
        page.click(place)
        expect(picked(page), None, "run let go in a plot")
    # The keyboard alone: into the table, down, pick, on to the next run, let go.
    page.evaluate(row(found["runs"][0]["run"]) + ".focus()")
    if len(found["runs"]) > 1:
        page.key("ArrowDown")
    second = found["runs"][min(1, len(found["runs"]) - 1)]["run"]
    page.key("Enter")
    expect(picked(page), second, "run picked with the keyboard")
    page.evaluate("document.querySelector('.holder svg')?.focus()")
    if members and len(found["runs"]) > 1:
        page.key("ArrowLeft")
        expect(picked(page), found["runs"][0]["run"], "run before, from a plot")
    page.key("Escape")
    expect(picked(page), None, "after Escape")
    for repeated, original in data["originals"].items():
        page.evaluate(f"{row(repeated)}.click()")
        expect(set(shown_in(page)["plot-levels"]), {original}, "place of a repeated run")
    page.evaluate("document.getElementById('clear').click()")
    expect(page.problems, [], "messages in the console")


def drawing_order(data, points):
    """Runs in the order in which a scatter plot draws them: flagged ones last."""
    return [run for run, *_ in sorted(points, key=lambda point: str(point[0]) in data["looks"])]


def shows_pictures(page, found):
    """The examples on which a run stands alone are drawn, and are not blank."""
    for held in found["alone"]:
        if held["count"] == 0:
            continue
        page.evaluate(f"{row(held['run'])}.click()")
        spread = page.evaluate(
            "[...document.querySelectorAll('#chosen canvas')].map((canvas) => {"
            " const bytes = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
            " return Math.max(...bytes.filter((_, i) => i % 4 === 0)) - Math.min(...bytes.filter((_, i) => i % 4 === 0)); })"
        )
        expect(len(spread), min(16, len(held["examples"])), f"pictures of run {held['run']}")
        holds(all(range_ > 100 for range_ in spread), f"blank pictures of run {held['run']}: {spread}")
        page.evaluate("document.getElementById('clear').click()")


def fits(page):
    """Nothing is wider than the screen, of a desk and of a phone, in both themes; and the button changes the theme."""
    for width in [1280, 400, 320]:
        page.size(width, 860, phone=width < 500)
        over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        holds(over <= 0, f"{over} pixels too wide on a screen of {width}")
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
    drawn = page.call("DOM.querySelectorAll", nodeId=tree, selector=".still svg")["nodeIds"]
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
    expect(shown_in(page), {}, "plots that show a diverged run")
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
    for script in ["document.querySelector('[data-key=churn]').click()", f"{row(500)}.click()"]:
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


CASES = [a_sweep, a_file, few_classes_and_few_runs, nothing_to_judge, a_thousand_runs]


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
