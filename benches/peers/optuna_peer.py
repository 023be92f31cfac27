"""Optuna as a peer of `cargo bench -p benches --bench search -- --program "python3 peers/optuna_peer.py"`.

Needs `optuna`, and for the Gaussian process `scipy` and `torch` (measured with Optuna 5.0.0). The protocol is
described at the head of `benches/benches/search/program.rs`.

Ordered options are offered as their ranks, because Optuna has no ordinal type. Conditions are not offered: what
does not matter is left out by the other side.
"""

import argparse
import json
import sys
import warnings

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution


def distribution(parameter):
    kind = parameter["type"]
    if kind == "float":
        return FloatDistribution(parameter["low"], parameter["high"], log=parameter["log"])
    if kind == "int":
        return IntDistribution(int(parameter["low"]), int(parameter["high"]), log=parameter["log"])
    if kind == "ordinal":
        return IntDistribution(0, len(parameter["values"]) - 1)
    return CategoricalDistribution(parameter["values"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--sampler", choices=["gp", "tpe"], default="gp")
    sampler = arguments.parse_args().sampler
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    begin = json.loads(sys.stdin.readline())
    if sampler == "gp":
        chosen = optuna.samplers.GPSampler(seed=begin["seed"])
    else:
        chosen = optuna.samplers.TPESampler(seed=begin["seed"], constant_liar=begin["workers"] > 1)
    direction = "maximize" if begin["maximize"] else "minimize"
    study = optuna.create_study(direction=direction, sampler=chosen)
    space = {parameter["name"]: distribution(parameter) for parameter in begin["space"]}
    ranked = {p["name"]: p["values"] for p in begin["space"] if p["type"] == "ordinal"}

    trials = {}
    for line in sys.stdin:
        message = json.loads(line)
        if "ask" in message:
            trial = trials[message["ask"]] = study.ask(space)
            values = {
                name: ranked[name][value] if name in ranked else value
                for name, value in trial.params.items()
            }
            print(json.dumps(values), flush=True)
        elif "tell" in message:
            study.tell(trials[message["tell"]], message["value"])
        else:
            study.tell(trials[message["fail"]], state=optuna.trial.TrialState.FAIL)


if __name__ == "__main__":
    main()
