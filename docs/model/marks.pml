/*
 * The marks of one job: a model of the scripts in core/registry/scripts and of the
 * nodes that call them. README.md says what each part stands for and what is left
 * out. `make model` checks it as it is, and with one rule after the other taken out.
 */

/* The size of what is checked. */
#ifndef NODES
#define NODES 3
#endif
#define ITEMS 2         /* conditions name both */
#ifndef INSTANTS
#define INSTANTS 3
#endif
#ifndef FAULTS
#define FAULTS 1        /* of all kinds together */
#endif
#ifndef MOVES
#define MOVES 1         /* commits that nothing forces */
#endif

/* JOIN: the second node has no session at first. */

/* What may go wrong; all of it unless some are named. */
#ifndef SOME
#define CRASH           /* a process dies for ever, but not the last one */
#define PAUSE           /* a process stands still, also beyond its lease */
#define CUT             /* a node cannot renew its lease */
#define JUMP            /* the server's clock jumps ahead by less than the grace */
#define DROP            /* an answer is lost, the request is repeated */
#define LATE            /* a copy of a request arrives late, its answer never */
#define PROMOTE         /* a replica that lacks the latest writes is promoted */
#endif

/* Of two faults the first is a promotion with PROMOTE_FIRST, and the second one with
   PROMOTE_LAST. */
#if defined(PROMOTE_FIRST)
#define MAY_PROMOTE (faults == FAULTS)
#define MAY_FAIL (faults > 0 && faults < FAULTS)
#elif defined(PROMOTE_LAST)
#define MAY_PROMOTE (faults == 1)
#define MAY_FAIL (faults > 1)
#else
#define MAY_PROMOTE (faults > 0)
#define MAY_FAIL (faults > 0)
#endif

#define BIT(x) (1 << (x))
#define DUE (BIT(INSTANTS + 1) - 2)

/* A node. */
#define DOWN 0
#define AWAKE 1
#define PAUSED 2
byte up[NODES];

/* A session as its node sees it. OVER: its end has passed while the node stood still. */
#define NONE 0
#define VALID 1
#define OVER 2
byte loc[NODES];
byte ep[NODES];         /* the epoch */

byte cgen[NODES];       /* the assignment that the node has adopted */
byte citems[NODES];
bool rejoined[NODES];   /* it is to be adopted again */
byte decided[NODES];    /* instants up to this one have a verdict under it */

/* What a node runs, at [node * ITEMS + item]. */
#define RUNS 1
#define ENDED 2         /* reported, but not answered */
byte code[NODES * ITEMS];
byte codeT[NODES * ITEMS];
byte codeF[NODES * ITEMS];
/* Cancelled, but the code has not returned. UNSEEN: the primary of then did not know
   of the last renewal of the session. */
#define STOPS 1
#define UNSEEN 2
byte stopping[NODES * ITEMS];

/* The one request that a node has under way for the job. */
#define NORMAL 1
#define MISFIRE 2
#define FAILOVER 3
#define COMPLETE 4
#define REASSERT 5
byte rqKind[NODES];
byte rqEpoch[NODES];
byte rqT[NODES];
byte rqGen[NODES];
byte rqId[NODES];
byte rqFence[NODES];
byte rqItems[NODES];
byte ids[NODES];        /* the last number; begins of kind NORMAL are named by their instant */

/* Its answer, 0 before there is one. */
#define OK 1
#define NOTHING 2       /* none, or decided before */
#define STALE 3
#define LOST 4
#define QUARANTINED 5
byte reCode[NODES];
byte reFence[NODES];
byte reItems[NODES];
byte reT[NODES];
bool reFormer[NODES];   /* the primary that gave it is gone */

/* A copy of a request that is still on its way: 1 + the node, 0 for none. */
byte late;
byte ltKind; byte ltEpoch; byte ltT; byte ltGen; byte ltId; byte ltFence; byte ltItems;
#ifdef PROMOTE
byte ltRunF[ITEMS]; byte ltRunT[ITEMS];
#endif

/* A lease as the server sees it. */
#define REAPABLE 0      /* it ended longer than the grace ago */
#define EXPIRED 1
#define LEASED 2

/* What the server stores. An item has at most one mark, so marks stand by item. */
typedef Registry {
	byte tok; byte gen; byte x;
	byte owner[ITEMS];
	byte floor[ITEMS];
	byte missed[ITEMS];
	byte failover[ITEMS];   /* the instant, 0 for none */
	byte done[ITEMS];       /* instants whose completion the server has */
	byte markNode[ITEMS];   /* 1 + the node, 0 for no mark */
	byte markFence[ITEMS];
	byte markEpoch[ITEMS];
	byte markGen[ITEMS];
	byte markT[ITEMS];
	byte markId[ITEMS];
	byte hw[NODES];
	byte last[NODES];       /* the number of the last request that had one */
	byte sess[NODES];       /* the epoch, 0 for none */
	byte lease[NODES];
	short dead[NODES]       /* the epochs that are to be drained, as bits */
}
Registry R;             /* the primary */
bool quarantine;
bool fresh[NODES];      /* the primary knows of the node's last renewal */
#ifdef DROP
byte tried[NODES];      /* the epoch of a registration that was not answered */
#ifdef NO_EXTENSION
bool brief[NODES];      /* the server's lease is shorter than the node's */
#endif
#endif
#ifdef PROMOTE
#ifndef LOSES
#define LOSES 3         /* the most scripts whose writes a promotion loses */
#endif
Registry Z;             /* what the replica has that is to be promoted */
bool lags;              /* the replica gets nothing any more */
byte losing;            /* scripts since then */
bool unsure[NODES];     /* the node is to tell what it runs */
byte heard[NODES];      /* the newest token that the node has got */
#define CAN_WRITE (!lags || losing < LOSES)
#define WRITES losing = losing + lags;
#else
#define CAN_WRITE true
#define WRITES
#endif

byte now;               /* the last instant that is due */
byte epochs;
byte faults = FAULTS;
byte moves = MOVES;

/* What nobody forgets, for the invariants. */
byte verdict[ITEMS];    /* instants that ran, were held or were recorded as missed */
byte debt[ITEMS];       /* an instant that is still to be run or coalesced, 0 for none */
#ifdef PROMOTE
byte newest[ITEMS];     /* the last token given for the item */
#endif

/* Variables of single steps. */
hidden byte i, k, c, total, gen, oCode, oFence, oItems, oT, best, freed;
hidden byte busy, seen;
hidden byte runF[ITEMS], runT[ITEMS];   /* what a node tells that it runs */

#define AT(n, i) ((n) * ITEMS + (i))
#define IS_MINE(n, i) (R.markNode[i] == (n) + 1)
/* The server serves a lease until its end. */
#define SERVED(n, e) (R.sess[n] == (e) && R.lease[n] == LEASED)
#define CODE_STOPS(n) (stopping[AT(n, 0)] != 0 || stopping[AT(n, 1)] != 0)
#define UNSEEN_STOPS(n) (stopping[AT(n, 0)] == UNSEEN || stopping[AT(n, 1)] == UNSEEN)
#define EACH(v) for (v : 0 .. ITEMS - 1)

#if NODES == 3
#define ANY(p) (p(0) || p(1) || p(2))
#define ALL(p) (p(0) && p(1) && p(2))
#else
#define ANY(p) (p(0) || p(1))
#define ALL(p) (p(0) && p(1))
#endif

#define HAS_LEASE(n) (R.sess[n] != 0 && R.lease[n] == LEASED)
#define LED (!quarantine && ANY(HAS_LEASE))
#define IS_FORSAKEN(i) (R.sess[R.owner[i]] == 0)

#include "scripts.pml"
#include "node.pml"

proctype Node(byte n) {
	do
	/* Its session. */
	:: d_step { MAY_REGISTER(n) ->
		WRITES
		register(n);
#ifdef NO_EXTENSION
		brief[n] = false;
#endif
		joins(n, epochs) }
#ifdef DROP
	/* The answer to its registration is lost; repeated, it extends the lease. */
	:: d_step { MAY_FAIL && MAY_REGISTER(n) ->
		WRITES
		faults--;
		register(n);
		tried[n] = epochs }
	:: d_step { CAN_WRITE && IS_OUT(n) && tried[n] != 0 && SERVED(n, tried[n]) ->
		WRITES
#ifdef NO_EXTENSION
		brief[n] = true;
#endif
		joins(n, tried[n]) }
#ifdef NO_EXTENSION
	:: d_step { LIVES(n) && SERVED(n, ep[n]) && brief[n] -> brief[n] = false }
#endif
#endif
	:: d_step { LIVES(n) && !SERVED(n, ep[n]) -> lose(n) }
#ifdef PROMOTE
	/* It renews at a new primary, and hears that a quarantine has begun. */
	:: d_step { LIVES(n) && SERVED(n, ep[n]) && !fresh[n] ->
		fresh[n] = true;
		unsure[n] = quarantine }
	/* Before it asks for anything else, and while nothing is unanswered, it tells what
	   it runs. */
#ifdef NO_LINE
	:: d_step { CAN_WRITE && LIVES(n) && unsure[n] && SERVED(n, ep[n]) ->
		WRITES
		ids[n]++; unsure[n] = false;
		TELL(codeF, codeT, n * ITEMS)
		reassert(n, ep[n], heard[n]); skip }
#else
	:: d_step { LIVES(n) && unsure[n] && rqKind[n] == 0 ->
#ifndef STALE_REASSERTION
		ids[n]++;
#endif
		send(n, REASSERT, 0, ids[n], heard[n], 0) }
#endif
#endif
	/* Its assignment. */
	:: d_step { LIVES(n) && !quarantine && (rejoined[n] || cgen[n] != R.gen) -> adopt(n) }
	/* What it asks for. */
	:: d_step { IS_IDLE(n) && !quarantine && decided[n] < now && citems[n] != 0 -> fire(n, now) }
	:: d_step { IS_IDLE(n) && !quarantine && (HAS_MISSED(n, 0) || HAS_MISSED(n, 1)) ->
		ids[n]++; send(n, MISFIRE, 0, ids[n], 0, 0) }
	:: d_step { IS_IDLE(n) && !quarantine && (R.failover[0] != 0 || R.failover[1] != 0) ->
		ids[n]++; send(n, FAILOVER, 0, ids[n], 0, 1) }
	/* Of the items that run some have ended: one, the other, or both together. */
	:: d_step { MAY_ASK(n) && code[AT(n, 0)] == RUNS -> report(n, BIT(0)) }
	:: d_step { MAY_ASK(n) && code[AT(n, 1)] == RUNS -> report(n, BIT(1)) }
	:: d_step { MAY_ASK(n) && code[AT(n, 0)] == RUNS && code[AT(n, 1)] == RUNS && codeF[AT(n, 0)] == codeF[AT(n, 1)] ->
		report(n, BIT(0) + BIT(1)) }
	/* Requests and answers. */
	:: d_step { CAN_WRITE && rqKind[n] != 0 && reCode[n] == 0 ->
		WRITES
		TELL(codeF, codeT, n * ITEMS)
		serve(n, rqKind[n], rqEpoch[n], rqT[n], rqGen[n], rqId[n], rqFence[n], rqItems[n]);
		reCode[n] = oCode; reFence[n] = oFence; reItems[n] = oItems; reT[n] = oT }
	:: d_step { LIVES(n) && reCode[n] != 0 -> receive(n); skip }
	/* Code that was cancelled returns. */
	:: d_step { up[n] == AWAKE && CODE_STOPS(n) -> EACH(i) { stopping[AT(n, i)] = 0 }; skip }
	/* Its lease at the server: the end comes after the code has stopped, as the margin
	   wants it, unless the clock jumps; the grace outlasts the jump. */
	:: d_step { R.sess[n] != 0 && R.lease[n] == LEASED && (MAY_END(n)
#ifndef NO_MARGIN
			&& !CODE_STOPS(n)
#endif
			) -> R.lease[n] = EXPIRED }
	:: d_step { R.sess[n] != 0 && R.lease[n] == EXPIRED && (MAY_END(n)
#ifndef NO_MARGIN
			&& !CODE_STOPS(n)
#endif
			) -> R.lease[n] = REAPABLE }
	/* What the leader does about it. */
	:: d_step { CAN_WRITE && LED && R.sess[n] != 0 &&
#ifdef NO_GRACE
			R.lease[n] != LEASED ->
#else
			R.lease[n] == REAPABLE ->
#endif
		WRITES
		R.dead[n] = R.dead[n] | BIT(R.sess[n]);
		R.sess[n] = 0; R.lease[n] = REAPABLE }
	:: d_step { CAN_WRITE && LED && R.dead[n] != 0 ->
		WRITES
		for (k : 1 .. 14) {
			if
			:: R.dead[n] & BIT(k) -> c = k
			:: else
			fi
		}
		drain(n, c) }
#ifdef CRASH
	:: atomic { MAY_FAIL && up[n] != DOWN && (up[(n + 1) % NODES] != DOWN || up[(n + 2) % NODES] != DOWN && NODES > 2) ->
		faults--;
		if
		:: rqKind[n] != 0 && reCode[n] == 0 && late == 0 -> copy_request(n)
		:: true
		fi;
		d_step { lose(n); EACH(i) { stopping[AT(n, i)] = 0 } up[n] = DOWN; cgen[n] = 0; citems[n] = 0; decided[n] = 0; rejoined[n] = false } }
#endif
#ifdef PAUSE
	:: d_step { MAY_FAIL && up[n] == AWAKE && loc[n] == VALID -> faults--; up[n] = PAUSED }
	:: d_step { up[n] == PAUSED && loc[n] == VALID -> loc[n] = OVER }
	:: atomic { up[n] == PAUSED ->
		if
		/* It sees that its lease is over before anything else. */
		:: loc[n] == OVER ->
			if
			:: rqKind[n] != 0 && reCode[n] == 0 && late == 0 -> copy_request(n)
			:: true
			fi;
			d_step { lose(n); EACH(i) { stopping[AT(n, i)] = 0 } up[n] = AWAKE }
		:: else -> d_step { up[n] = AWAKE; overlap(); skip }
		fi }
#endif
#ifdef CUT
	:: atomic { MAY_FAIL && LIVES(n) ->
		faults--;
		if
		:: rqKind[n] != 0 && reCode[n] == 0 && late == 0 -> copy_request(n)
		:: true
		fi;
		d_step { lose(n) } }
#endif
#ifdef JUMP
	:: d_step { MAY_FAIL && R.sess[n] != 0 && R.lease[n] == LEASED -> faults--; R.lease[n] = EXPIRED }
#endif
#ifdef DROP
	:: d_step { MAY_FAIL && reCode[n] != 0 -> faults--; forget_answer(n) }
#endif
#ifdef LATE
	:: d_step { MAY_FAIL && rqKind[n] != 0 && late == 0 -> faults--; copy_request(n); skip }
#endif
	od
}

#define COMMIT(a, b) \
	:: d_step { CAN_WRITE && LED && R.sess[a] != 0 && R.sess[b] != 0 && (R.owner[0] != a || R.owner[1] != b) \
			&& (moves > 0 || IS_FORSAKEN(0) || IS_FORSAKEN(1)) -> \
		WRITES \
		moves = moves - (moves > 0 && !IS_FORSAKEN(0) && !IS_FORSAKEN(1)); \
		commit(a, b) }

/* The rest of the world. */
proctype World() {
	do
	:: now < INSTANTS -> now++
	:: d_step { CAN_WRITE && late != 0 ->
		WRITES
		TELL_COPY
		serve(late - 1, ltKind, ltEpoch, ltT, ltGen, ltId, ltFence, ltItems);
		forget_copy(); skip }
	:: d_step { late != 0 -> forget_copy(); skip }
	/* The leader's commits. A plan that was made from old reads is one of these, or is
	   refused for its generation or for an owner without session. */
	COMMIT(0, 0) COMMIT(0, 1) COMMIT(1, 0) COMMIT(1, 1)
#if NODES == 3
	COMMIT(0, 2) COMMIT(1, 2) COMMIT(2, 0) COMMIT(2, 1) COMMIT(2, 2)
#endif
#ifdef PROMOTE
	:: d_step { MAY_PROMOTE && !lags -> faults--; lags = true; COPY(Z, R); skip }
	:: atomic { lags ->
		if
		/* Answers that are on their way are lost with their server, or arrive in the
		   quarantine. */
		:: ANY(HAS_ANSWER) -> d_step { for (k : 0 .. NODES - 1) { forget_answer(k) } }
		:: true
		fi;
		d_step { lags = false; losing = 0; promote() } }
	/* The quarantine is longer than any lease of before, and than a copy of a normal
	   begin is on its way. */
	:: d_step { quarantine && ALL(IS_SETTLED) ->
		quarantine = false;
		if
		:: ltKind == NORMAL -> forget_copy()
		:: else
		fi }
#endif
	od
}

/* At the end, when nothing is left that could happen, all has come to rest. */
proctype End() {
	timeout ->
	d_step {
		assert(now == INSTANTS && !quarantine); /* I8: all comes to rest */
		EACH(i) {
			assert(verdict[i] == DUE); /* I4: each due instant of an item was run, coalesced or recorded */
			assert(debt[i] == 0 && R.failover[i] == 0); /* I5: what the dead left and what was held has been run */
			assert(R.missed[i] == 0 && R.markNode[i] == 0 && R.sess[R.owner[i]] != 0) /* I8: all comes to rest */
		}
		for (k : 0 .. NODES - 1) {
			assert(R.dead[k] == 0) /* I8: all comes to rest */
		}
	}
}

init {
	d_step {
		R.tok = 1; R.gen = 1;
		for (k : 0 .. NODES - 1) {
			epochs++;
			up[k] = AWAKE; loc[k] = VALID; ep[k] = epochs; fresh[k] = true; cgen[k] = 1;
			R.sess[k] = epochs; R.lease[k] = LEASED
		}
#ifdef JOIN
		loc[1] = NONE; ep[1] = 0; cgen[1] = 0; R.sess[1] = 0; R.lease[1] = REAPABLE;
		citems[0] = BIT(0) + BIT(1)
#else
		EACH(i) { R.owner[i] = i; citems[i] = BIT(i) }
#endif
	}
	atomic {
		run Node(0); run Node(1);
#if NODES == 3
		run Node(2);
#endif
		run World(); run End()
	}
}
