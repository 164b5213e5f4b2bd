"""Counts how often `harness lineage` is right on the networks of train.py: python check.py HARNESS NETS"""
import json, os, subprocess, sys
import numpy as np


def lineage(harness, folder, *names, siblings=()):
    files = [os.path.join(folder, n + ".safetensors") for n in names]
    command = [harness, "lineage", *files, "--json"]
    if siblings:
        command += ["--siblings", *[os.path.join(folder, n + ".safetensors") for n in siblings]]
    done = subprocess.run(command, capture_output=True, text=True)
    if not done.stdout:
        raise SystemExit(f"{command}: {done.stderr}")
    return json.loads(done.stdout)


def main(harness, nets):
    failed = []
    def must(what, right):
        if not right:
            failed.append(what)
    families = [f for f in ("mlp", "cnn", "resnet") if os.path.exists(os.path.join(nets, f, "kinds.json"))]
    alarms, pairs_in_all = np.zeros(2), 0
    for family in families:
        folder = os.path.join(nets, family)
        kinds = json.load(open(os.path.join(folder, "kinds.json")))
        founders = [n for n, k in kinds.items() if k["kind"] == "founder" and n[0] == "f"]
        found = lineage(harness, folder, *founders)
        p = {(q["a"], q["b"]): q["p_value"] for q in found["pairs"]}
        values = np.array(list(p.values()))
        low = np.array([(values < 0.05).sum(), (values < 0.01).sum()])
        alarms, pairs_in_all = alarms + low, pairs_in_all + len(values)
        # Pairs share networks: the interval is a bootstrap over networks.
        index = {n: i for i, n in enumerate(founders)}
        square = np.zeros((len(founders),) * 2)
        for (a, b), value in p.items():
            square[index[a], index[b]] = square[index[b], index[a]] = value < 0.05
        rng, shares = np.random.default_rng(0), []
        for _ in range(2000):
            chosen = rng.integers(len(founders), size=len(founders))
            i, j = np.triu_indices(len(founders), 1)
            keep = chosen[i] != chosen[j]
            shares.append(square[chosen[i], chosen[j]][keep].mean())
        agreement = [q["permuted"]["agreement"] for q in found["pairs"] if q["permuted"]]
        print(f"{family}: {len(values)} independent pairs of {len(founders)} networks: {low[0]} with p < 0.05 "
              f"({100 * low[0] / len(values):.1f} %, bootstrap over networks {100 * np.quantile(shares, .025):.1f} to {100 * np.quantile(shares, .975):.1f} %), "
              f"{low[1]} with p < 0.01; smallest {values.min():.4f}; agreement of units at most {max(agreement):.2f}")
        by_kind = {}
        for name, kind in kinds.items():
            if kind["parent"] is None:
                continue
            label = kind["kind"]
            siblings = ()
            if label == "permuted and tuned":
                siblings = [f for f in founders if f != kind["parent"]][:13]
            one = lineage(harness, folder, kind["parent"], name, siblings=siblings)["pairs"][0]
            by_kind.setdefault(label, []).append((one["p_value"], one["verdict"], one["parent"] == kind["parent"], one["shared_init"]))
        right = total = 0
        for label, rows in by_kind.items():
            p_values = [r[0] for r in rows]
            directions = sum(r[2] for r in rows)
            shared = sum(r[3] is True for r in rows)
            print(f"  {label:22} {len(rows):3} pairs: largest p {max(p_values):.1e}, related {sum(r[1] == 'related' for r in rows)}, "
                  f"parent right {directions}, called same initialisation {shared}")
            must(f"{family}, {label}: p below 0.01", max(p_values) < 0.01 or (label == "permuted and tuned" and all(r[1] == "related" for r in rows)))
            if label != "same initialisation":
                right, total = right + directions, total + len(rows)
        print(f"  direction right in {right} of {total} ({100 * right / total:.0f} %)")
        must(f"{family}: directions in 90 %", right >= 0.9 * total)
        # Grandchild and grandparent.
        grand = [n for n, k in kinds.items() if k["kind"] == "grandchild"]
        if grand:
            p_values = [lineage(harness, folder, kinds[kinds[n]["parent"]]["parent"], n)["pairs"][0]["p_value"] for n in grand]
            print(f"  grandchild and grandparent: largest p {max(p_values):.1e}")
            must(f"{family}: grandparents", max(p_values) < 0.01)
        for kind in ("tree", "shared"):
            trees, clean, wrong, edges = 0, 0, 0, 0
            while os.path.exists(os.path.join(folder, f"{kind}{trees}.json")):
                tree = json.load(open(os.path.join(folder, f"{kind}{trees}.json")))
                found = lineage(harness, folder, *tree)
                parents = {e["child"]: e["parent"] for e in found["edges"]}
                bad = [(n, tree[n], parents.get(n)) for n in tree if parents.get(n) != tree[n]]
                clean, wrong, edges, trees = clean + (not bad), wrong + len(bad), edges + sum(v is not None for v in tree.values()), trees + 1
                for name, truth, said in bad:
                    print(f"  {kind} {trees - 1}: {name} ({kinds[name]['kind']}) is {truth}'s, said {said}'s")
            if trees:
                print(f"  {kind}: without a wrong edge {clean} of {trees}; {wrong} wrong of {edges} edges", flush=True)
                must(f"{family}: 9 of 10 of {kind}", clean >= 0.9 * trees)
    print(f"in all {pairs_in_all} independent pairs: {100 * alarms[0] / pairs_in_all:.1f} % with p < 0.05, {100 * alarms[1] / pairs_in_all:.1f} % with p < 0.01")
    must("false alarms", alarms[0] <= 0.05 * pairs_in_all and alarms[1] <= 0.01 * pairs_in_all)
    for what in failed:
        print("NOT MET:", what)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
