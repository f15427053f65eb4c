"""The bugs that are planted: each takes one defence of the design away, and must be noticed."""

from __future__ import annotations

from tests.simulation.planting import Bug, Edit

FEED = "shared/domain/feed.py"
SWEEP = "shared/flows/sweep.py"
OBSERVE = "shared/flows/observe.py"
ACT = "shared/flows/act.py"
KEEP = "shared/flows/keep.py"
CLAIM = "shared/domain/claim.py"
CONSIDER = "shared/domain/consider.py"
PLAN = "shared/domain/plan.py"
VOTE = "shared/domain/vote.py"
DECISION = "shared/domain/decision.py"
ROOM = "shared/domain/room.py"
MEETINGS = "shared/storage/meetings.py"
CLAIMS = "shared/storage/claims.py"
LANDING = "shared/flows/landing.py"
CONNECT = "shared/flows/connect.py"
CALENDARS = "shared/flows/calendars.py"
REMOVAL = "shared/flows/removal.py"
ERASE = "shared/flows/erase.py"
REDECIDE = "shared/flows/redecide.py"
BUDGET = "shared/recall/budget.py"
TRANSPORT = "shared/recall/transport.py"
EDGE = "shared/entrypoints/queue.py"
WEBHOOKS = "functions/webhooks/app.py"
SCHEDULER = "functions/scheduler/app.py"
RECONCILER = "functions/reconciler/app.py"
WORLD = "tests/simulation/world.py"

BUGS: tuple[Bug, ...] = (
    # The feed.
    Bug(
        name="cursor-at-largest-updated-at",
        takes="the cursor that stands where the List began, behind whatever commits late",
        breaks=(5, 1),
        test=(
            "tests/integration/test_scheduler_faults.py::"
            "test_a_change_that_is_committed_behind_a_newer_one_is_seen"
        ),
        edits=(
            Edit(
                SWEEP,
                "                cursor = cursor_after(list_started)\n",
                "                newest = [each.updated_at for each in page.events]\n"
                "                cursor = max([since, *newest])\n",
            ),
        ),
    ),
    Bug(
        name="no-overlap",
        takes="the two minutes by which each List overlaps the one before",
        breaks=(5, 1),
        test=(
            "tests/simulation/test_promises.py::"
            "test_a_change_that_shows_late_is_seen_whatever_the_clocks_say"
        ),
        edits=(Edit(FEED, "OVERLAP = timedelta(seconds=120)", "OVERLAP = timedelta(0)"),),
    ),
    Bug(
        name="cursor-in-our-own-clock",
        takes="the cursor in Recall's clock instead of ours",
        breaks=(5, 1),
        test=(
            "tests/simulation/test_promises.py::"
            "test_a_change_that_shows_late_is_seen_whatever_the_clocks_say"
        ),
        edits=(
            Edit(SWEEP, "cursor = cursor_after(list_started)", "cursor = cursor_after(started)"),
        ),
    ),
    Bug(
        name="cursor-before-rows",
        takes="the order of a sweep: first the rows are stored, then the cursor moves",
        breaks=(5, 1),
        test=(
            "tests/integration/test_scheduler_faults.py::"
            "test_every_effect_of_the_scenario_was_crashed"
        ),
        edits=(
            Edit(
                SWEEP,
                "            yield owed(self._observer.take(page))\n"
                "            link = page.next_page\n"
                "            if link is None:\n"
                "                cursor =",
                "            if page.next_page is None:\n"
                "                early = cursor_after(list_started)\n"
                "                moved = replace(feed, cursor=early, swept_at=started, open=None)\n"
                "                self._stores.workspace.save_feed(moved)\n"
                "            yield owed(self._observer.take(page))\n"
                "            link = page.next_page\n"
                "            if link is None:\n"
                "                cursor =",
            ),
        ),
    ),
    Bug(
        name="cover-without-margin",
        takes="the margin between two clocks before a doorbell counts as answered",
        breaks=(5,),
        test="tests/unit/test_feed.py",
        edits=(Edit(FEED, "received_at < swept_at - CLOCK_MARGIN", "received_at <= swept_at"),),
    ),
    Bug(
        name="cover-by-end-of-sweep",
        takes="the start of the sweep, not its end, as what a doorbell is compared with",
        breaks=(5,),
        seed=0,
        edits=(
            Edit(
                SWEEP,
                "done = replace(feed, cursor=cursor, swept_at=started, open=None)",
                "done = replace(feed, cursor=cursor, swept_at=self._clock() + OVERLAP, open=None)",
            ),
        ),
    ),
    Bug(
        name="tick-not-heard",
        takes="the tick as a doorbell, without which a lost webhook is a lost change",
        breaks=(1, 5),
        seed=14,
        edits=(
            Edit(
                SWEEP,
                "return not covered(message.scheduled_at, swept_at=feed.swept_at)",
                "return False",
            ),
        ),
    ),
    Bug(
        name="tick-with-constant-body",
        takes="the scheduled time in the body of a tick, which content-based deduplication needs",
        breaks=(1,),
        test=(
            "tests/simulation/test_promises.py::"
            "test_a_lost_webhook_is_repaired_within_a_tick_and_a_little"
        ),
        edits=(
            Edit(WORLD, "encode(Tick(scheduled_at=moment))", "encode(Tick(scheduled_at=START))"),
        ),
    ),
    Bug(
        name="page-error-ends-the-list",
        takes="the rule that only a page without `next` ends a List",
        breaks=(5, 6),
        test=(
            "tests/integration/test_scheduler_faults.py::"
            "test_a_list_that_breaks_off_has_not_come_to_its_end"
        ),
        edits=(
            Edit(
                SWEEP,
                "            page = self._recall.list_events(next_page=link)\n",
                "            try:\n"
                "                page = self._recall.list_events(next_page=link)\n"
                "            except TransientError:\n"
                "                from shared.recall import EventPage as Page\n"
                "                return Page(events=(), malformed=(), next_page=None,"
                " answered_at=self._clock())\n",
            ),
        ),
    ),
    Bug(
        name="open-sweep-forgotten",
        takes="the stored place of a sweep whose pages did not fit into one run",
        breaks=(5,),
        test=(
            "tests/integration/test_scheduler_faults.py::"
            "test_a_sweep_of_many_pages_goes_on_in_the_next_run"
        ),
        edits=(
            Edit(
                SWEEP,
                "        self._stores.workspace.save_feed(replace(feed, cursor=since, open=rest))",
                "        self._stores.workspace.save_feed("
                "replace(feed, cursor=cursor_after(rest.list_started), swept_at=started))",
            ),
        ),
    ),
    Bug(
        name="stale-link-kept",
        takes="the fresh start of a sweep whose page link Recall does not know any more",
        breaks=(1, 5),
        test=(
            "tests/integration/test_scheduler_faults.py::"
            "test_a_sweep_whose_page_link_went_stale_starts_over"
        ),
        edits=(
            Edit(
                SWEEP,
                "        self._stores.workspace.save_feed(replace(feed, open=None))\n"
                '        raise TransientError("sweep_restarted"',
                '        raise TransientError("sweep_restarted"',
            ),
        ),
    ),
    Bug(
        name="new-calendar-without-its-own-read",
        takes="the full read owed to a calendar whose mapping the feed did not know",
        breaks=(1,),
        test=(
            "tests/integration/test_calendars_api.py::"
            "test_a_new_calendar_is_read_from_its_beginning"
        ),
        edits=(Edit(LANDING, "        read_since=shown.created_at,\n", ""),),
    ),
    Bug(
        name="no-full-read-after-reconnect",
        takes="the full read after a reconnect, which alone shows that Recall took the bots off",
        breaks=(1,),
        test=(
            "tests/integration/test_landing.py::"
            "test_a_reconnected_calendar_is_read_from_the_beginning"
        ),
        edits=(
            Edit(
                CALENDARS,
                "    if cut_off or (status is CalendarStatus.CONNECTED and _was_cut_off(known)):\n",
                "    if cut_off:\n",
            ),
            Edit(LANDING, "        read_since=EPOCH,\n", ""),
        ),
    ),
    Bug(
        name="read-request-lost",
        takes="the note that a calendar was asked for again while it was read",
        breaks=(1,),
        test="tests/integration/test_storage_calendars.py::test_a_wish_during_a_read_is_kept",
        edits=(
            Edit(
                "shared/storage/calendars.py",
                "nothing_new = CalendarRow.read_since.does_not_exist()",
                "nothing_new = CalendarRow.calendar_id.exists()",
            ),
        ),
    ),
    # Webhooks and the queue.
    Bug(
        name="acknowledged-without-sending",
        takes="the message on the queue behind every 2xx",
        breaks=(4,),
        seed=0,
        edits=(Edit(WEBHOOKS, "    service.queue.send(message, unique=delivery_id)\n", ""),),
    ),
    Bug(
        name="acknowledged-though-refused",
        takes="the 5xx when SQS does not take the message",
        breaks=(4,),
        seed=3,
        edits=(
            Edit(
                WEBHOOKS,
                "    service.queue.send(message, unique=delivery_id)\n",
                "    try:\n"
                "        service.queue.send(message, unique=delivery_id)\n"
                "    except TransientError:\n"
                "        pass\n",
            ),
        ),
    ),
    Bug(
        name="deduplicated-by-calendar",
        takes="the delivery id as deduplication id: SQS swallows the calendar's next real change",
        breaks=(4, 5),
        seed=0,
        edits=(
            Edit(
                WEBHOOKS,
                "unique=delivery_id)\n    return 204",
                'unique=getattr(message, "calendar_id", None) or delivery_id)\n    return 204',
            ),
        ),
    ),
    Bug(
        name="deferred-but-acknowledged",
        takes="the failure that is reported to SQS for a message to come back",
        breaks=(5,),
        seed=0,
        edits=(Edit(EDGE, "        self.failed.append(record.message_id)\n", ""),),
    ),
    Bug(
        name="only-the-failed-comes-back",
        takes="the order of a FIFO group: what comes after a failed message must wait, too",
        breaks=(1,),
        test="tests/unit/test_queue_edge.py",
        edits=(Edit(EDGE, "                waits[record.group] = wait\n", ""),),
    ),
    Bug(
        name="bug-stops-the-batch",
        takes="the fence around each message: one that cannot be handled stops no other",
        breaks=(5,),
        test="tests/unit/test_queue_edge.py",
        edits=(
            Edit(
                EDGE,
                "        except Exception as error:  # noqa",
                "        except MemoryError as error:  # noqa",
            ),
        ),
    ),
    Bug(
        name="bell-of-others-forgotten",
        takes="our own bell for work that did not fit into the slice",
        breaks=(1,),
        test=(
            "tests/simulation/test_promises.py::"
            "test_an_import_goes_on_by_itself_nearest_first_and_lets_others_in"
        ),
        edits=(
            Edit(
                SWEEP,
                "        self._queue.ring_work(now=self._clock(), unique=self._unique())\n",
                "",
            ),
        ),
    ),
    # Bots at Recall.
    Bug(
        name="our-record-over-recalls-list",
        takes="Recall's bots[] as the truth over what we remember to have asked for",
        breaks=(1, 2),
        test="tests/unit/test_plan.py::test_the_call_that_is_due",
        edits=(
            Edit(PLAN, "    if ours is not None and not strays and known:", "    if known:"),
            Edit(
                CONSIDER,
                "    if ours is None:\n        return None\n    confirmed",
                "    if ours is None:\n        return assigned\n    confirmed",
            ),
        ),
    ),
    Bug(
        name="row-forgotten-when-recall-fails",
        takes="the rule that an answer 5xx proves nothing about an event",
        breaks=(6, 1),
        test=(
            "tests/simulation/test_promises.py::"
            "test_bot_calls_that_fail_for_longer_than_lists_overlap_lose_nothing"
        ),
        edits=(
            Edit(
                ACT,
                "        except NotFound:\n            return gone(row, around)",
                "        except (NotFound, TransientError):\n            return gone(row, around)",
            ),
        ),
    ),
    Bug(
        name="strays-left",
        takes="the removal of bots that wait for an event besides the right one",
        breaks=(1, 2),
        test=(
            "tests/integration/test_reconciler.py::test_each_class_of_drift_is_counted_and_repaired"
        ),
        edits=(
            Edit(
                PLAN,
                "strays = [entry for entry in coming(row, now=now) if entry is not ours]",
                "strays: list[EventBot] = []",
            ),
        ),
    ),
    Bug(
        name="same-key-after-507",
        takes="the fresh Idempotency-Key after a refusal, which Recall replays for an hour",
        breaks=(1,),
        test="tests/integration/test_keep.py::test_an_empty_pool_is_asked_again_with_another_key",
        edits=(
            Edit(
                KEEP,
                "        except (PoolEmpty, OutOfCredit, Refused):\n"
                "            self._claims.save(self._lost(claim))\n"
                "            raise\n",
                "        except (PoolEmpty, OutOfCredit, Refused):\n            raise\n",
            ),
        ),
    ),
    Bug(
        name="fresh-key-after-silence",
        takes="the same Idempotency-Key after a Create without an answer",
        breaks=(2,),
        test="tests/integration/test_keep.py::test_a_lost_answer_leaves_one_bot",
        edits=(
            Edit(
                KEEP,
                "        except (PoolEmpty, OutOfCredit, Refused):",
                "        except (TransientError, OutOfCredit, Refused):",
            ),
        ),
    ),
    Bug(
        name="claim-after-create",
        takes="the claim that is stored before its Create",
        breaks=(2,),
        test=(
            "tests/integration/test_keep.py::test_a_crash_after_any_effect_is_repeated_without_harm"
        ),
        edits=(
            Edit(
                KEEP,
                "        return self._claims.save(begun(wanted, idempotency_key=key, now=now))",
                "        return begun(wanted, idempotency_key=key, now=now)",
            ),
        ),
    ),
    Bug(
        name="claim-forgotten-before-delete",
        takes="the claim that is forgotten only when its bot is gone",
        breaks=(2, 1),
        test="tests/integration/test_keep.py::test_a_release_that_cannot_end_yet_is_due",
        edits=(
            Edit(
                KEEP,
                "                    self._cancel(parting.bot_id, claim)\n"
                "                return self._gone(without(claim, parting.bot_id))",
                "                    claim, before = without(claim, parting.bot_id), claim\n"
                "                    rest = self._gone(claim)\n"
                "                    self._cancel(parting.bot_id, before)\n"
                "                    return rest\n"
                "                return self._gone(without(claim, parting.bot_id))",
            ),
        ),
    ),
    Bug(
        name="patch-without-doubt",
        takes="the note before a PATCH that the bot may be the old or the new",
        breaks=(1,),
        test=(
            "tests/integration/test_keep.py::"
            "test_a_world_that_changes_after_a_crash_ends_with_what_is_wanted"
        ),
        edits=(
            Edit(
                KEEP,
                "self._claims.save(doubted(claim, wanted, timed=timed))",
                "self._claims.save(updated(claim, wanted))",
            ),
        ),
    ),
    Bug(
        name="created-claim-settled-at-once",
        takes="the second look at a claim after its Create, when a crash hid the bot from its row",
        breaks=(1,),
        test="tests/integration/test_keep.py::test_a_claim_is_due_until_somebody_looks_again",
        edits=(
            Edit(
                CLAIM,
                "        intended_at=now,\n        due=True,\n",
                "        intended_at=now,\n        due=False,\n",
            ),
        ),
    ),
    Bug(
        name="modes-switched-without-draining",
        takes="the wait of one way of scheduling for the other to let go of the meeting",
        breaks=(2,),
        test=(
            "tests/integration/test_self_managed.py::"
            "test_no_bot_is_made_over_there_while_one_cannot_be_taken_off_here"
        ),
        edits=(
            Edit(
                CONSIDER,
                "draining=wish is not None and any(_drains(copy, wish) for copy in around.copies)",
                "draining=False",
            ),
        ),
    ),
    Bug(
        name="orphan-by-one-missing-list",
        takes="the bot's own page, which alone proves that it is gone",
        breaks=(2, 6),
        test="tests/integration/test_orphans.py::test_a_list_that_leaves_a_bot_out_proves_nothing",
        edits=(
            Edit(
                "shared/flows/orphans.py",
                '            bot = self._recall.get_bot(claim.bot_id or "")\n',
                '            raise NotFound("recall_not_found", "not in the list")\n',
            ),
        ),
    ),
    Bug(
        name="grace-removed",
        takes="the minutes in which a copy that moved first waits for the others",
        breaks=(1,),
        test=(
            "tests/integration/test_copies.py::"
            "test_copies_that_update_minutes_apart_never_have_two_bots"
        ),
        edits=(Edit(PLAN, "GRACE = timedelta(minutes=5)", "GRACE = timedelta(0)"),),
    ),
    Bug(
        name="leavers-stay",
        takes="the request to leave for a bot at the door of a meeting that moved",
        breaks=(1,),
        test=(
            "tests/integration/test_two_ways.py::"
            "test_a_bot_at_the_door_of_a_meeting_that_moved_on_leaves"
        ),
        edits=(
            Edit(
                CONSIDER,
                "return assigned.join_at - now <= WARM_UP and is_outside(assigned.state)",
                "return False",
            ),
        ),
    ),
    Bug(
        name="watchdog-off",
        takes="the look for a bot that should be in its call and said nothing",
        breaks=(0,),
        test="tests/unit/test_watchdog.py",
        edits=(
            Edit(
                "shared/domain/watchdog.py",
                "    return min(start + LOOK_AFTER_START, max(start, end))",
                "    return None",
            ),
        ),
    ),
    Bug(
        name="preflight-missing",
        takes="the second pair of eyes on what starts in 10 to 25 minutes",
        breaks=(1,),
        test=(
            "tests/integration/test_reconciler.py::"
            "test_a_bot_deleted_behind_our_back_is_restored_before_its_meeting"
        ),
        edits=(Edit(RECONCILER, "due = self.reconciler.preflight()", "due = 0"),),
    ),
    # Meetings, rules, people's words.
    Bug(
        name="tenant-not-in-the-key",
        takes="the tenant in the meeting key",
        breaks=(3,),
        seed=1,
        edits=(
            Edit(
                ROOM,
                "parts = [KEY_VERSION, _quoted(tenant_id), room(meeting_url), moment]",
                "parts = [KEY_VERSION, room(meeting_url), moment]",
            ),
        ),
    ),
    Bug(
        name="link-instead-of-room",
        takes="the room behind the link, so that two invitations to it are one meeting",
        breaks=(2,),
        test="tests/unit/test_room.py::test_the_key_of_every_example_is_what_it_always_was",
        edits=(
            Edit(
                ROOM,
                "_quoted(tenant_id), room(meeting_url), moment]",
                "_quoted(tenant_id), _quoted(meeting_url), moment]",
            ),
        ),
    ),
    Bug(
        name="start-without-minutes",
        takes="the minute of the start in the meeting key",
        breaks=(1,),
        test="tests/unit/test_room.py::test_another_start_is_another_meeting",
        edits=(Edit(ROOM, '"%Y-%m-%dT%H:%MZ"', '"%Y-%m-%dT%HZ"'),),
    ),
    Bug(
        name="override-dropped-on-a-move",
        takes="a person's word that survives a move of the meeting",
        breaks=(10,),
        test="tests/unit/test_consider.py::test_off_survives_every_edit_move_and_rule_change",
        edits=(
            Edit(
                CONSIDER,
                "    wanted = row.wanted and not moved_away\n",
                "    wanted = row.wanted and not moved_away\n"
                "    if event.start != row.event.start:\n"
                "        row = replace(row, override=type(row.override)())\n",
            ),
        ),
    ),
    Bug(
        name="override-lost-on-a-rule-change",
        takes="a person's word that survives a change of rules",
        breaks=(10,),
        seed=18,
        edits=(
            Edit(
                REDECIDE,
                "    after = reconsidered(row, around)\n",
                "    row = replace(row, override=type(row.override)())\n"
                "    after = reconsidered(row, around)\n",
            ),
        ),
    ),
    Bug(
        name="override-overwritten",
        takes=(
            "the version that a person's word raises, so that an older reading cannot overwrite it"
        ),
        breaks=(10,),
        test=(
            "tests/integration/test_storage_meetings.py::"
            "test_racing_overrides_and_saves_lose_nothing"
        ),
        edits=(
            Edit(
                MEETINGS,
                "counted = [*actions, MeetingRow.version.set(MeetingRow.version + 1)]",
                "counted = [*actions]",
            ),
        ),
    ),
    Bug(
        name="override-without-work",
        takes="the mark on a row that a person's word owes work",
        breaks=(10, 1),
        test=(
            "tests/integration/test_storage_meetings.py::"
            "test_an_override_makes_the_meeting_due_and_keeps_the_rest"
        ),
        edits=(
            Edit(
                MEETINGS,
                "actions = [MeetingRow.override.set(override_map(override)), *_due_at(now)]",
                "actions = [MeetingRow.override.set(override_map(override))]",
            ),
        ),
    ),
    Bug(
        name="opt-out-ignored",
        takes="the opt-out of somebody invited, in the copy's own decision",
        breaks=(10,),
        test=(
            "tests/integration/test_copies.py::"
            "test_who_opts_out_is_heard_whatever_anybody_says_and_can_take_it_back"
        ),
        edits=(
            Edit(
                DECISION,
                'return _skip("denied.opt_out") if case.circumstances.opted_out else None',
                "return None",
            ),
        ),
    ),
    Bug(
        name="denial-of-one-copy-alone",
        takes="the vote in which what is denied to one copy is denied to all",
        breaks=(1, 10),
        test="tests/unit/test_vote.py",
        edits=(
            Edit(
                VOTE,
                'if any(each.decision.reason.startswith("denied.") for each in voters):',
                "if False:",
            ),
        ),
    ),
    Bug(
        name="veto-ignored",
        takes="the veto of a copy that was switched off",
        breaks=(1, 10),
        test="tests/unit/test_vote.py",
        edits=(
            Edit(
                VOTE,
                "        case Veto.ANY:\n            return any(each.refuses for each in voters)",
                "        case Veto.ANY:\n            return False",
            ),
        ),
    ),
    Bug(
        name="organizer-without-first-word",
        takes="the organizer's word where the rules give it the first",
        breaks=(1,),
        test="tests/unit/test_vote.py",
        edits=(Edit(VOTE, "return host is None or host.decision.join", "return True"),),
    ),
    Bug(
        name="copies-not-woken",
        takes="the waking of a meeting's other copies when a voice changes",
        breaks=(1,),
        test="tests/integration/test_copies.py",
        edits=(
            Edit(
                OBSERVE,
                "        list(pool.map(lambda event_id: wake(event_id, now=now, "
                "shared=True), sorted(away)))\n",
                "",
            ),
        ),
    ),
    Bug(
        name="lately-keyed-dropped",
        takes="the hints at copies that were stored a moment ago and no index knows yet",
        breaks=(1, 2),
        test=(
            "tests/simulation/test_dynamo.py::test_who_wrote_a_copy_finds_it_before_the_index_does"
        ),
        edits=(
            Edit(
                MEETINGS,
                "dict.fromkeys([*indexed, *self._lately.of(meeting_key)])",
                "dict.fromkeys(indexed)",
            ),
        ),
    ),
    Bug(
        name="horizon-ignored",
        takes="the horizon of the rules",
        breaks=(1,),
        test="tests/unit/test_decision.py",
        edits=(
            Edit(
                DECISION,
                "if horizon is not None and event.start - circumstances.now > horizon:",
                "if False:",
            ),
        ),
    ),
    Bug(
        name="paused-keeps-bots",
        takes="the pause that takes bots off",
        breaks=(1,),
        test="tests/unit/test_decision.py",
        edits=(Edit(DECISION, "if circumstances.rules.mode is Mode.PAUSED:", "if False:"),),
    ),
    Bug(
        name="preview-makes-bots",
        takes="the preview that only shows what would be",
        breaks=(1,),
        test="tests/unit/test_vote.py::test_a_copy_in_preview_lends_no_bot",
        edits=(
            Edit(CONSIDER, " and around.rules.mode is Mode.LIVE\n    owner", "\n    owner"),
            Edit(
                VOTE,
                "each for each in joining if each.rules.mode is Mode.LIVE",
                "each for each in joining",
            ),
        ),
    ),
    Bug(
        name="rules-not-walked",
        takes="the walk that decides stored meetings anew after a change of rules",
        breaks=(1,),
        test="tests/integration/test_redecide.py::test_a_change_takes_bots_off_and_puts_them_back",
        edits=(
            Edit(SCHEDULER, "chores=(redecider.go_on, eraser.go_on)", "chores=(eraser.go_on,)"),
        ),
    ),
    # Storing.
    Bug(
        name="row-saved-whatever-its-version",
        takes="the version that a row must still have to be saved",
        breaks=(1, 10),
        test=(
            "tests/integration/test_storage_meetings.py::"
            "test_a_save_on_an_outdated_reading_conflicts"
        ),
        edits=(
            Edit(
                MEETINGS,
                "self._table.put(_row(meeting, version=version), condition=_unchanged(meeting))",
                "self._table.put(_row(meeting, version=version))",
            ),
        ),
    ),
    Bug(
        name="claim-saved-whatever-its-version",
        takes="the version that a claim must still have to be saved",
        breaks=(2,),
        test="tests/integration/test_storage_claims.py::test_an_older_reading_changes_nothing",
        edits=(
            Edit(
                CLAIMS,
                "self._table.put(_row(claim, version=version), condition=_unchanged(claim))",
                "self._table.put(_row(claim, version=version))",
            ),
        ),
    ),
    Bug(
        name="stored-before-told",
        takes="the notice before the row: after a crash in between it is never told",
        breaks=(0,),
        test=(
            "tests/integration/test_scheduler_faults.py::"
            "test_a_crash_after_any_effect_costs_time_only"
        ),
        edits=(
            Edit(
                ACT,
                "        self._bus.publish(notice for turn in turns for notice "
                "in notices(turn.step))\n",
                "",
            ),
            Edit(
                ACT,
                "        list(pool.map(lambda turn: self._store(turn, met=met), turns))\n",
                "        list(pool.map(lambda turn: self._store(turn, met=met), turns))\n"
                "        self._bus.publish(notice for turn in turns for notice "
                "in notices(turn.step))\n",
            ),
        ),
    ),
    # Order, slices and budgets.
    Bug(
        name="farthest-first",
        takes="the order of work: the nearest start first",
        breaks=(7,),
        test=(
            "tests/simulation/test_promises.py::"
            "test_an_import_goes_on_by_itself_nearest_first_and_lets_others_in"
        ),
        edits=(
            Edit(
                ACT,
                "return sorted(left, key=lambda row: (row.event.start, row.event.event_id))",
                "return sorted(left, key=lambda row: row.event.start, reverse=True)",
            ),
        ),
    ),
    Bug(
        name="slice-without-end",
        takes="the slice after which a run listens again",
        breaks=(7,),
        test=(
            "tests/simulation/test_promises.py::"
            "test_an_import_goes_on_by_itself_nearest_first_and_lets_others_in"
        ),
        edits=(
            Edit(ACT, "            while self._clock() < until:", "            while True:"),
            Edit(
                ACT,
                "                    if self._clock() >= until:\n",
                "                    if False:\n",
            ),
        ),
    ),
    Bug(
        name="budget-per-process",
        takes="the budget that all processes share",
        breaks=(7,),
        test="tests/integration/test_shared_budget.py::test_two_instances_share_one_window",
        edits=(
            Edit(
                BUDGET,
                "        slots, version = self._store.read_budget(endpoint)\n        tokens",
                "        slots, version = dict(getattr(self, 'own', {}).get(endpoint, {})), 0\n"
                "        self.own = getattr(self, 'own', {})\n"
                "        tokens",
            ),
            Edit(
                BUDGET,
                "        return tokens if self._store.write_budget(endpoint, "
                "spent, version=version) else 0",
                "        self.own[endpoint] = spent\n        return tokens",
            ),
        ),
    ),
    Bug(
        name="budget-without-the-reconciler",
        takes="the reconciler's calls in the budget of the workspace",
        breaks=(7,),
        test="tests/integration/test_reconciler.py::test_two_processes_together_keep_the_limits",
        edits=(
            Edit(
                RECONCILER,
                "CALLS_IN_FLIGHT: Final = 1\n",
                "CALLS_IN_FLIGHT: Final = 1\n\n\n"
                "class _Alone:\n"
                "    def __init__(self): self.kept = {}\n"
                "    def read_budget(self, endpoint): return dict(self.kept.get(endpoint, {})), 0\n"
                "    def write_budget(self, endpoint, slots, *, version):\n"
                "        self.kept[endpoint] = dict(slots)\n"
                "        return True\n\n\n",
            ),
            Edit(RECONCILER, "        store=stores.workspace,\n", "        store=_Alone(),\n"),
        ),
    ),
    Bug(
        name="budget-of-a-full-minute",
        takes="the slots that keep any 60 s within the limit, not only the minutes of the clock",
        breaks=(7,),
        test="tests/unit/test_budget.py",
        edits=(
            Edit(
                BUDGET,
                "spent = (n for slot, n in slots.items() if abs(slot - here) < self.length)\n"
                "        return max",
                "spent = (n for slot, n in slots.items() if slot // 12 == here // 12)\n"
                "        return max",
            ),
        ),
    ),
    Bug(
        name="429-not-heeded",
        takes="the block of an endpoint that Recall turned away",
        breaks=(7,),
        test=(
            "tests/integration/test_recall_transport.py::"
            "test_a_429_stops_the_budget_of_its_endpoint"
        ),
        edits=(
            Edit(
                TRANSPORT,
                "            self._budget.block(request.endpoint, "
                "seconds=throttled.retry_after or 0)\n",
                "",
            ),
        ),
    ),
    Bug(
        name="same-key-in-parallel",
        takes="the waves in which no two rows of one meeting go to Recall at once",
        breaks=(2,),
        test="tests/unit/test_waves.py",
        edits=(
            Edit(
                ACT,
                "if len(wave) < CALLS_IN_FLIGHT and place not in wave:",
                "if len(wave) < CALLS_IN_FLIGHT:",
            ),
            Edit(
                ACT,
                "                wave[place] = row\n",
                "                wave[place, row.event.event_id] = row\n",
            ),
        ),
    ),
    # Calendars and people.
    Bug(
        name="create-without-the-claims-key",
        takes="the account's claim as Idempotency-Key of Create Calendar",
        breaks=(1,),
        test="tests/simulation/test_directed.py",
        edits=(
            Edit(
                LANDING,
                "idempotency_key=claim.claim_id if claim else arrival.claim_id",
                "idempotency_key=arrival.claim_id",
            ),
        ),
    ),
    Bug(
        name="claim-not-asked",
        takes="the account's claim before Create Calendar: one calendar for one account",
        breaks=(1,),
        test=(
            "tests/integration/test_connect.py::"
            "test_a_second_connect_of_an_account_keeps_its_calendar"
        ),
        edits=(
            Edit(
                LANDING,
                "    claim, known = _holder(doors, arrival, claim=_claim(doors, "
                "arrival, now=now), now=now)\n",
                "    claim, known = None, None\n",
            ),
        ),
    ),
    Bug(
        name="merge-keeps-the-younger",
        takes="the older calendar id that stays when two are one account",
        breaks=(0,),
        test="tests/integration/test_calendars_api.py",
        edits=(
            Edit(
                CALENDARS,
                "key=lambda calendar: (calendar.created_at, calendar.calendar_id))",
                "key=lambda calendar: (calendar.created_at, calendar.calendar_id), reverse=True)",
            ),
        ),
    ),
    Bug(
        name="token-not-sealed-before-create",
        takes="the token that is kept sealed before Recall is asked, for a code works only once",
        breaks=(4,),
        test="tests/integration/test_connect.py::test_a_consent_waits_sealed_until_recall_is_back",
        edits=(
            Edit(
                CONNECT,
                '    context = _context(session, "token")\n    return '
                "doors.browser.sessions.save(\n        replace(",
                '    context = _context(session, "token")\n    return (\n        replace(',
            ),
        ),
    ),
    Bug(
        name="erased-too-soon",
        takes="the seconds that an erasure waits for what an index does not show yet",
        breaks=(1,),
        test="tests/integration/test_erase.py",
        edits=(
            Edit(
                ERASE,
                "if calendar is None and self._clock() < erasure.asked_at + INDEXES_LAG_AT_MOST:",
                "if False:",
            ),
        ),
    ),
    Bug(
        name="gone-without-a-trace",
        takes="the waking of other copies and claims when a calendar's rows go",
        breaks=(1,),
        test="tests/integration/test_erase.py::test_a_bot_of_our_own_goes_too",
        edits=(
            Edit(REMOVAL, "            _wake_copies(doors, meeting, now=now)\n", ""),
            Edit(REMOVAL, "            _wake_claim(doors, meeting, now=now)\n", ""),
        ),
    ),
    Bug(
        name="disconnected-keeps-voting",
        takes="the rule that a disconnected calendar wants nothing",
        breaks=(1,),
        test="tests/unit/test_decision.py",
        edits=(
            Edit(
                DECISION,
                "if circumstances.status is CalendarStatus.DISCONNECTED:",
                "if False:",
            ),
        ),
    ),
    Bug(
        name="update-not-followed",
        takes="what calendar.update says: a connection that broke or came back",
        breaks=(1, 0),
        test=(
            "tests/integration/test_scheduler.py::"
            "test_a_disconnect_takes_the_bots_and_a_reconnect_restores_them"
        ),
        edits=(
            Edit(
                SCHEDULER,
                "                refresh(self.doors, message.calendar_id, now=self.clock())\n",
                "                pass\n",
            ),
            Edit(RECONCILER, "self.reconciler.refresh_calendars()", "0"),
        ),
    ),
    # Explaining, and words that must not be said.
    Bug(
        name="explained-from-memory",
        takes="the explanation by the function that decides: people see what held a while ago",
        breaks=(9,),
        test="tests/unit/test_consider.py",
        edits=(
            Edit(
                CONSIDER,
                "return row if row.event.end <= around.now else _decided(row, around)",
                "return row",
            ),
        ),
    ),
    Bug(
        name="address-in-a-log-line",
        takes="the allow-list's promise that a log line holds ids and codes alone",
        breaks=(8,),
        test=(
            "tests/simulation/test_directed.py::"
            "test_a_call_that_was_put_off_is_logged_without_whom_it_is_about"
        ),
        edits=(
            Edit(
                ACT,
                '"bot call postponed", event_id=row.event.event_id, code=error.code',
                '"bot call postponed", event_id=row.event.event_id, code=row.event.organizer_email',
            ),
        ),
    ),
    Bug(
        name="crash-with-its-text",
        takes="the log of an error without its text, which may quote a secret",
        breaks=(8,),
        test="tests/unit/test_observability.py::test_a_crash_says_where_and_not_what",
        edits=(
            Edit(
                "shared/observability.py",
                '            "trace": error_frames(cause),\n',
                '            "trace": [*error_frames(cause), str(cause)],\n',
            ),
        ),
    ),
    Bug(
        name="unsigned-taken",
        takes="the signature without which no delivery is heard",
        breaks=(4,),
        test=(
            "tests/integration/test_webhooks_function.py::"
            "test_what_is_not_signed_is_401_and_not_queued"
        ),
        edits=(
            Edit(
                WEBHOOKS,
                "    if body is None or delivery_id is None:\n",
                '    delivery_id = delivery_id or "unsigned"\n'
                "    if body is None or delivery_id is None:\n",
            ),
        ),
    ),
)
