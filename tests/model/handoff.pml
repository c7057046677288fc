/*
 * handoff.pml: model of the hand-off (common/attempt/handoff.c) for spin; run it with tests/model/run.
 *
 * Two agents with journals, two QEMUs, two links. The agents follow the rules of handoff.c, one action per step, and
 * may crash before any of them; a crash keeps the journal and loses the rest, and an agent may never start again. The
 * source's has a guard then, which takes the guest back and no more. A link is a set of states: a message
 * stays in it, so it may come late, twice and in any order; a bounded number are lost, and resent. Numbers of crashes,
 * deaths and losses are bounded and chosen at the start (a reboot is a crash with the QEMU's death); nothing else is.
 * Somebody else may resume the guest (QMP cont) where QEMU allows it: at the source once its migration is completed, unless
 * it is held by SIGSTOP. At the destination there is no monitor for that before STARTED. Who takes a held QEMU up again, and resumes it, has
 * made two of one: no rule can help, and unit/test-both-conductors has what is said then. An agent that is stopped (SIGSTOP) takes its next step
 * late, as any may here; what ends it after a while (the guard, the next agent) makes it one that has crashed.
 * A person may have the copy at the destination started while the source's host is down (fence), and that comes up again; or want the guest
 * back that runs there, as it was when it was handed over (revert). What else
 * persons decide is not here but in tests/unit/test-handoff.c, which walks the real code.
 *
 * Without unlimited faults no step can be repeated for ever (a message that would change nothing is not delivered), so
 * every run comes to rest, and liveness is what holds at rest: `timeout` in Judge.
 *
 * CHECK selects the property: 1 never two running, 2 take-back only before COMMITTED or on durable NOVM, and never once a person has had
 * the copy started, 3 the
 * destination never starts a copy that the source has run on from, nor the source end its QEMU before the destination
 * ran, 4 at rest the guest runs, both agents are done, and nothing that could not be undone is forgotten. ALL_SAFETY (0) is 1, 2 and 3 in
 * one search: their assertions only look, so they meet the same states. MUTATE_x seeds a mistake.
 *
 * KIND is how it moves. WARM: the guest is shut down at the source, and its QEMU, which stays for it, runs it on by nobody's word but one
 * (system_reset, and cont), which anybody may say from then on. COLD: it is shut down, and "runs" is that it may be started: the source's
 * copy is locked and set aside by the agent, who has no guard, and the destination's has no name yet that anybody starts.
 */
#define LIVE 0
#define WARM 1
#define COLD 2
#ifndef KIND
#define KIND LIVE
#endif
#define ALL_SAFETY 0
#ifndef CHECK
#define CHECK 1
#endif
#ifndef CRASHES
#define CRASHES (CHECK == 4 -> 1 : 2)
#endif
#ifndef LOSSES
#define LOSSES (CHECK == 4 -> 1 : 0) /* to be never delivered is to be lost, where only safety counts */
#endif

#ifndef FAULTS
#define FAULTS 3 /* of any kinds, in one run; CHECK 4 only */
#endif

/* As enum handoff_state. */
#define NONE 0
#define SB 1
#define SC 2
#define SR 3
#define SA 4
#define DB 5
#define DP 6
#define DSTART 7
#define DRAN 8
#define DDONE 9
#define DNOVM 10
#define DA 11
#define SV 12 /* REVERTING */
#define bit(s) (1 << (s))

/* QEMUs. */
#define RUN 0
#define STOP 1 /* source: all sent, waits for SHUT; if its sockets close it runs on. destination: not started */
#define COMP 2 /* source: completed. destination: ran, and was stopped by something else */
#define DEAD 3
#define PRE 4 /* source: in pre-switchover; whatever becomes of its sockets it waits for the agent */

byte sdisk = SB, ddisk = DB; /* journals */
short to_d = 0, to_s = 0;    /* links */
byte svm = RUN, dvm = STOP;
bool end_out, shut_out;
bool ran_on; /* the source guest ran after END */
bool d_ran;  /* the destination guest ran */
bool held;   /* the source QEMU, by SIGSTOP */
bool s_left, d_left; /* something could not be undone there */
bool ev_comp, ev_fail, ev_res; /* unread events of the source QEMU */
bool cont_ok, cont_no;	      /* answer to cont */
bool s_up = 1, s_forgot, d_forgot, s_fin, d_fin, s_gone, d_gone;
bool commit_sent;
bool s_down; /* nothing of the move runs on the source's host */
bool fenced; /* a person said so, and the copy was started */
bool reverting; /* a person wants it back: in the journal */

byte s_crashes, d_crashes, losses;
bool may_abort_s, may_abort_d, s_may_die, d_may_die, may_fail, may_refuse, may_stop, may_cont, may_leave, may_leave_d, s_never, d_never,
     may_fence, may_revert, forget_s, forget_d;

#if CHECK == 1 || CHECK == ALL_SAFETY
#define NEVER_TWO assert(!(svm == RUN && dvm == RUN))
#else
#define NEVER_TWO skip
#endif
#if CHECK == 2 || CHECK == ALL_SAFETY
#define TAKE_BACK_OK assert(!commit_sent || ddisk == DNOVM || ddisk == DA); assert(!d_ran || reverting)
#define ABORT_OK assert(!fenced || !d_ran)
#else
#define ABORT_OK skip
#define TAKE_BACK_OK skip
#endif
#if CHECK == 3 || CHECK == ALL_SAFETY
#define START_OK assert(!ran_on || fenced)
#define END_OK assert(d_ran)
#else
#define START_OK skip
#define END_OK skip
#endif

/* One action; the agent may crash instead. */
#define S_(action) if :: atomic { action } :: s_crashes > 0 -> goto crashed fi
#define D_(action) if :: atomic { action } :: d_crashes > 0 -> goto crashed fi

#define S_SEND assert(st == sdisk); to_d = to_d | bit(st); if :: st == SC -> commit_sent = true :: else fi
#define D_SEND assert(st == ddisk); to_s = to_s | bit(st)
#define CONT_SOURCE \
	if \
	:: svm != DEAD -> held = false; TAKE_BACK_OK; svm = RUN; ran_on = ran_on || end_out; NEVER_TWO \
	:: else \
	fi
#define UNDO s_left = may_leave; may_leave = false
#define UNDO_D d_left = may_leave_d; may_leave_d = false
#define TAKE_BACK st = SA; rst = false; S_(ABORT_OK; sdisk = SA); S_(CONT_SOURCE); S_(UNDO); S_(S_SEND)
/* The guard does not crash: should it be killed with its agent, a person is needed, as for an agent without one. */
#define S_GUARD(action) atomic { action }
#define CONT_DESTINATION \
	if \
	:: dvm == DEAD \
	:: dvm == RUN -> cont_ok = true \
	:: dvm != DEAD && dvm != RUN -> START_OK; dvm = RUN; d_ran = true; cont_ok = true; NEVER_TWO \
	:: may_refuse && dvm != DEAD && dvm != RUN -> may_refuse = false; cont_no = true \
	fi
#define END_DESTINATION if :: dvm != DEAD -> assert(!d_ran || reverting); dvm = DEAD :: else fi; alive = false
#define CLEAR_OUT st = DA; rst = false; D_(ddisk = DA); D_(END_DESTINATION); D_(UNDO_D); D_(D_SEND; d_fin = true)

#ifdef MUTATE_COMMIT_SENT_BEFORE_JOURNALED
#define COMMIT st = SC; rst = false; S_(to_d = to_d | bit(SC); commit_sent = true); S_(sdisk = SC)
#else
#define COMMIT st = SC; rst = false; S_(sdisk = SC); S_(S_SEND)
#endif
#ifdef MUTATE_START_JOURNALED_AFTER_CONT
#define START st = DSTART; rst = false; D_(CONT_DESTINATION); D_(ddisk = DSTART)
#else
#define START st = DSTART; rst = false; D_(ddisk = DSTART); D_(CONT_DESTINATION)
#endif

#ifdef MUTATE_NOTHING_IS_RESENT
#define RESENDS false
#else
#define RESENDS true
#endif

#if KIND == LIVE
#define LET_SHUT shut_out = true
#else
#define LET_SHUT if :: svm == STOP -> svm = COMP :: else fi; ev_comp = true /* nobody else says so */
#endif

proctype Source()
{
	byte st = SB;
	bool stopped, end_sent, shut, rst, ready, alive = true;
	bool asks; /* cold: it could be started, but all was sent */

loop:
	do
	/* BEGUN */
	:: st == SB && svm == RUN && alive && !rst && !stopped && !ev_fail ->
		atomic { if :: svm == RUN -> stopped = true; svm = PRE :: else fi }
	:: st == SB && svm == PRE && alive && stopped && !end_sent ->
		S_(if :: svm == PRE -> end_sent = true; svm = STOP; end_out = true :: else fi)
	:: st == SB && (to_s & bit(DP)) && end_sent && alive && !shut ->
		ready = true;
		S_(shut = true; LET_SHUT)
	:: st == SB && (to_s & bit(DP)) && end_sent && !alive -> COMMIT
	:: st == SB && (to_s & bit(DP)) && rst && !alive && !ready -> ready = true /* undecided, but for the next */
#ifdef MUTATE_RESTARTED_SOURCE_COMMITS_WITHOUT_PROOF
	:: st == SB && rst && !alive && ready -> COMMIT
#else
	:: st == SB && rst && !alive && ready && end_out && !ran_on -> COMMIT
#endif
	:: st == SB && (to_s & bit(DB)) && rst && !alive && !ready -> TAKE_BACK
	:: st == SB && (to_s & (bit(DB) | bit(DP))) && asks -> asks = false; TAKE_BACK
#if KIND == COLD && !defined(MUTATE_WHAT_IS_FORGOTTEN_IS_GIVEN_BACK)
	:: st == SB && (to_s & (bit(DNOVM) | bit(DA))) -> TAKE_BACK
	:: st == SB && (to_s & bit(NONE)) && !asks -> TAKE_BACK
#else
	:: st == SB && (to_s & (bit(DNOVM) | bit(DA) | bit(NONE))) -> TAKE_BACK
#endif
#ifdef MUTATE_A_RESTARTED_SOURCE_ABORTS_UNHEARD
	:: st == SB && may_abort_s -> TAKE_BACK
#else
	:: st == SB && may_abort_s && !(rst && !alive) && !asks -> TAKE_BACK
#endif
	:: st == SB && d_gone && !fenced -> TAKE_BACK
#ifndef MUTATE_A_STARTED_COPY_IS_NOT_HEARD_OF
	:: st == SB && (to_s & (bit(DRAN) | bit(DDONE))) && (!alive || asks) ->
#if KIND == COLD
		S_(END_OK; svm = DEAD);
#endif
		st = SR;
		rst = false;
		S_(sdisk = SR);
		S_(S_SEND)
#endif
	:: st == SB && (ev_fail || ev_res) && !ev_comp -> ev_fail = false; ev_res = false; TAKE_BACK
#ifdef MUTATE_COMMITTED_BEFORE_IT_IS_HELD
	:: st == SB && ev_comp && shut && alive -> ev_comp = false; COMMIT; S_(held = svm != DEAD)
#else
	:: st == SB && ev_comp && shut && alive ->
		ev_comp = false;
		S_(held = svm != DEAD);
		if
#ifndef MUTATE_A_RESUME_IS_NOT_LOOKED_FOR
		:: ev_res -> ev_res = false; TAKE_BACK
#endif
#ifdef MUTATE_A_RESUME_IS_NOT_LOOKED_FOR
		:: held -> ev_res = false; COMMIT
#else
		:: !ev_res && held -> COMMIT
#endif
		:: !ev_res && !held
		fi
#endif
	:: svm == DEAD && alive && !ev_comp && !ev_fail && !ev_res ->
		alive = false;
		if
		:: st == SB && end_sent && ready -> COMMIT
		:: st == SB && !end_sent && !rst -> TAKE_BACK
		:: else
		fi
	/* COMMITTED */
	:: st == SC && (to_s & bit(DRAN)) && may_revert && alive && !rst ->
		may_revert = false;
#ifdef MUTATE_REVERT_TOLD_BEFORE_IT_IS_JOURNALED
		S_(to_d = to_d | bit(SV));
		st = SV;
		S_(sdisk = SV; reverting = true)
#else
		st = SV;
		S_(sdisk = SV; reverting = true);
		S_(S_SEND)
#endif
	:: st == SC && (to_s & (bit(DRAN) | bit(DDONE))) ->
		S_(END_OK; svm = DEAD; held = false; alive = false);
		st = SR;
		rst = false;
		S_(sdisk = SR);
		S_(S_SEND)
	:: st == SC && (to_s & (bit(DNOVM) | bit(DA))) -> TAKE_BACK
#ifdef MUTATE_SOURCE_CONTS_AFTER_COMMITTED
	:: st == SC && may_abort_s -> TAKE_BACK
#endif
	/* REVERTING */
	:: st == SV && (to_s & (bit(DNOVM) | bit(DA))) -> TAKE_BACK
#ifdef MUTATE_REVERTED_BEFORE_NOVM
	:: st == SV && (to_s & bit(DRAN)) -> TAKE_BACK
#endif
	/* RELEASED, ABORTED */
	:: st == SR && (to_s & (bit(DDONE) | bit(NONE))) && !s_fin -> s_fin = true
	:: st == SA && (to_s & (bit(DA) | bit(NONE))) && !s_fin -> s_fin = true
	:: st == SA && (ev_comp || ev_fail || ev_res) -> ev_comp = false; ev_fail = false; ev_res = false; S_(CONT_SOURCE)
	/* any */
	:: (st == SC || st == SV || st == SR) && (ev_comp || ev_fail || ev_res) -> ev_comp = false; ev_fail = false; ev_res = false
	:: RESENDS && !s_fin && !(to_d & bit(st)) && !(st == SV && !alive) -> S_(S_SEND)
#ifdef MUTATE_WHAT_IS_LEFT_IS_FORGOTTEN
	:: s_fin && forget_s -> goto forgotten
#else
	:: s_fin && forget_s && !s_left -> goto forgotten
#endif
	:: s_crashes > 0 -> goto crashed
	od;

crashed:
	skip;
	d_step {
		s_crashes--;
		s_up = false;
		stopped = false; end_sent = false; shut = false; ready = false; s_fin = false;
		ev_comp = false; ev_fail = false; ev_res = false;
	}
#ifdef MUTATE_WHAT_IS_SHUT_DOWN_IS_ONLY_LOCKED
	if :: svm != DEAD -> svm = RUN; NEVER_TWO :: else fi;
#endif
#if !defined(MUTATE_NO_GUARD) && KIND != COLD
	if
	:: sdisk == SB && svm != DEAD -> S_GUARD(sdisk = SA); S_GUARD(CONT_SOURCE); S_GUARD(UNDO)
	:: sdisk == SA -> S_GUARD(CONT_SOURCE); S_GUARD(UNDO)
	:: else
	fi;
#endif
#if KIND == COLD
	if
	:: s_may_die -> s_may_die = false; s_down = true
	:: true
	fi;
	asks = false;
#else
	s_down = (svm == DEAD);
#endif
	if
	:: s_never -> s_gone = true; goto over
	:: true
	fi;
	d_step {
		s_up = true;
#if KIND == COLD && !defined(MUTATE_WHAT_IS_SHUT_DOWN_IS_TAKEN_BACK_UNHEARD)
		asks = sdisk == SB && end_out;
#endif
		s_down = false;
		st = sdisk;
		rst = true;
		alive = (svm != DEAD);
	}
	if
	:: st == SB && alive && !asks -> TAKE_BACK
	:: st == SA -> S_(CONT_SOURCE); S_(UNDO); S_(S_SEND)
	:: st == SC || st == SR || (st == SB && (!alive || asks)) -> S_(S_SEND)
	:: st == SV -> /* nobody wants it back any more; nothing of an earlier session arrives in a new one */
		d_step { to_d = to_d & ~bit(SV); to_s = to_s & ~bit(DRAN); st = SC };
		S_(sdisk = SC);
		S_(S_SEND)
	fi;
	goto loop;

forgotten:
	s_forgot = true;
	do
	:: to_s != 0 && !(to_d & bit(NONE)) -> to_d = to_d | bit(NONE)
	od;
over:
	skip
}

proctype Destination()
{
	byte st = DB;
	bool rst, alive = true;

loop:
	do
	/* BEGUN */
	:: st == DB && end_out && dvm == STOP && !rst -> st = DP; D_(ddisk = DP); D_(D_SEND)
	:: st == DB && ((to_d & (bit(SA) | bit(NONE))) || may_abort_d) -> CLEAR_OUT
	:: dvm == DEAD && alive && !cont_ok && !cont_no ->
		alive = false;
		if
		:: st == DB -> CLEAR_OUT
		:: st == DP -> st = DNOVM; rst = false; D_(ddisk = DNOVM); D_(D_SEND)
#ifdef MUTATE_NOVM_AFTER_START
		:: st == DSTART -> st = DNOVM; rst = false; D_(ddisk = DNOVM); D_(D_SEND)
#endif
		:: else
		fi
	/* PREPARED */
#ifdef MUTATE_DESTINATION_STARTS_WITHOUT_COMMIT
	:: st == DP && alive -> START
#else
	:: st == DP && alive && (to_d & (bit(SC) | bit(SR))) -> START
#endif
	:: st == DP && (to_d & bit(SA)) -> CLEAR_OUT
	:: atomic { may_fence && s_down && st == DP && alive && dvm == STOP && (sdisk == SB || sdisk == SC) ->
		may_fence = false; fenced = true; to_s = 0; to_d = 0 /* with the connections */ }; START
	/* START */
	:: st == DSTART && cont_ok ->
		cont_ok = false;
		if
		:: alive -> st = DRAN; rst = false; D_(ddisk = DRAN); D_(D_SEND)
		:: else
		fi
	:: st == DSTART && cont_no && !rst ->
		cont_no = false;
		st = DNOVM;
		D_(ddisk = DNOVM);
		D_(END_DESTINATION);
		D_(D_SEND)
	:: st == DSTART && cont_no && rst -> cont_no = false; D_(CONT_DESTINATION) /* tried again */
	:: st == DSTART && !alive && (to_d & bit(SA)) -> CLEAR_OUT
	/* STARTED, NOVM */
#ifdef MUTATE_NOVM_SAID_BEFORE_ITS_QEMU_HAS_ENDED
	:: st == DRAN && (to_d & bit(SV)) -> st = DNOVM; rst = false; D_(ddisk = DNOVM); D_(D_SEND); D_(END_DESTINATION)
#else
	:: st == DRAN && (to_d & bit(SV)) -> st = DNOVM; rst = false; D_(ddisk = DNOVM); D_(END_DESTINATION); D_(D_SEND)
#endif
	:: st == DRAN && ((to_d & (bit(SR) | bit(NONE))) || fenced) ->
		st = DDONE;
		rst = false;
		D_(ddisk = DDONE);
		D_(D_SEND; d_fin = true)
	:: st == DNOVM && (to_d & (bit(SA) | bit(NONE))) -> CLEAR_OUT
	/* any */
	:: st != DSTART && (cont_ok || cont_no) -> cont_ok = false; cont_no = false
	:: RESENDS && !(to_s & bit(st)) -> D_(D_SEND)
#ifdef MUTATE_WHAT_IS_LEFT_THERE_IS_FORGOTTEN
	:: d_fin && forget_d -> goto forgotten
#else
	:: d_fin && forget_d && !d_left -> goto forgotten
#endif
	:: d_crashes > 0 -> goto crashed
	od;

crashed:
	skip;
	d_step {
		d_crashes--;
		d_fin = false;
		cont_ok = false; cont_no = false;
	}
	if
	:: d_never -> d_gone = true; goto over
	:: true
	fi;
	d_step {
		st = ddisk;
		rst = true;
		alive = (dvm != DEAD);
	}
	if
	:: st == DB -> CLEAR_OUT
	:: st == DP && !alive -> st = DNOVM; rst = false; D_(ddisk = DNOVM); D_(D_SEND)
	:: st == DSTART && alive -> D_(CONT_DESTINATION)
	:: st == DNOVM -> D_(END_DESTINATION); D_(D_SEND)
	:: st == DA || st == DDONE ->
		if
		:: st == DA -> D_(END_DESTINATION); D_(UNDO_D)
		:: else
		fi;
		D_(D_SEND; d_fin = true)
	:: st == DRAN || (st == DP && alive) || (st == DSTART && !alive) -> D_(D_SEND)
	fi;
	goto loop;

forgotten:
	d_forgot = true;
	do
#ifdef MUTATE_WHAT_HAS_COME_IS_FORGOTTEN
	:: to_d != 0 && !(to_s & bit(NONE)) -> to_s = to_s | bit(NONE)
#else
	:: to_d != 0 && (!fenced || KIND == COLD) && !(to_s & bit(NONE)) -> to_s = to_s | bit(NONE) /* of all only the newest are known */
	:: (to_d & bit(SB)) && ddisk == DA && !(to_s & bit(DA)) -> to_s = to_s | bit(DA)
	:: to_d != 0 && ddisk == DDONE && !(to_s & bit(DDONE)) -> to_s = to_s | bit(DDONE)
#endif
	od;
over:
	skip
}

#define listening (s_up && !s_forgot)
#if KIND == LIVE
#define may_be_resumed (svm == COMP)
#else
#define may_be_resumed (svm == PRE || svm == STOP || svm == COMP)
#endif

proctype World()
{
	do
	/* The source QEMU; on failure it runs on by itself. (Of one that is shut down the agent says so.) */
	:: atomic { svm == STOP && shut_out -> svm = COMP; ev_comp = listening }
	/* Somebody else. RESUME is told before the guest runs, and `completed` before that. */
	:: atomic { may_cont && may_be_resumed && !held ->
		may_cont = false; svm = RUN; ran_on = ran_on || end_out; ev_res = listening; NEVER_TWO }
#ifdef MUTATE_MONITORS_AT_THE_DESTINATION_TOO_EARLY
	:: atomic { may_cont && dvm == STOP -> may_cont = false; dvm = RUN; d_ran = true; NEVER_TWO }
#endif
#if KIND == LIVE
	:: atomic { svm == STOP && (may_fail || !s_up) -> svm = RUN; ran_on = true; ev_fail = listening; NEVER_TWO }
#endif
#if KIND != COLD
	:: atomic { s_may_die && svm != DEAD -> s_may_die = false; svm = DEAD; held = false }
#endif
	/* The destination QEMU. */
	:: atomic { d_may_die && dvm != DEAD -> d_may_die = false; dvm = DEAD }
	:: atomic { may_stop && dvm == RUN -> may_stop = false; dvm = COMP }
	/* Links lose things; what was sent last may be sent again. */
	:: atomic { losses > 0 && to_d != 0 -> losses--; to_d = 0 }
	:: atomic { losses > 0 && to_s != 0 -> losses--; to_s = 0 }
	od
}

proctype Judge()
{
	timeout;
#if CHECK == 4
	/* START and QEMU gone; a source whose guest ran on and died while its agent was away: a person decides. */
	bool undecided = (ddisk == DSTART && dvm == DEAD) || (sdisk == SB && svm == DEAD && ran_on && ddisk == DP);
	/* Past COMMITTED an agent that never comes back keeps a person waiting; before, only its own side's rubbish. */
	bool alone = s_gone || d_gone;

	undecided = undecided || (KIND == COLD && sdisk == SB && d_forgot); /* a person is asked whether it has come there */
	undecided = undecided || (alone && (sdisk == SC || sdisk == SV)) || (sdisk == SV && svm == DEAD);
	assert(undecided || alone || (s_fin && d_fin));
	assert(undecided || (KIND == COLD && s_gone) || svm == DEAD || svm == RUN || (d_ran && !reverting));
	assert(!s_forgot || !s_left);
	assert(!d_forgot || !d_left);
	/* The last good copy is not thrown away. */
	assert(undecided || alone || svm != DEAD || d_ran || ran_on || dvm == DEAD);
#endif
}

#if CHECK == 4
/* Every rest is to be seen, not only the one after all faults. */
#define choose(x, y, z) if :: x = y :: x = z fi
#else
#define choose(x, y, z) x = z
#endif

init {
	atomic {
		choose(s_crashes, 0, CRASHES);
		choose(d_crashes, 0, CRASHES);
		choose(losses, 0, LOSSES);
		choose(may_abort_s, false, true);
		choose(may_abort_d, false, true);
		choose(s_may_die, false, true); /* COLD: its host reboots */
		choose(d_may_die, false, true);
		choose(may_fail, false, KIND == LIVE);
		choose(may_refuse, false, KIND != COLD);
		choose(may_stop, false, true);
		choose(may_cont, false, KIND != COLD);
		choose(may_leave, false, true);
		choose(may_leave_d, false, true);
		choose(s_never, false, true);
		choose(d_never, false, true);
		choose(may_fence, false, true);
		choose(may_revert, false, KIND != COLD);
		choose(forget_s, false, true);
		choose(forget_d, false, true);
#if CHECK == 4
		s_crashes + d_crashes + losses + may_abort_s + may_abort_d + s_may_die + d_may_die + may_fail +
			may_refuse + may_stop + may_cont + may_leave + may_leave_d + s_never + d_never + may_fence + may_revert <= FAULTS;
#endif
		run Source();
		run Destination();
		run World();
		run Judge()
	}
}
