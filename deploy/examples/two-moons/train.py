"""Train a small neural network on two interleaved half moons: plain Python, no dependency, a second or two.

Prints one line per epoch and leaves its result in the file that exs names in $EXS_REPORT.
"""

import argparse
import json
import math
import os
import random

HIDDEN = 16


def moons(rng, count):
    """`count` labelled points ((x, y), 0 or 1) on two noisy half circles."""
    points = []
    for number in range(count):
        label, angle = number % 2, rng.random() * math.pi
        x, y = math.cos(angle), math.sin(angle)
        if label:
            x, y = 1 - x, 0.5 - y
        points.append(((x + rng.gauss(0, 0.12), y + rng.gauss(0, 0.12)), label))
    return points


class Network:
    """One hidden layer of tanh units, a logistic output, trained by stochastic gradient descent."""

    def __init__(self, rng):
        self.inner = [[rng.gauss(0, 1.0), rng.gauss(0, 1.0), 0.0] for _ in range(HIDDEN)]
        self.outer = [rng.gauss(0, 0.3) for _ in range(HIDDEN)] + [0.0]

    def forward(self, point):
        hidden = [math.tanh(a * point[0] + b * point[1] + c) for a, b, c in self.inner]
        total = self.outer[-1] + sum(w * h for w, h in zip(self.outer, hidden))
        return hidden, 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))

    def learn(self, point, label, rate):
        hidden, guess = self.forward(point)
        error = guess - label
        for unit, (weights, h) in enumerate(zip(self.inner, hidden)):
            slope = error * self.outer[unit] * (1 - h * h)
            self.outer[unit] -= rate * error * h
            weights[0] -= rate * slope * point[0]
            weights[1] -= rate * slope * point[1]
            weights[2] -= rate * slope
        self.outer[-1] -= rate * error

    def accuracy(self, points):
        return sum((self.forward(point)[1] > 0.5) == bool(label) for point, label in points) / len(points)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lr", type=float, default=0.1, help="learning rate")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--epochs", type=int, default=20)
    chosen = options.parse_args()

    rng = random.Random(chosen.seed)
    train, test = moons(rng, 400), moons(rng, 400)
    network = Network(rng)
    for epoch in range(1, chosen.epochs + 1):
        rng.shuffle(train)
        for point, label in train:
            network.learn(point, label, chosen.lr)
        accuracy = network.accuracy(test)
        print(f"epoch {epoch:2d}  accuracy {accuracy:.4f}", flush=True)

    if "EXS_REPORT" in os.environ:
        with open(os.environ["EXS_REPORT"], "w") as report:
            json.dump({"accuracy": accuracy}, report)


if __name__ == "__main__":
    main()
