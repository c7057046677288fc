/*
 * replica.pml: model of who may run a guest that has a replica (docs/replica.md) for spin; run it with tests/model/run.
 *
 * Host A is the primary, B has the points, C is any third one. What is durable at a host (settings, journals, replica.json) outlives its loss of power, and
 * nothing else does. Each step below is one that can be interrupted before and after it; between any two of them A or B may lose power, and come up
 * again, and the link may break. The hand-over of a planned failover is here as far as its order with the term counts; the rest of it is in handoff.pml.
 *
 * A person says nothing that is untrue: by --peer-is-fenced that the guest does not run there, and that whoever starts it there asks vmferry may-start
 * first. ALONE: what may-start says where the replica's host cannot be asked; with "yes" two may run, as the documents say, so only what was
 * heard once must hold then.
 *
 * FURTHER: the points go on from B to F (an extended replica), which may lose power, or its link to B, too. A asks B alone, which asks F.
 *
 * CHECK 1: the guest never runs twice, and nothing that was written after a failover is thrown away, or has points of before put above it. CHECK 2, with
 * ALONE: a primary that has heard that it was replaced never starts the guest. MUTATE_x seeds a mistake.
 */
#ifndef CHECK
#define CHECK 1
#endif
#define ALONE (CHECK == 2)
#ifndef CRASHES
#define CRASHES 4
#endif
#ifndef CUTS
#define CUTS 3
#endif
#ifndef WISHES
#define WISHES 6 /* a person's: failover, cancel, complete, move on, reverse, start, end */
#endif

/* Journals, as enum handoff_state; RAISED is between PREPARED and START. */
mtype = {NONE, BEGUN, COMMITTED, RELEASED, PREPARED, RAISED, START, STARTED};

bool link = true;
byte crashes = CRASHES, cuts = CUTS, wishes = WISHES;

/* A. runs and held are of its QEMU; asked, and may: its unit is about to start the guest. */
bool a_up = true, a_runs = true, a_held, a_asks, a_may, a_sends;
bool a_conf = true, a_replaced; /* durable, as its journal is */
byte a_term = 1;
mtype a_journal = NONE;

/* B. dir: the overlays of a run; by_script: what starts it again is there. */
bool b_up = true, b_runs, b_begins, b_waits; /* b_waits: the QEMU of a guest that is to arrive */
bool noted, over, came, dir, by_script, gone, flat; /* durable; flat: the guest has disks of its own, or is getting them */
byte term = 1, before;
mtype b_journal = NONE;

bool c_runs;
/* F. noted, over, before: as at B; b_knows: B has heard, durably, that the guest was taken over there */
bool f_link = true, f_up = true, f_runs, f_begins, f_noted, f_over, b_knows;
byte f_term = 1;

bool heard; /* A was told once that it was replaced, and nothing has taken that back since */

#ifdef FURTHER
#define F_REACHED (f_link && f_up && b_up)
#define F_TAKEN (f_noted || f_over)
#else
#define F_REACHED true
#define F_TAKEN false
#endif
#ifdef MUTATE_FURTHER_HOST_IS_NOT_ASKED
#define F_ASKED true
#define F_SAYS_TAKEN b_knows
#else
#define F_ASKED (b_knows || F_REACHED)
#define F_SAYS_TAKEN (b_knows || F_TAKEN)
#endif
/* As B answers, and as it takes points by itself. */
#define TAKEN (term > a_term || noted || over || F_SAYS_TAKEN)
#define TAKEN_AT_B (term > a_term || noted || over || b_knows)
#define UNSETTLED (noted && came && b_journal != NONE)
#define REACHED (link && a_up && b_up)
/* A person looks, and is right. */
#define IS_NOT_AT_A (!a_runs && !a_held && !a_asks && !a_may)

/* The person's word is about A: of F the program asks. */
#ifdef MUTATE_FAILOVER_ASKS_NO_FURTHER_HOST
#define MAY_RUN_AT_B true
#else
#define MAY_RUN_AT_B (!F_SAYS_TAKEN && F_ASKED)
#endif
#ifdef MUTATE_WHAT_CAME_AS_IT_RAN_IS_THROWN_AWAY
#define MAY_CANCEL true
#else
#define MAY_CANCEL (!came || a_runs) /* --runs-at-primary */
#endif
#ifdef MUTATE_WHAT_HAS_ITS_OWN_DISKS_IS_TAKEN_BACK
#define IS_ON_OVERLAYS true
#else
#define IS_ON_OVERLAYS (!flat)
#endif
#ifdef MUTATE_WHAT_HAS_GONE_ON_IS_TAKEN_BACK
#define IS_SEEN_GONE false
#else
#define IS_SEEN_GONE gone
#endif

inline wish() { wishes > 0; wishes-- }

inline note_replaced() {
	heard = true;
#ifndef MUTATE_REPLACED_IS_NOT_NOTED
	a_replaced = true
#endif
}

inline raise() {
	before = term;
	term++;
	noted = true
}

inline forget_run() {
	b_runs = false;
	noted = false;
	came = false;
	dir = false;
	by_script = false;
	term = before
}

inline a_ends_power() {
	a_up = false;
	a_runs = false;
	a_held = false;
	a_asks = false;
	a_may = false;
	a_sends = false
}

inline look() {
	assert(a_runs + b_runs + c_runs + f_runs <= 1)
}

init {
	do
	/* ---- the world ---- */
	:: d_step { cuts > 0 && link -> link = false; cuts-- }
	:: d_step { !link -> link = true }
	:: d_step { crashes > 0 && a_up -> a_ends_power(); crashes-- }
	:: d_step { !a_up -> a_up = true; a_asks = true } /* its unit starts the guest at boot */
	:: d_step { crashes > 0 && b_up -> b_up = false; b_runs = false; b_begins = false; b_waits = false; crashes-- }
	:: d_step { !b_up -> b_up = true }
	:: atomic { a_runs && wishes > 0 && a_journal == NONE -> wish(); a_runs = false } /* it is shut down */
	:: atomic { a_up && IS_NOT_AT_A && wishes > 0 -> wish(); a_asks = true }

	/* ---- may-start at A ---- */
	:: atomic { a_asks ->
		a_asks = false;
		if
		:: a_journal != NONE
#ifndef MUTATE_MAY_START_FORGETS
		:: a_journal == NONE && a_replaced && !(a_conf && REACHED && !UNSETTLED && !TAKEN && F_ASKED)
		:: a_journal == NONE && a_replaced && a_conf && REACHED && !UNSETTLED && !TAKEN && F_ASKED -> a_replaced = false; heard = false; a_may = true /* that run was thrown away */
		:: a_journal == NONE && !a_replaced && a_conf && REACHED && UNSETTLED
		:: a_journal == NONE && !a_replaced && a_conf && REACHED && TAKEN && !UNSETTLED -> note_replaced(); b_knows = b_knows || (F_SAYS_TAKEN && F_ASKED)
		:: a_journal == NONE && !a_replaced && a_conf && REACHED && !TAKEN && F_ASKED -> a_may = true; heard = false
		:: a_journal == NONE && !a_replaced && a_conf && (!REACHED || (!TAKEN && !F_ASKED)) -> assert(CHECK != 2 || !heard); a_may = ALONE
		:: a_journal == NONE && !a_replaced && !a_conf -> a_may = true
#else
		:: a_journal == NONE -> a_may = true
#endif
		fi }
	:: atomic { a_may -> a_may = false; a_runs = true; if :: CHECK == 1 -> look() :: else fi }

	/* ---- a point: asked for, and made ---- */
	:: atomic { a_runs && a_conf && !a_sends && a_journal == NONE && REACHED ->
		if
		:: UNSETTLED
		:: TAKEN_AT_B && !UNSETTLED -> note_replaced()
		:: else -> a_sends = true; heard = false
		fi }
	:: atomic { a_sends && REACHED ->
		a_sends = false;
		if
#ifndef MUTATE_POINT_OF_A_LOWER_TERM_IS_TAKEN
		:: UNSETTLED
		:: TAKEN_AT_B && !UNSETTLED -> note_replaced()
		:: else -> skip
#else
		:: assert(CHECK != 1 || !TAKEN_AT_B)
#endif
		fi }

	/* ---- failover at B: the term, then the guest ---- */
#ifndef MUTATE_TERM_IS_RAISED_AFTER_THE_START
	:: atomic { b_up && !b_begins && !noted && !over && IS_NOT_AT_A && !c_runs && !gone && !dir && wishes > 0 && MAY_RUN_AT_B ->
		wish(); raise(); b_begins = true }
	:: atomic { b_begins && noted -> b_begins = false; dir = true; by_script = true; b_runs = true; if :: CHECK == 1 -> look() :: else fi }
#else
	:: atomic { b_up && !b_begins && !noted && !over && !dir && IS_NOT_AT_A && !c_runs && !gone && wishes > 0 ->
		wish(); b_begins = true; dir = true; by_script = true; b_runs = true }
	:: atomic { b_begins -> b_begins = false; raise() }
#endif
	/* started again by its script, which asks this host's journals */
	:: atomic { b_up && by_script && !b_runs && !b_begins && b_journal == NONE && !gone && wishes > 0 -> wish(); b_runs = true; if :: CHECK == 1 -> look() :: else fi }

	/* ---- what a person makes of it ---- */
	:: atomic { b_up && noted && !b_begins && b_journal == NONE && wishes > 0 && MAY_CANCEL && IS_ON_OVERLAYS && !IS_SEEN_GONE ->
		wish();
		assert(CHECK != 1 || !came || a_runs);
		assert(CHECK != 1 || !flat);
		forget_run() }
	:: atomic { b_up && b_runs && noted && b_journal == NONE && wishes > 0 -> wish(); flat = true }
	:: atomic { b_up && noted && flat && (b_runs || c_runs) ->
		noted = false; came = false; dir = false; flat = false;
#ifndef MUTATE_COMPLETED_REPLICA_IS_FORGOTTEN
		over = true
#else
		term = a_term
#endif
		}
	:: atomic { b_up && b_runs && b_journal == NONE && wishes > 0 -> wish(); b_runs = false; by_script = false; gone = true; c_runs = true; if :: CHECK == 1 -> look() :: else fi }
	/* what is left of it is removed with the points, and the term stays */
	:: atomic { b_up && noted && gone -> noted = false; came = false; dir = false; over = true }
	/* the first point of a reverse: A knows that it was replaced */
	:: atomic { over && b_runs && REACHED && !a_runs && wishes > 0 -> wish(); a_conf = false; a_replaced = true }

	/* ---- planned: as it runs, to B ---- */
	:: atomic { a_runs && a_conf && !a_sends && a_journal == NONE && b_journal == NONE && REACHED && !TAKEN && !dir && !b_begins && wishes > 0 ->
		wish(); a_journal = BEGUN; b_journal = BEGUN; dir = true }
	:: atomic { b_journal == BEGUN && a_journal == BEGUN && a_runs && REACHED -> b_journal = PREPARED; b_waits = true }
	:: atomic { b_journal == PREPARED && a_journal == BEGUN && a_runs && REACHED -> a_runs = false; a_held = true; a_journal = COMMITTED }
	:: atomic { b_journal == PREPARED && b_waits && a_journal == COMMITTED && REACHED ->
		if
		:: term == a_term && !noted && !over -> raise(); came = true; b_journal = RAISED
		:: else -> b_journal = NONE
		fi }
	:: d_step { b_up && b_journal == RAISED -> b_journal = START }
	:: atomic { b_up && b_journal == START && b_waits -> b_journal = STARTED; b_waits = false; by_script = true; b_runs = true; if :: CHECK == 1 -> look() :: else fi }
	/* A hears of it, also when it comes up again; then its settings go */
	:: d_step { a_up && (a_journal == COMMITTED || a_journal == BEGUN) && !a_runs && b_journal == STARTED && REACHED ->
		a_held = false; a_conf = false; a_journal = RELEASED; b_journal = NONE }
	/* B was down before the guest ran there, so it never does */
	:: d_step { b_up && (b_journal == PREPARED || b_journal == RAISED || b_journal == START) && !b_waits ->
		if :: noted && came -> forget_run() :: else fi;
		dir = false; b_journal = NONE }
	:: d_step { b_up && b_journal == BEGUN && !REACHED -> b_journal = NONE; dir = false }
	/* A gives up before it has committed, or hears that there is none there */
	:: d_step { a_up && a_journal == BEGUN && REACHED && (b_journal == BEGUN || b_journal == PREPARED || b_journal == NONE) ->
		a_journal = NONE;
		if :: b_journal != NONE -> b_journal = NONE; dir = false :: else fi }
	:: d_step { a_up && a_journal == COMMITTED && REACHED && b_journal == NONE ->
		if :: a_held -> a_held = false; a_runs = true :: else fi;
		a_journal = NONE }
	/* A's host is lost: B starts what is prepared there, by a person's word */
	:: atomic { b_up && b_journal == PREPARED && b_waits && !a_up && wishes > 0 -> wish();
		if
		:: term == a_term && !noted && !over -> raise(); came = true; b_journal = RAISED
		:: else -> b_journal = NONE
		fi }
	/* B's is: A takes back what it has committed, likewise */
	:: atomic { a_up && a_journal == COMMITTED && !b_up && wishes > 0 -> wish();
		a_journal = NONE;
		if :: a_held -> a_held = false; a_runs = true; if :: CHECK == 1 -> look() :: else fi :: else fi }
	/* B comes up, and hears that the guest is A's: it starts nothing, and waits for a person's --cancel --runs-at-primary */
	:: d_step { b_up && (b_journal == PREPARED || b_journal == STARTED) && !b_runs && REACHED && a_journal == NONE ->
		b_journal = NONE;
		b_waits = false;
		by_script = false;
		if :: !noted -> dir = false :: else fi }
#ifdef FURTHER
	/* ---- F ---- */
	:: d_step { cuts > 0 && f_link -> f_link = false; cuts-- }
	:: d_step { !f_link -> f_link = true }
	:: d_step { crashes > 0 && f_up -> f_up = false; f_runs = false; f_begins = false; crashes-- }
	:: d_step { !f_up -> f_up = true }
	/* B sends its newest point on, or hears that it may not */
	:: atomic { F_REACHED && !noted && !over ->
		if
#ifndef MUTATE_FURTHER_HOST_TAKES_POINTS_OF_BEFORE
		:: F_TAKEN -> b_knows = true
#else
		:: F_TAKEN -> assert(false)
#endif
		:: !F_TAKEN -> b_knows = false; f_term = term
		fi }
	/* failover there, by a person who has seen to A and to B */
	:: atomic { f_up && !f_begins && !f_noted && !f_over && IS_NOT_AT_A && !b_runs && !b_begins && !b_waits && !noted && !over && b_journal == NONE && !c_runs && wishes > 0 ->
		wish(); f_noted = true; f_term++; f_begins = true }
	:: atomic { f_begins -> f_begins = false; f_runs = true; if :: CHECK == 1 -> look() :: else fi }
	/* it is thrown away, or stays */
	:: atomic { f_up && f_noted && !f_begins && wishes > 0 -> wish(); f_noted = false; f_runs = false; f_term-- }
	:: atomic { f_up && f_runs && f_noted -> f_noted = false; f_over = true }
	:: atomic { f_up && (f_noted || f_over) && !f_runs && !f_begins && wishes > 0 -> wish(); f_runs = true; if :: CHECK == 1 -> look() :: else fi }
#endif
	:: else -> break
	od
}
