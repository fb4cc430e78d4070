"""The risk of states that stay open.

Its parts stand in files of their own; here is what they are together, and in which order they speak.
"""

from __future__ import annotations

from collections.abc import Iterator

from portraitist.audit.facts.base import Context
from portraitist.audit.model import Finding
from portraitist.audit.rules.states.asked_only import closed_when_asked
from portraitist.audit.rules.states.brief_waits import waited_once
from portraitist.audit.rules.states.counted_in_vain import counted_in_vain
from portraitist.audit.rules.states.cut_off import cut_off
from portraitist.audit.rules.states.cut_requests import cut_requests
from portraitist.audit.rules.states.deaf_hooks import deaf_hooks
from portraitist.audit.rules.states.demands import demands_others
from portraitist.audit.rules.states.detached import lost_with_the_process
from portraitist.audit.rules.states.early_ways_out import left_before_work
from portraitist.audit.rules.states.endless import endless_waits
from portraitist.audit.rules.states.error_answers import refusals_as_work
from portraitist.audit.rules.states.handed_marks import handed_too_soon
from portraitist.audit.rules.states.in_memory import kept_in_memory
from portraitist.audit.rules.states.left_open import left_open
from portraitist.audit.rules.states.never_anew import never_anew
from portraitist.audit.rules.states.never_said import never_said
from portraitist.audit.rules.states.open_ends import open_ends
from portraitist.audit.rules.states.outcomes import unknown_ends
from portraitist.audit.rules.states.own_runs import ended_by_its_run, ended_from_outside, never_done
from portraitist.audit.rules.states.own_steps import steps_that_fail
from portraitist.audit.rules.states.pages import polls_of_pages
from portraitist.audit.rules.states.passed_failures import failures_passed_over
from portraitist.audit.rules.states.passed_limits import limits_passed_over
from portraitist.audit.rules.states.planned_parts import planned_parts
from portraitist.audit.rules.states.put_back import put_back
from portraitist.audit.rules.states.refused_words import refused_words
from portraitist.audit.rules.states.rounds import counted_waits
from portraitist.audit.rules.states.rounds_over import rounds_over
from portraitist.audit.rules.states.second_reads import read_again, read_by_two
from portraitist.audit.rules.states.stored_later import stored_later
from portraitist.audit.rules.states.success_only import success_only
from portraitist.audit.rules.states.taken_off import taken_off_first
from portraitist.audit.rules.states.thrown_away import thrown_away
from portraitist.audit.rules.states.told_ends import ends_untold, ends_without_trace
from portraitist.audit.rules.states.unasked import told_from_the_row
from portraitist.audit.rules.states.unfinished import left_in_progress
from portraitist.audit.rules.states.untold import untold
from portraitist.audit.rules.states.wordless import left_without_result


def stuck_status(ctx: Context) -> Iterator[Finding]:
    """A poll or webhook that knows success but not `failed` or not `canceled`, so that work stays open for ever.

    A handler that stores the provider's status as it is counts as knowing all of them. A handler of the provider's
    webhooks that waits for a word the provider never says stays open too; only its body's status is looked at. So
    does work whose webhook is put inside `input`, where the provider does not look for it, and a row that is marked
    as running before a paid call whose failure is caught without a change of it. And rows that only a webhook closes,
    or nothing, webhooks that pass over failures, and parameters of their addresses that are never sent. And work that
    succeeds without an output, where only an output ends it, and handlers that read a body twice. And rows whose own
    next step fails (`own_steps`), that an error on the way leaves (`early_ways_out`), that change only when a page
    asks (`asked_only`), or that a worker takes with it (`cut_off`, `taken_off`). And webhooks that cannot store what
    they hear (`deaf_hooks`), refusals taken for work (`error_answers`), successes put back (`put_back`), questions
    that are over too soon (`rounds`, `rounds_over`) or never (`pages`, `counted_in_vain`, `passed_limits`), jobs that
    one process alone knows (`in_memory`), ids stored too late (`stored_later`), states that are told from the row alone
    (`unasked`), success that alone is stored (`success_only`), webhooks that are refused for what they lack
    (`demands`), wholes that wait for every part (`planned_parts`), and states that a store is handed too soon
    (`handed_marks`). And work whose answer nobody keeps (`thrown_away`), rows that have no state but a result
    (`wordless`), and rows that a request ends when it is not cut off (`cut_requests`), or that the run which made it
    ends alone, one other way, or nothing (`own_runs`). And every other way out behind a row's mark (`left_open`), and
    answers of the provider that a row is not told of, way by way (`told_ends`), and the provider's words in columns
    that do not admit them (`refused_words`).
    """
    told = [*left_in_progress(ctx), *left_before_work(ctx)]
    yield from told
    places = {(each.path, each.line) for each in told}
    open_ = [each for each in left_open(ctx) if (each.path, each.line) not in places]
    yield from open_
    alone = [*open_ends(ctx), *closed_when_asked(ctx), *ended_by_its_run(ctx)]
    yield from alone
    yield from (each for each in ended_from_outside(ctx) if not any(_overlap(each, one) for one in alone))
    yield from never_done(ctx)
    yield from failures_passed_over(ctx)
    yield from deaf_hooks(ctx)
    yield from refused_words(ctx)
    yield from endless_waits(ctx)
    yield from counted_in_vain(ctx)
    yield from lost_with_the_process(ctx)
    yield from cut_off(ctx)
    yield from taken_off_first(ctx)
    yield from untold(ctx)
    yield from read_again(ctx)
    yield from read_by_two(ctx)
    yield from steps_that_fail(ctx)
    counted = [*counted_waits(ctx)]
    yield from counted
    told = [*open_, *counted]
    yield from (each for each in rounds_over(ctx) if not any(_overlap(each, one) for one in told))
    yield from limits_passed_over(ctx)
    yield from kept_in_memory(ctx)
    yield from put_back(ctx)
    yield from success_only(ctx)
    yield from demands_others(ctx)
    yield from planned_parts(ctx)
    yield from handed_too_soon(ctx)
    yield from stored_later(ctx)
    yield from told_from_the_row(ctx)
    yield from refusals_as_work(ctx)
    yield from polls_of_pages(ctx)
    yield from thrown_away(ctx)
    yield from left_without_result(ctx)
    yield from cut_requests(ctx)
    yield from waited_once(ctx)
    yield from never_said(ctx)
    yield from never_anew(ctx)
    known = list(unknown_ends(ctx))
    yield from known
    places = {(each.path, each.line) for each in known}
    yield from (
        each for each in (*ends_untold(ctx), *ends_without_trace(ctx)) if (each.path, each.line) not in places
    )


def _overlap(one: Finding, other: Finding) -> bool:
    """Whether two findings stand at one place."""
    return one.path == other.path and one.line <= other.end_line and other.line <= one.end_line
