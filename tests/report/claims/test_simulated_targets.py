"""What `--decide` promises, row by row, on the scenarios of tools/simulate_verdicts.py: fixed seeds, few experiments.

A rate may miss its target by three standard errors. That this is not too much room is tested, too: wrong rules miss it.
"""

import re
from dataclasses import replace

import docs_pages
import pytest
import simulate_verdicts as simulated

from suite.report.claims import judge, view
from suite.report.claims.claim import Family
from suite.report.statistics.looks import Looks

ERRORS = 3
NULL = simulated.QUICKSTART.null()


@pytest.mark.parametrize(("scenario", "rounds"), [
    (simulated.QUICKSTART, 120), (NULL, 150), (simulated.INITS.null(), 70), (simulated.UNEQUAL, 150),
    (simulated.TWICE, 150), (simulated.PRINTED, 200)], ids=lambda value: getattr(value, "name", ""))
def test_a_target_is_kept(scenario, rounds):
    made = simulated.rates(scenario, rounds)
    assert not scenario.target.missed(made, ERRORS)
    assert set(made.words) <= {"supported", "contradicted", "no difference", "not by seeds"}  # each has a final verdict


def test_the_first_epoch_finds_its_effects_with_a_few_runs_more_than_its_target():
    """33.8 runs in place of 31 belong to the rule, not to this code.

    A replay of the rule by linear algebra alone, without the suite's judge, takes 33.4 (1,000 experiments, standard
    error 0.15). Above the 24 runs of three seeds it is the sixth claim, which is true of nothing, that costs most: a
    claim may be given up from the third look on, and chance leaves 4 of 10 such claims with more than 5 % conditional
    power there, so Quad has 5.9 seeds on average, Inv 6.7 and Inv2 5.3. The guard, which rejects equal deviations in
    one of ten experiments with equal ones, costs 0.8 (32.6 without it); giving up one look earlier would save 1.0.
    """
    made = simulated.rates(simulated.INITS, 70)
    assert not replace(simulated.INITS.target, runs=34).missed(made, ERRORS)
    assert made.runs > simulated.INITS.target.runs  # 31: not kept, and the rule cannot keep it


@pytest.mark.parametrize(("name", "false", "power"), [
    ("quickstart, Welch's t", 0.05, (0.1, 0.3)), ("quickstart, pooled", 0.05, (0.45, 0.65)),
    ("first-epoch-inits, paired t", 0.05, (0.05, 0.25)), ("first-epoch-inits, seeds as blocks", 0.05, (0.7, 0.9))])
def test_three_seeds_tested_once(name, false, power):
    scenario, variance = simulated.ONCE[name]
    none, three = scenario.null().once(variance), scenario.null().once(variance, 3.0)
    assert not simulated.Target(false=false).missed(simulated.rates(none, 250), ERRORS)
    assert power[0] < simulated.rates(three, 150).power < power[1]


def test_one_command_prints_every_row_and_how_long_it_took(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["simulate_verdicts.py", "--rounds", "2"])
    simulated.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line[:62].rstrip() for line in lines[1:1 + len(simulated.ALL)]] == [one.name for one in simulated.ALL]
    assert [line[:62].rstrip() for line in lines[-2 - len(simulated.ONCE):-2]] == [*simulated.ONCE]
    assert re.fullmatch(r"rounds 2, seed 0, processes 1: \d+ s in all", lines[-1])


def test_two_processes_print_the_same_and_the_documentation_reads_it(monkeypatch, capsys):
    printed = []
    for jobs in ("1", "2"):
        monkeypatch.setattr("sys.argv", ["simulate_verdicts.py", "--rounds", "2", "--jobs", jobs])
        simulated.main()
        printed.append(capsys.readouterr().out)
    one, two = (re.sub(r" +\(\d+ s\)", "", text).splitlines()[:-1] for text in printed)
    assert one == two
    tables = docs_pages.error_tables(printed[0])
    assert all(f"| {name} |" in tables for name in [*(one.name for one in simulated.ALL), *simulated.ONCE])
    assert f"| {NULL.name} | – |" in tables and "2 experiments for each row" in tables


def test_every_look_at_the_whole_alpha_would_err_too_often(monkeypatch):
    monkeypatch.setattr(Looks, "levels", lambda plan, alpha: tuple(alpha for _ in plan.seeds))
    assert _missed(NULL, 150) == ["false"]


def test_a_family_without_holm_would_err_too_often(monkeypatch):
    levels = Looks.levels
    monkeypatch.setattr(Looks, "levels", lambda plan, alpha: levels(plan, 0.05))
    assert _missed(NULL, 100) == ["false"]


def test_pooling_whatever_the_deviations_would_err_too_often(monkeypatch):
    once = simulated.PRINTED.once("column")
    assert not once.target.missed(simulated.rates(once, 300), ERRORS)
    monkeypatch.setattr(view, "alike", lambda variances: True)
    assert _missed(once, 300) == ["false"]


def test_variances_by_cell_and_claims_that_are_never_given_up_would_take_too_many_runs(monkeypatch):
    assert _missed(replace(simulated.QUICKSTART, rules=Family(looks=simulated.PLAN, variance="cell")), 60) == ["runs"]
    monkeypatch.setattr(judge, "HOPELESS", 0.0)
    target = replace(simulated.INITS.target, runs=34)
    assert _missed(replace(simulated.INITS, target=target), 20) == ["runs"]


def _missed(scenario, rounds):
    return [words.split()[0] for words in scenario.target.missed(simulated.rates(scenario, rounds), ERRORS)]
