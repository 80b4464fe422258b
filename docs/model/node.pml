/*
 * What a node does by itself: it adopts, fires, reports and takes answers in. The real
 * one is in core/execution and core/host.
 */

/* overlap asserts I1: no two nodes execute an item, each within what it takes for its
   lease or within the time that code has to stop. A paused node executes nothing. */
#define EXECUTES(n, i) (up[n] == AWAKE && (code[AT(n, i)] == RUNS && loc[n] == VALID || stopping[AT(n, i)] != 0))
inline overlap() {
	EACH(i) {
#if NODES == 3
		assert(EXECUTES(0, i) + EXECUTES(1, i) + EXECUTES(2, i) <= 1) /* I1: no two nodes execute an item */
#else
		assert(EXECUTES(0, i) + EXECUTES(1, i) <= 1) /* I1: no two nodes execute an item */
#endif
	}
}

inline forget_answer(n) {
	reCode[n] = 0; reFence[n] = 0; reItems[n] = 0; reT[n] = 0; reFormer[n] = false
}

inline forget_request(n) {
	rqKind[n] = 0; rqEpoch[n] = 0; rqT[n] = 0; rqGen[n] = 0; rqId[n] = 0; rqFence[n] = 0; rqItems[n] = 0;
	forget_answer(n)
}

/* TELL puts what a node runs where reassert takes it. A copy of that has what it ran
   when it was asked. */
#ifdef PROMOTE
#define TELL(fences, instants, first) EACH(i) { runF[i] = fences[(first) + i]; runT[i] = instants[(first) + i] }
#define COPY_RUN(n, i) \
	ltRunF[i] = (rqKind[n] == REASSERT -> codeF[AT(n, i)] : 0); \
	ltRunT[i] = (rqKind[n] == REASSERT -> codeT[AT(n, i)] : 0)
#define COPY_RUNS(n) COPY_RUN(n, 0); COPY_RUN(n, 1)
#define FORGET_RUNS_OF_COPY ltRunF[0] = 0; ltRunF[1] = 0; ltRunT[0] = 0; ltRunT[1] = 0
#define TELL_COPY TELL(ltRunF, ltRunT, 0)
#else
#define TELL(fences, instants, first)
#define COPY_RUNS(n)
#define FORGET_RUNS_OF_COPY
#define TELL_COPY
#endif

inline copy_request(n) {
	late = n + 1; ltKind = rqKind[n]; ltEpoch = rqEpoch[n]; ltT = rqT[n]; ltGen = rqGen[n];
	ltId = rqId[n]; ltFence = rqFence[n]; ltItems = rqItems[n];
	COPY_RUNS(n)
}

inline forget_copy() {
	late = 0; ltKind = 0; ltEpoch = 0; ltT = 0; ltGen = 0; ltId = 0; ltFence = 0; ltItems = 0;
	FORGET_RUNS_OF_COPY
}

/* joins begins a session on its node. */
inline joins(n, epoch) {
	loc[n] = VALID; ep[n] = epoch; rejoined[n] = true;
#ifdef DROP
	tried[n] = 0
#endif
}

inline forget_runs(n) {
	EACH(i) { code[AT(n, i)] = 0; codeT[AT(n, i)] = 0; codeF[AT(n, i)] = 0 }
}

/* lose ends a session on its node: what runs is cancelled and takes its time. */
inline lose(n) {
	EACH(i) {
		if
		:: code[AT(n, i)] == RUNS -> stopping[AT(n, i)] = (fresh[n] -> STOPS : UNSEEN)
		:: else
		fi
	}
	forget_runs(n);
	forget_request(n);
	loc[n] = NONE;
	ep[n] = 0
}

inline send(n, kind, t, id, fence, items) {
	rqKind[n] = kind; rqEpoch[n] = ep[n]; rqT[n] = t; rqGen[n] = (kind <= MISFIRE -> cgen[n] : 0); rqId[n] = id;
	rqFence[n] = fence; rqItems[n] = items
}

inline report(n, items) {
	EACH(i) {
		if
		:: (items) & BIT(i) -> code[AT(n, i)] = ENDED; oFence = codeF[AT(n, i)]
		:: else
		fi
	}
	send(n, COMPLETE, 0, 0, oFence, items)
}

/* miss records instants after a and before b as missed by an item. */
inline miss(i, a, b) {
	for (k : 1 .. INSTANTS) {
		if
		:: k > (a) && k < (b) -> verdict[i] = verdict[i] | BIT(k)
		:: else
		fi
	}
}

/* adopt takes the assignment over and looks for what came due since the floors. */
inline adopt(n) {
	if
	:: cgen[n] != R.gen -> decided[n] = 0
	:: else
	fi
	cgen[n] = R.gen;
	rejoined[n] = false;
	citems[n] = 0;
	seen = false;
	EACH(i) {
		if
		:: R.owner[i] == n ->
			citems[n] = citems[n] | BIT(i);
			best = (R.floor[i] > decided[n] -> R.floor[i] : decided[n]);
			miss(i, best, now);
			if
			:: best < now -> seen = true
			:: else
			fi
		:: else
		fi
	}
	if
	:: seen && now - 1 > decided[n] -> decided[n] = now - 1
	:: !seen -> decided[n] = now
	:: else
	fi
}

/* fire begins instant t; those before it that have no verdict are missed. */
inline fire(n, t) {
	EACH(i) {
		if
		:: citems[n] & BIT(i) -> miss(i, decided[n], t)
		:: else
		fi
	}
	send(n, NORMAL, t, 128 + 4 * cgen[n] + (t), 0, 0)
}

/* receive carries out an answer. */
inline receive(n) {
	if
	:: reCode[n] == LOST -> lose(n)
#ifdef PROMOTE
	:: rqKind[n] == REASSERT && reCode[n] != LOST ->
		/* What was taken for a copy is told again. */
		unsure[n] = reCode[n] != OK;
		forget_request(n)
#endif
	:: reCode[n] == OK && rqKind[n] == COMPLETE ->
		EACH(i) {
			if
			:: (rqItems[n] & BIT(i)) && code[AT(n, i)] == ENDED && codeF[AT(n, i)] == rqFence[n] ->
				code[AT(n, i)] = 0; codeT[AT(n, i)] = 0; codeF[AT(n, i)] = 0
			:: else
			fi
		}
		forget_request(n)
	:: else ->
		oFence = reFence[n]; oItems = 0; oT = reT[n];
#ifdef PROMOTE
		if
		:: oFence > heard[n] -> heard[n] = oFence
		:: else
		fi
#endif
		EACH(i) {
			if
			:: reCode[n] == OK && (reItems[n] & BIT(i)) ->
				verdict[i] = verdict[i] | BIT(oT);
				if
				:: debt[i] <= oT -> debt[i] = 0
				:: else
				fi
				if
				:: stopping[AT(n, i)] != 0 || code[AT(n, i)] == RUNS -> oItems = oItems | BIT(i)
				:: else -> code[AT(n, i)] = RUNS; codeT[AT(n, i)] = oT; codeF[AT(n, i)] = oFence
				fi
			:: else
			fi
		}
		if
		:: rqKind[n] == NORMAL && (reCode[n] == OK || reCode[n] == NOTHING) && cgen[n] == rqGen[n] && decided[n] < rqT[n] ->
			decided[n] = rqT[n]
		:: else
		fi
		forget_request(n);
		if
		/* Code of an earlier session still runs here: the item is given up. */
		:: oItems != 0 -> send(n, COMPLETE, 0, 0, oFence, oItems)
		:: else
		fi
	fi;
	overlap()
}

#define LIVES(n) (up[n] == AWAKE && loc[n] == VALID)
#ifdef PROMOTE
#define IS_UNSURE(n) (unsure[n])
#else
#define IS_UNSURE(n) false
#endif
#define MAY_ASK(n) (LIVES(n) && rqKind[n] == 0 && !IS_UNSURE(n))
#define IS_IDLE(n) (MAY_ASK(n) && !rejoined[n] && cgen[n] == R.gen)
#define HAS_MISSED(n, i) (R.owner[i] == n && R.missed[i] != 0 && R.markNode[i] == 0 && R.failover[i] == 0)
#define IS_SETTLED(n) (!UNSEEN_STOPS(n) && (loc[n] != VALID || fresh[n] && !IS_UNSURE(n) && !reFormer[n]))
#define IS_OVER(n) (loc[n] != VALID || ep[n] != R.sess[n])
/* The end of a lease at the server comes before the node renews it. */
#ifdef NO_EXTENSION
#define MAY_END(n) (!fresh[n] || IS_OVER(n) || brief[n])
#else
#define MAY_END(n) (!fresh[n] || IS_OVER(n))
#endif
