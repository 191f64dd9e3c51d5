"""Judge a target as it runs: live runs instead of stepped cases, and the same named checks and verdicts."""

from collections.abc import Callable

from aioservicekit_model.rules import RULES

from ..judging import Interrupted, Judging, undisturbed
from ..report.failure_file import KeptFailure, as_text
from ..target import Target
from ..verdicts import Report, Verdict
from .drawing import NO_ORDER, explain, live_moments, live_timeline
from .exploring import LiveExploration, Refusal, explore_live
from .situations import SHOWN_BY, SITUATIONS

__all__ = ["judge_live"]

FEW = 20  # a rule that so few runs of a single thread could have broken is not known to be kept
BECAUSE = {"CH-6.2": "nothing is left to run but a callback beside which its loop sleeps, and this changes the outcome"}


def judge_live(
    target: Target, rules: frozenset[str], runs: int, seed: int, progress: Callable[[int, int], None]
) -> Report:
    """Judge a target by some of the rules, by what several threads do to it.

    Args:
        rules: the ids of the rules that matter; the report leaves out the others.
        runs: the number of runs to make.
        seed: the same seed makes the same plans; what threads do with them differs.
        progress: called with the numbers of runs made and to be made.
    """
    with undisturbed():
        return _LiveJudging(target, rules).judge_live(runs, seed, progress)


class _LiveJudging(Judging):
    """What live runs and named checks have found out about one target."""

    _target: Target

    def judge_live(self, runs: int, seed: int, progress: Callable[[int, int], None]) -> Report:
        exploration = LiveExploration()
        try:
            if self._rules & SHOWN_BY.keys():
                explore_live(self._target, runs, seed, progress, exploration)
            if exploration.hung is None:
                self._run_checks(self._target)
        except KeyboardInterrupt:
            told = f"{exploration.runs} runs made, {len(exploration.refusals)} refused"
            raise Interrupted(told) from None
        for rule, refusal in exploration.failures.items():
            self._show_live(rule, refusal, exploration)
        if exploration.hung:
            run = exploration.hung
            self._fail_live(
                *("CH-6.1", "the target does not let go of its event loops", "every operation ends, or waits"),
                *(
                    f"hangs: for seconds it ran at {run.hung}",
                    tuple(live_timeline(run.plan.default_size, run.recorded, None)),
                ),
            )
        verdicts = tuple(self._live_verdict(rule, exploration) for rule in RULES if rule in self._rules)
        reached = {name: exploration.shown[name] for name in SITUATIONS}
        return Report(self._target.name, verdicts, exploration.runs, reached, exploration.given_up, "live runs")

    def _show_live(self, rule: str, refusal: Refusal, exploration: LiveExploration) -> None:
        run = refusal.run
        size = run.plan.default_size
        history = run.history[: refusal.at + 1]
        expected, observed = explain(size, history, run.errors)
        threads = "one thread" if run.plan.threads == 1 else f"{run.plan.threads} threads"
        evidence = f"refused on {run.plan.loops} with {threads}, after {exploration.runs} runs"
        failure = KeptFailure(self._target.name, rule, size, recorded=tuple(refusal.recorded))
        self._failed.setdefault(
            rule,
            Verdict(
                *(rule, RULES[rule].level, "fail", 1, evidence, expected, observed),
                because=BECAUSE.get(rule, NO_ORDER) if run.plan.threads > 1 else "",
                history=tuple(live_timeline(size, run.recorded, refusal.at)),
                replay=as_text(failure),
                moments=live_moments(refusal.recorded),
            ),
        )

    def _fail_live(self, rule: str, evidence: str, expected: str, observed: str, history: tuple[str, ...]) -> None:
        self._failed[rule] = Verdict(rule, RULES[rule].level, "fail", 1, evidence, expected, observed, history=history)

    def _live_verdict(self, rule: str, exploration: LiveExploration) -> Verdict:
        level = RULES[rule].level
        passed = self._passed.get(rule, [])

        def untold(verdict: str, evidence: str) -> Verdict:
            return Verdict(rule, level, verdict, 0, evidence)

        if rule in self._failed:
            return self._failed[rule]
        if rule in self._left_out and not rule.startswith("CH-6"):
            return untold(*self._left_out[rule])
        if rule not in SHOWN_BY:
            if rule in self._escaped:
                return untold("unsupported", self._escaped[rule])
            return Verdict.passed(rule, len(passed), f"check: {'; '.join(passed)}")
        if exploration.hung:
            return untold("untested", "nothing more was judged, because the target hangs")
        return self._shown_live(rule, exploration, passed)

    def _shown_live(self, rule: str, exploration: LiveExploration, passed: list[str]) -> Verdict:
        """The verdict on a rule that no refused run is blamed on."""
        level = RULES[rule].level
        failed = sorted(exploration.failures)
        by_several = any(each.startswith("CH-6") for each in failed)
        alone = by_several and not rule.startswith("CH-6")
        shown = (exploration.shown_by_one_thread if alone else exploration.shown)[SHOWN_BY[rule]]
        if failed and (not alone or len(failed) > sum(each.startswith("CH-6") for each in failed)):
            return Verdict(rule, level, "masked", 0, f"by {' and '.join(failed)}: what broken rules do may hide it")
        if alone and shown < FEW and not passed:
            told = f"by {' and '.join(failed)}: only {shown} runs of a single thread could have broken it"
            return Verdict(rule, level, "masked", 0, told)
        if not shown and not passed:
            return Verdict(rule, level, "untested", 0, f"in none of {exploration.runs} runs: {SHOWN_BY[rule]}")
        evidence = f"could have broken in {shown} of {exploration.runs} live runs"
        if alone:
            evidence += " with a single thread"
        if passed:
            evidence += f"; check: {'; '.join(passed)}"
        return Verdict.passed(rule, shown or len(passed), evidence)
