"""How often `harness microscope` is wrong, and what it finds: python check.py HARNESS EMBEDDINGS [HALVES [FIRST [TRIALS [DRAWS]]]]

EMBEDDINGS is what embed.py wrote; other halves are drawn from another FIRST. False alarms on random halves of one set (half of them with other sizes), the bound on
mixtures with a known share, and the strength of an alteration that is found beside a t-test per coordinate (Bonferroni) and
a logistic classifier on half of the samples (binomial test)."""
import json, os, subprocess, sys, tempfile
import numpy as np
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def microscope(harness, folder, a, b, *more):
    paths = [os.path.join(folder, n) for n in ("a.npy", "b.npy")]
    np.save(paths[0], a); np.save(paths[1], b)
    done = subprocess.run([harness, "microscope", *paths, "--json", *more], capture_output=True, text=True)
    if not done.stdout:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def t_test(a, b):
    p = stats.ttest_ind(a, b, equal_var=False).pvalue
    p = p[np.isfinite(p)]
    return min(1.0, p.min() * len(p))


def two_sample(a, b, rng):
    x, y = np.concatenate([a, b]), np.r_[np.zeros(len(a)), np.ones(len(b))]
    order = rng.permutation(len(x)); half = len(x) // 2
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(x[order[:half]], y[order[:half]])
    right = (model.predict(x[order[half:]]) == y[order[half:]]).sum()
    return stats.binomtest(int(right), len(x) - half, 0.5, alternative="greater").pvalue


def main(harness, folder, halves=500, first=0, trials=50, repeats=20):
    failed = []
    plain = np.load(os.path.join(folder, "plain.npy"))
    with tempfile.TemporaryDirectory() as work:
        rng = np.random.default_rng(1 + first)
        low, exceeded, e_large = np.zeros(2, int), 0, 0
        for trial in range(first, first + halves):
            n = 60 if trial % 2 else 150
            rows = rng.permutation(len(plain))[: 2 * n]
            found = microscope(harness, work, plain[rows[:n]], plain[rows[n:]], "--permutations", "199", "--seed", str(trial))
            low += [found["p_value"] < 0.05, found["p_value"] < 0.01]
            exceeded += found["differs_at_least"] > 0
            e_large += found["classifier"]["e_value"] >= 20
        print(f"{halves} random halves: {low[0]} with p < 0.05 ({100 * low[0] / max(halves, 1):.1f} %), {low[1]} with p < 0.01, "
              f"{exceeded} with a share above 0, {e_large} with an e-value of 20 or more", flush=True)
        if low[0] > 0.05 * halves + 1.645 * np.sqrt(0.0475 * halves) or exceeded > 0.05 * halves + 2: failed.append("false alarms")
        # A share of the second set is altered: strongly, or so much that every altered sample can be told.
        far = plain + 4 * plain.std(0)
        strong = np.load(os.path.join(folder, "noise_0.2.npy"))
        for n in (200, 1000):
            for name, altered in (("noise 0.2", strong), ("told apart", far)):
                for share in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5):
                    bounds = []
                    for trial in range(trials):
                        rows = rng.permutation(len(plain))[: 2 * n]
                        b = plain[rows[n:]].copy()
                        changed = rng.random(n) < share
                        b[changed] = altered[rows[n:]][changed]
                        found = microscope(harness, work, plain[rows[:n]], b, "--permutations", "19", "--seed", str(trial))
                        bounds.append(found["differs_at_least"])
                    over = int((np.array(bounds) > share).sum())
                    print(f"{n} a side, a share of {share:.1f} altered ({name}): bound above it in {over} of {trials}, mean bound {np.mean(bounds):.3f}, "
                          f"above 0 in {int((np.array(bounds) > 0).sum())}", flush=True)
                    if over > stats.binom.ppf(0.99, trials, 0.05): failed.append(f"bound at {share} ({name}, {n})")
        draws = {200: repeats, 1000: repeats, 5000: max(1, repeats // 6)}
        print(f"median p of {repeats} draws ({draws[5000]} at 5,000), and in how many p < 0.05: microscope, t-test per coordinate, classifier two-sample")
        names = sorted(n[:-4] for n in os.listdir(folder) if n.endswith(".npy") and n[:-4].rsplit("_", 1)[-1].replace(".", "").isdigit())
        wins = {"microscope": 0, "t-test": 0, "classifier": 0}
        for n in (200, 1000, 5000):
            for name in names:
                changed = np.load(os.path.join(folder, name + ".npy"))
                p = []
                for trial in range(draws[n]):
                    rows = np.random.default_rng(trial).permutation(len(plain))[: 2 * n]
                    a, b = plain[rows[:n]], changed[rows[n:]]
                    found = microscope(harness, work, a, b, "--permutations", "499")
                    p.append([found["p_value"], t_test(a, b), two_sample(a, b, np.random.default_rng(trial)), found["differs_at_least"]])
                p = np.array(p)
                hits = (p[:, :3] < 0.05).sum(0)
                for who, count in zip(wins, hits):
                    wins[who] += int(count)
                p = np.median(p, 0)
                print(f"  n = {n:5} {name:12} p = {p[0]:.3f}  {p[1]:.3f}  {p[2]:.3f}   found {hits[0]:2} {hits[1]:2} {hits[2]:2}   differs at least {p[3]:.3f}", flush=True)
        print("found at p < 0.05, of", sum(draws.values()) * len(names), "draws:", wins)
        if wins["microscope"] < max(wins.values()): failed.append("another test finds more")
    for what in failed:
        print("NOT MET:", what)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:7])))
