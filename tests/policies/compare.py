# SPDX-License-Identifier: MIT
"""compare.py DRIVER: the models beside the real code, on synthetic traces at
several capacities, with the parameters' defaults and with others; half of the
runs also forget, take victims ahead and let them come back. Speaks TAP."""

import os
import random
import subprocess
import sys

from models import KEPT, MISS, MODELS, SOFT

OPERATIONS = 2000
CAPACITIES = (1, 2, 3, 10, 100)

OTHER_PARAMS = {
    "lru": [{"active": 0}, {"active": 80}],
    "2q": [{"in": 50, "out": 0}, {"in": 10, "out": 200}],
    "s3fifo": [{"small": 25, "ghosts": 0}, {"promote": 2}],
    "clock2q+": [{"small": 30, "ghosts": 0, "window": 0}, {"small": 40, "window": 100}],
    "lirs": [{"hir": 20, "ghosts": 0}, {"hir": 10, "ghosts": 50}],
    "mru": [{"fresh": 0}, {"fresh": 50}],
    "random": [{"seed": 99}],
    "hyperbolic": [{"sample": 1}, {"sample": 64, "seed": 7}],
}


def zipf(rng, c):
    units = 6 * c
    weights = [1 / (i + 1) for i in range(units)]
    return rng.choices(range(units), weights, k=OPERATIONS)


def loop(rng, c):
    units = c + 1 + rng.randrange(c)
    return [i % units for i in range(OPERATIONS)]


def scan_and_hot(rng, c):
    hot = max(1, c // 2)
    return [rng.randrange(hot) if rng.random() < 0.5 else hot + i % (8 * c)
            for i in range(OPERATIONS)]


def uniform(rng, c):
    return [rng.randrange(2 * c) for _ in range(OPERATIONS)]


def sequential_with_reuse(rng, c):
    trace, at = [], 0
    while len(trace) < OPERATIONS:
        at += 1
        trace.append(at)
        if rng.random() < 0.4:
            back = rng.choice((1, 2, max(1, c - 1), c, c + 1, 2 * c))
            trace.append(max(0, at - back))
    return trace[:OPERATIONS]


TRACES = (zipf, loop, scan_and_hot, uniform, sequential_with_reuse)


def operations(rng, trace, mixed):
    """Lines for the driver; mixed: with all that a running program adds."""
    for unit in trace:
        if mixed and rng.random() < 0.15:
            what = rng.choice("ffvssk")
            yield "f %d" % rng.choice(trace) if what == "f" else what
        yield "a %d" % unit


class Caller:
    """Answers each operation as the driver does, by a model."""

    def __init__(self, model, c):
        self.model, self.c, self.inside = model, c, set()

    def take(self):
        unit = self.model.victim()
        if unit is None:
            assert not self.inside, "the model lost something"
        else:
            self.inside.remove(unit)
        return unit

    def put(self, unit, why):
        self.model.insert(unit, why)
        self.inside.add(unit)

    def access(self, unit):
        if unit in self.inside:
            self.model.hit(unit)
            return "hit"
        victim = self.take() if len(self.inside) >= self.c else None
        self.put(unit, MISS)
        return "miss" if victim is None else "miss %d" % victim

    def answer(self, line):
        what, _, unit = line.partition(" ")
        if what == "a":
            return self.access(int(unit))
        if what == "f":
            self.model.forget(int(unit))
            self.inside.discard(int(unit))
            return "forget"
        unit = self.take()
        if unit is None:
            return "none"
        if what in "sk":
            self.put(unit, SOFT if what == "s" else KEPT)
        return str(unit)


def run(driver, name, c, params, lines):
    """None, or in what the two differ."""
    args = [driver, name, str(c)] + ["%s=%d" % p for p in params.items()]
    real = subprocess.run(args, input="\n".join(lines) + "\n", text=True,
                          capture_output=True)
    if real.returncode:
        return real.stderr.strip() or "status %d" % real.returncode
    got = real.stdout.split("\n")
    caller = Caller(MODELS[name](c, **params), c)
    for i, line in enumerate(lines):
        want = caller.answer(line)
        if got[i] != want:
            return "operation %d, '%s': the model says '%s', the code '%s'" % (
                i, line, want, got[i])
    return None


def check(driver, name, trace, params, seed):
    for c in CAPACITIES:
        for mixed in (False, True):
            rng = random.Random("%d %s %d %d" % (seed, trace.__name__, c, mixed))
            lines = list(operations(rng, trace(rng, c), mixed))
            complaint = run(driver, name, c, params, lines)
            if complaint:
                return "capacity %d%s: %s" % (c, ", mixed" if mixed else "", complaint)
    return None


def main(driver):
    seed = int(os.environ.get("EM_TEST_SEED") or random.SystemRandom().randrange(10**6))
    number = 0
    print("# EM_TEST_SEED=%d" % seed)
    for name in MODELS:
        for params in [{}] + OTHER_PARAMS.get(name, []):
            for trace in TRACES:
                complaint = check(driver, name, trace, params, seed)
                number += 1
                what = "".join(" %s=%d" % p for p in params.items())
                print("%sok %d - %s%s, %s" % ("not " if complaint else "", number, name,
                                              what, trace.__name__.replace("_", " ")))
                if complaint:
                    print("# " + complaint)
    print("1..%d" % number)


if __name__ == "__main__":
    main(sys.argv[1])
