"""How long a sharded run takes on nodes that differ, fail and are preempted: `simulate.py TIMES.csv... > table`.

Reads the `times.csv` of shards that were run (`count,seconds` a line, docs/scale.md): how much a stretch of prompts differs
from the mean, and how long a model takes to load. Then plays one large run many times:

* every node has a speed of its own (log-normal), and one in fifty is slow by a factor (a straggler);
* a shard is killed without warning at random (one failure per node and `--days` days), or preempted with a warning; a killed
  shard loses the batch at hand, a preempted one nothing; both wait in the queue, load the model again and go on;
* shards are taken by nodes one after the other.

Everything is drawn from `--seed`. Needs Python 3.9 and nothing else.
"""

import argparse
import heapq
import random
import statistics


def read(paths: list[str]) -> tuple[list[float], list[float]]:
    """Seconds a prompt of each stretch relative to the mean, and seconds of loading."""
    seconds_each, loading = [], []
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                count, seconds = line.split(",")
                if int(count) > 0:
                    seconds_each.append(float(seconds) / int(count))
                else:
                    loading.append(float(seconds))
    mean = statistics.fmean(seconds_each)
    return [each / mean for each in seconds_each], loading


def shard_work(draw: random.Random, relative: list[float], prompts: int, batch: int) -> list[float]:
    """Mean seconds of a shard's batches, in prompts of the mean prompt; long shards are summed in blocks of batches."""
    batches = max(1, prompts // batch)
    block = max(1, batches // 200)
    blocks = [block * batch * draw.choice(relative) for _ in range(batches // block)]
    return blocks or [prompts * draw.choice(relative)]


def run(draw: random.Random, a: argparse.Namespace, relative: list[float], shards: int) -> tuple[float, float, int]:
    """Hours until the last shard is done, hours of all nodes, and how often a shard was begun again."""
    speed = [draw.lognormvariate(0, a.spread) for _ in range(a.nodes)]
    speed = [s / a.slow if draw.random() < 0.02 else s for s in speed]
    free = [(0.0, node) for node in range(a.nodes)]
    heapq.heapify(free)
    last, busy, again = 0.0, 0.0, 0
    for _ in range(shards):
        start, node = heapq.heappop(free)
        now = start + a.load
        for block in shard_work(draw, relative, a.prompts // shards, a.batch):
            left = block * a.seconds / speed[node]
            while True:
                failure = draw.expovariate(1 / (a.days * 86400))
                preemption = draw.expovariate(1 / (a.preempted * 3600)) if a.preempted else float("inf")
                end = min(left, failure, preemption)
                now += end
                left -= end
                if left <= 0:
                    break
                if failure < preemption:
                    left += min(block, a.batch) * a.seconds / speed[node] / 2
                now += a.queue + a.load
                again += 1
        busy += now - start
        last = max(last, now)
        heapq.heappush(free, (now, node))
    return last / 3600, busy / 3600, again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("times", nargs="+", help="times.csv of shards")
    parser.add_argument("--prompts", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=1.6, help="seconds a prompt on the mean node")
    parser.add_argument("--nodes", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--load", type=float, default=60, help="seconds of loading and hashing")
    parser.add_argument("--queue", type=float, default=600, help="seconds in the queue after a failure")
    parser.add_argument("--days", type=float, default=10, help="mean days between failures of a node")
    parser.add_argument("--preempted", type=float, default=0, help="mean hours between preemptions of a node; 0: none")
    parser.add_argument("--spread", type=float, default=0.05, help="standard deviation of log speed between nodes")
    parser.add_argument("--slow", type=float, default=2.0, help="how much slower a straggler is")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    relative, loading = read(a.times)
    ideal = a.prompts * a.seconds / a.nodes / 3600
    print(f"recorded: {len(relative)} stretches, standard deviation {statistics.pstdev(relative):.2f} of the mean;")
    print(f"median loading {statistics.median(loading) if loading else float('nan'):.1f} s; ideal {ideal:.2f} h\n")
    print("| shards | hours: median | 95 % | over ideal | node hours | begun again |")
    print("|---|---|---|---|---|---|")
    for factor in (1, 2, 4, 8, 16, 32, 64):
        draw = random.Random(a.seed)
        outcomes = [run(draw, a, relative, factor * a.nodes) for _ in range(a.runs)]
        hours = sorted(hours for hours, _, _ in outcomes)
        median, high = statistics.median(hours), hours[int(0.95 * len(hours))]
        node_hours = statistics.fmean(busy for _, busy, _ in outcomes)
        again = statistics.fmean(count for _, _, count in outcomes)
        print(f"| {factor * a.nodes} | {median:.2f} | {high:.2f} | {median / ideal:.2f} | {node_hours:.1f} | {again:.1f} |")


if __name__ == "__main__":
    main()
