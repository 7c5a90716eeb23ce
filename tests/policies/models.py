# SPDX-License-Identifier: MIT
"""Eviction algorithms as straightforward models, from their papers' words and
the order that is stated at the top of lib/policies/*.c. Lists and searches
from end to end, nothing that is fast: they are what the real code is held to.

The front of a list (index 0) is its oldest element. `c` is the capacity in
units. A model says nothing of what is in; that is the caller's account.
"""

SOFT, KEPT, MISS = "soft", "kept", "miss"


def percent(c, p):
    return c * p // 100


def clean(unit, *lists):
    """Takes the unit out of whichever list has it; says whether one had."""
    found = False
    for some in lists:
        if unit in some:
            some.remove(unit)
            found = True
    return found


class Fifo:
    def __init__(self, c):
        self.queue = []

    def insert(self, unit, why):
        self.queue.append(unit)

    def hit(self, unit):
        pass

    def forget(self, unit):
        clean(unit, self.queue)

    def victim(self):
        return self.queue.pop(0) if self.queue else None


class Clock(Fifo):
    def __init__(self, c):
        self.queue, self.used = [], set()

    def insert(self, unit, why):
        self.queue.append(unit)
        if why == SOFT:
            self.used.add(unit)

    def hit(self, unit):
        self.used.add(unit)

    def forget(self, unit):
        clean(unit, self.queue)
        self.used.discard(unit)

    def victim(self):
        while self.queue:
            unit = self.queue.pop(0)
            if unit not in self.used:
                return unit
            self.used.remove(unit)
            self.queue.append(unit)
        return None


class Lru:
    def __init__(self, c, active=50):
        self.share, self.active, self.inactive = active, [], []

    def use(self, unit):
        (self.active if self.share else self.inactive).append(unit)

    def insert(self, unit, why):
        if why == SOFT:
            self.use(unit)
        else:
            self.inactive.append(unit)

    def hit(self, unit):
        self.forget(unit)
        self.use(unit)

    def forget(self, unit):
        clean(unit, self.active, self.inactive)

    def victim(self):
        total = len(self.active) + len(self.inactive)
        while 100 * len(self.active) > self.share * total:
            self.inactive.append(self.active.pop(0))
        return self.inactive.pop(0) if self.inactive else None


class TwoQ:
    def __init__(self, c, **p):
        self.kin = max(1, percent(c, p.get("in", 25)))
        self.kout = percent(c, p.get("out", 50))
        self.a1in, self.a1out, self.am = [], [], []

    def insert(self, unit, why):
        ghost = clean(unit, self.a1out)
        if why == KEPT:
            (self.a1in if ghost else self.am).append(unit)
        elif ghost or why == SOFT:
            self.am.append(unit)
        else:
            self.a1in.append(unit)

    def hit(self, unit):
        if clean(unit, self.am):
            self.am.append(unit)

    def forget(self, unit):
        clean(unit, self.a1in, self.a1out, self.am)

    def victim(self):
        if self.a1in and (len(self.a1in) > self.kin or not self.am):
            unit = self.a1in.pop(0)
            self.a1out.append(unit)
            while len(self.a1out) > self.kout:
                self.a1out.pop(0)
            return unit
        return self.am.pop(0) if self.am else None


class Car:
    def __init__(self, c):
        self.c, self.p, self.used = c, 0, set()
        self.t1, self.t2, self.b1, self.b2 = [], [], [], []

    def insert(self, unit, why):
        n1, n2 = len(self.b1), len(self.b2)
        in_b1, in_b2 = unit in self.b1, unit in self.b2
        clean(unit, self.b1, self.b2)
        if why == KEPT:
            (self.t1 if in_b1 else self.t2).append(unit)
            return
        if in_b1:
            self.p = min(self.c, self.p + max(1, n2 // n1))
        elif in_b2:
            self.p = max(0, self.p - max(1, n1 // n2))
        else:
            while self.b1 and len(self.t1) + len(self.b1) >= self.c:
                self.b1.pop(0)
            while self.b2 and sum(map(len, (self.t1, self.t2, self.b1, self.b2))) >= 2 * self.c:
                self.b2.pop(0)
        again = in_b1 or in_b2 or why == SOFT
        (self.t2 if again else self.t1).append(unit)

    def hit(self, unit):
        self.used.add(unit)

    def forget(self, unit):
        clean(unit, self.t1, self.t2, self.b1, self.b2)
        self.used.discard(unit)

    def victim(self):
        while self.t1 or self.t2:
            if self.t1 and (not self.t2 or len(self.t1) >= max(1, self.p)):
                clock, ghosts = self.t1, self.b1
            else:
                clock, ghosts = self.t2, self.b2
            unit = clock.pop(0)
            if unit not in self.used:
                ghosts.append(unit)
                return unit
            self.used.remove(unit)
            self.t2.append(unit)
        return None


class S3Fifo:
    def __init__(self, c, small=10, ghosts=90, promote=1):
        self.small_max, self.ghosts_max = max(1, percent(c, small)), percent(c, ghosts)
        self.promote, self.freq = promote, {}
        self.small, self.main, self.ghosts = [], [], []

    def insert(self, unit, why):
        ghost = clean(unit, self.ghosts)
        self.freq[unit] = 0
        if why == KEPT:
            to_main = not ghost
        else:
            to_main = ghost or why == SOFT
        (self.main if to_main else self.small).append(unit)

    def hit(self, unit):
        self.freq[unit] = min(3, self.freq[unit] + 1)

    def forget(self, unit):
        clean(unit, self.small, self.main, self.ghosts)

    def victim(self):
        if len(self.small) >= self.small_max or not self.main:
            while self.small:
                unit = self.small.pop(0)
                if self.freq[unit] < self.promote:
                    self.ghosts.append(unit)
                    self.ghosts = self.ghosts[max(0, len(self.ghosts) - self.ghosts_max):]
                    return unit
                self.freq[unit] = 0
                self.main.append(unit)
        while self.main:
            unit = self.main.pop(0)
            if not self.freq[unit]:
                return unit
            self.freq[unit] -= 1
            self.main.append(unit)
        return None


class Sieve:
    def __init__(self, c):
        self.queue, self.visited, self.hand = [], set(), None

    def insert(self, unit, why):
        self.queue.append(unit)
        if why == SOFT:
            self.visited.add(unit)

    def hit(self, unit):
        self.visited.add(unit)

    def after(self, unit):
        i = self.queue.index(unit) + 1
        return self.queue[i] if i < len(self.queue) else None

    def forget(self, unit):
        if unit in self.queue:
            if self.hand == unit:
                self.hand = self.after(unit)
            self.queue.remove(unit)
        self.visited.discard(unit)

    def victim(self):
        if not self.queue:
            return None
        unit = self.queue[0] if self.hand is None else self.hand
        while unit in self.visited:
            self.visited.remove(unit)
            unit = self.after(unit)
            if unit is None:
                unit = self.queue[0]
        self.hand = unit
        self.forget(unit)
        return unit


class Clock2QPlus:
    def __init__(self, c, small=10, ghosts=50, window=50):
        self.small_max, self.ghosts_max = max(1, percent(c, small)), percent(c, ghosts)
        self.window_max = percent(self.small_max, window)
        # The small queue in two parts: the window behind the rest.
        self.rest, self.window, self.main, self.ghosts = [], [], [], []
        self.used = set()

    def insert(self, unit, why):
        ghost = clean(unit, self.ghosts)
        self.used.discard(unit)
        if why == KEPT and not ghost or why != KEPT and (ghost or why == SOFT):
            self.main.append(unit)
            return
        self.window.append(unit)
        while len(self.window) > self.window_max:
            self.rest.append(self.window.pop(0))

    def hit(self, unit):
        if unit not in self.window:
            self.used.add(unit)

    def forget(self, unit):
        clean(unit, self.rest, self.window, self.main, self.ghosts)
        self.used.discard(unit)

    def victim(self):
        if len(self.rest) + len(self.window) >= self.small_max or not self.main:
            while self.rest or self.window:
                unit = (self.rest or self.window).pop(0)
                if unit not in self.used:
                    self.ghosts.append(unit)
                    self.ghosts = self.ghosts[max(0, len(self.ghosts) - self.ghosts_max):]
                    return unit
                self.used.remove(unit)
                self.main.append(unit)
        while self.main:
            unit = self.main.pop(0)
            if unit not in self.used:
                return unit
            self.used.remove(unit)
            self.main.append(unit)
        return None


class Lirs:
    """The paper's own stack S and queue Q; the top of S is its last element."""

    def __init__(self, c, hir=1, ghosts=200):
        self.lir_max = c - max(1, percent(c, hir))
        self.ghosts_max = percent(c, ghosts)
        self.s, self.q, self.lir = [], [], set()

    def prune(self):
        while self.s and self.s[0] not in self.lir:
            self.s.pop(0)

    def ghosts(self):
        return [u for u in self.s if u not in self.lir and u not in self.q]

    def demote(self):
        lowest = self.s.pop(0)
        self.lir.remove(lowest)
        self.q.append(lowest)
        self.prune()

    def make_lir(self, unit):
        clean(unit, self.s, self.q)
        self.s.append(unit)
        self.lir.add(unit)
        self.prune()
        while len(self.lir) > self.lir_max:
            self.demote()

    def make_hir(self, unit):
        clean(unit, self.s, self.q)
        self.s.append(unit)
        self.q.append(unit)
        self.prune()

    def insert(self, unit, why):
        if why != KEPT and (unit in self.s or len(self.lir) < self.lir_max):
            self.make_lir(unit)
        else:
            self.make_hir(unit)

    def hit(self, unit):
        if unit in self.s:
            if unit in self.lir:
                self.s.remove(unit)
                self.s.append(unit)
                self.prune()
            else:
                self.make_lir(unit)
        else:
            self.make_hir(unit)

    def forget(self, unit):
        clean(unit, self.s, self.q)
        self.lir.discard(unit)
        self.prune()

    def victim(self):
        if not self.q and self.lir:
            self.demote()
        if not self.q:
            return None
        unit = self.q.pop(0)
        while len(self.ghosts()) > self.ghosts_max:
            self.s.remove(self.ghosts()[0])
        return unit


class Mru:
    def __init__(self, c, fresh=2):
        self.fresh_max, self.order = percent(c, fresh), []
        self.fresh = []

    def insert(self, unit, why):
        self.fresh.append(unit)
        while len(self.fresh) > self.fresh_max:
            self.order.append(self.fresh.pop(0))

    def hit(self, unit):
        self.forget(unit)
        self.insert(unit, MISS)

    def forget(self, unit):
        clean(unit, self.fresh, self.order)

    def victim(self):
        if self.order:
            return self.order.pop()
        return self.fresh.pop(0) if self.fresh else None


class Lots:
    """xorshift64, as Marsaglia's paper has it."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x ^= self.x << 13 & 2**64 - 1
        self.x ^= self.x >> 7
        self.x ^= self.x << 17 & 2**64 - 1
        return (self.x >> 32) * n >> 32


class Random:
    def __init__(self, c, seed=1):
        self.row, self.lots = [], Lots(seed)

    def insert(self, unit, why):
        self.row.append(unit)

    def hit(self, unit):
        pass

    def forget(self, unit):
        if unit in self.row:
            i = self.row.index(unit)
            self.row[i] = self.row[-1]
            self.row.pop()

    def victim(self):
        if not self.row:
            return None
        unit = self.row[self.lots.below(len(self.row))]
        self.forget(unit)
        return unit


class Hyperbolic(Random):
    def __init__(self, c, sample=8, seed=1):
        self.row, self.lots, self.sample = [], Lots(seed), sample
        self.now, self.born, self.uses = 0, {}, {}

    def insert(self, unit, why):
        self.row.append(unit)
        self.born[unit], self.uses[unit] = self.now, 2 if why == SOFT else 1
        self.now += 1

    def hit(self, unit):
        self.now += 1
        self.uses[unit] += 1

    def victim(self):
        from fractions import Fraction
        if not self.row:
            return None
        drawn = list(self.row)
        if len(self.row) > self.sample:
            drawn = [self.row[self.lots.below(len(self.row))] for _ in range(self.sample)]
        unit = min(drawn, key=lambda u: Fraction(self.uses[u], self.now - self.born[u] + 1))
        self.forget(unit)
        return unit


MODELS = {
    "fifo": Fifo, "clock": Clock, "lru": Lru, "2q": TwoQ, "car": Car,
    "s3fifo": S3Fifo, "sieve": Sieve, "clock2q+": Clock2QPlus, "lirs": Lirs,
    "mru": Mru, "random": Random, "hyperbolic": Hyperbolic,
}
