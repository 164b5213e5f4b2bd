#!/usr/bin/env python3
"""Writes what stands in the pages of experiments/ from the files result.json: the table of all claims into README.md, the
numbers of each into its own README.md. `--check` changes nothing and fails where a page differs from the files."""

import json
import pathlib
import sys
from html import escape

HERE = pathlib.Path(__file__).resolve().parent
START, END = "<!-- made by experiments/index.py from result.json -->", "<!-- end -->"
WORDS = {"reproduced": "reproduced", "partly": "partly", "not": "not reproduced", "undecided": "undecided"}


def cell(words):
    return str(words).replace("|", "\\|").replace("\n", " ")


def table(results, missing):
    lines = ["| claim | theirs | ours | verdict | minutes |", "|---|---|---|---|---:|"]
    for result in results:
        name = result["name"]
        lines.append(f"| [{name}]({name}/README.md): {cell(result['claim'])} | {cell(result['theirs'])} | {cell(result['ours'])} | **{WORDS[result['verdict']]}** | {result['minutes']:g} |")
    lines += [f"| [{name}]({name}/README.md) | | has not been run in full yet | | |" for name in missing]
    lines.append(f"\n{len(results)} experiments, {sum(r['minutes'] for r in results):.0f} minutes in all.")
    return "\n".join(lines)


def page(result, folder):
    lines = [f"**{WORDS[result['verdict']].capitalize()}.** {result['why']}", "", f"**What to do differently:** {result['advice']}", ""]
    if (folder / "figure-narrow.svg").is_file():
        narrow = '<source media="(max-width: 700px)" srcset="figure-narrow.svg">'
        lines += [f'<picture>{narrow}<img src="figure.svg" alt="{escape(result["claim"])}"></picture>', ""]
    else:
        lines += [f"![{cell(result['claim'])}](figure.svg)", ""]
    lines += ["| | theirs | ours |", "|---|---|---|"]
    lines += [f"| {cell(row['what'])} | {cell(row['theirs'])} | {cell(row['ours'])} |" for row in result["table"]]
    lines += ["", f"Intervals are 95 %. {result['minutes']:g} minutes (training by the runs' own records, on a machine with other work) on {result['machine']}; harness {result['harness']}."]
    return "\n".join(lines)


def put(path, made, check):
    """Puts text between the marks of a page; whether the page already had it."""
    words = path.read_text()
    before, mark, rest = words.partition(START)
    if not mark or END not in rest:
        sys.exit(f"{path}: the marks `{START}` and `{END}` are missing")
    new = f"{before}{START}\n\n{made}\n\n{END}{rest.partition(END)[2]}"
    if not check and new != words:
        path.write_text(new)
    return new == words


def main():
    check = sys.argv[1:] == ["--check"]
    folders = sorted(script.parent for script in HERE.glob("*/claim.py"))
    results, missing, wrong = [], [], []
    for folder in folders:
        if not (folder / "result.json").is_file():
            missing.append(folder.name)
            continue
        result = json.loads((folder / "result.json").read_text())
        results.append(result)
        if not put(folder / "README.md", page(result, folder), check):
            wrong.append(f"{folder.name}/README.md")
    if not put(HERE / "README.md", table(results, missing), check):
        wrong.append("README.md")
    if check and wrong:
        sys.exit("these pages differ from result.json (run experiments/index.py): " + ", ".join(wrong))


main()
