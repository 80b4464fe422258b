/*
 * The scripts of the registry center as the model has them, each one step, and the
 * promotion of a replica. core/registry/scripts has the real ones.
 */

/* is_first says whether no item before i belongs to the same mark. */
inline is_first(i) {
	seen = false;
	for (k : 0 .. ITEMS - 1) {
		if
		:: k < i && R.markNode[k] != 0 && R.markFence[k] == R.markFence[i] -> seen = true
		:: else
		fi
	}
}

inline count_marks(onlyForeign, into) {
	into = 0;
	EACH(c) {
		is_first(c);
		if
		:: R.markNode[c] != 0 && !seen && (!onlyForeign || R.markGen[c] != R.gen) -> into++
		:: else
		fi
	}
}

inline clear_mark(i) {
	R.markNode[i] = 0; R.markFence[i] = 0; R.markEpoch[i] = 0;
	R.markGen[i] = 0; R.markT[i] = 0; R.markId[i] = 0
}

/* end_mark takes an item off its mark; the last one ends it. */
inline end_mark(i) {
	freed = R.markFence[i];
	seen = R.markGen[i] != R.gen;
	clear_mark(i);
	for (k : 0 .. ITEMS - 1) {
		if
		:: R.markNode[k] != 0 && R.markFence[k] == freed -> seen = false
		:: else
		fi
	}
	if
	:: seen -> R.x--
	:: else
	fi
}

inline is_busy(n, i) {
	busy = IS_MINE(n, i);
#ifndef NO_MARKS
	busy = busy || (R.x > 0 && R.markNode[i] != 0);
#endif
#ifndef NO_QUEUE
	busy = busy || R.failover[i] != 0;
#endif
}

/* grant marks an item; what it may rest on is asserted here. */
inline grant(n, i, e, g, t, id) {
	assert(R.markNode[i] == 0 && R.failover[i] == 0); /* one: an item is in at most one mark or waits for failover */
	assert(!(R.done[i] & BIT(t))); /* again: nothing whose completion the server has is run again */
#ifdef PROMOTE
	assert(oFence > newest[i]); /* I3: tokens rise in the order of the begins, and so I2 */
	newest[i] = oFence;
#endif
	assert(SERVED(n, e)); /* I7: no session that is over gets anything */
	R.markNode[i] = n + 1; R.markFence[i] = oFence; R.markEpoch[i] = e;
	R.markGen[i] = g; R.markT[i] = t; R.markId[i] = id;
	oItems = oItems | BIT(i)
}

inline begin_normal(n, e, t, g, id) {
	gen = R.gen;
	oFence = R.tok + 1;
	EACH(i) {
		if
		:: R.owner[i] == n && R.floor[i] < t ->
			is_busy(n, i);
			if
			:: busy ->
				R.missed[i] = t;
				verdict[i] = verdict[i] | BIT(t);
				debt[i] = t
			:: else ->
				R.missed[i] = 0;
				grant(n, i, e, gen, t, id)
			fi
		:: else
		fi
	}
	R.hw[n] = t
}

inline begin_misfire(n, e, g, id) {
	best = 0;
	EACH(i) {
		is_busy(n, i);
		if
		:: R.owner[i] == n && !busy && R.missed[i] != 0 && (best == 0 || R.missed[i] < best) -> best = R.missed[i]
		:: else
		fi
	}
	oT = best;
	gen = R.gen;
	oFence = R.tok + 1;
	EACH(i) {
		is_busy(n, i);
		if
		:: R.owner[i] == n && !busy && best != 0 && R.missed[i] == best ->
			R.missed[i] = 0;
			grant(n, i, e, gen, best, id)
		:: else
		fi
	}
}

/* claim takes at most as many items of the earliest instant as were asked for. */
inline claim(n, e, most, id) {
	best = 0;
	EACH(i) {
		if
		:: R.failover[i] != 0 && (best == 0 || R.failover[i] < best) -> best = R.failover[i]
		:: else
		fi
	}
	oT = best;
	oFence = R.tok + 1;
	c = 0;
	EACH(i) {
		if
		:: best != 0 && R.failover[i] == best && c < most ->
			R.failover[i] = 0;
			grant(n, i, e, 0, best, id);
			c++
		:: else
		fi
	}
	if
	:: oItems != 0 -> R.x++
	:: else
	fi
}

inline complete(n, e, fence, items) {
	EACH(i) {
		if
		:: (items & BIT(i)) && IS_MINE(n, i) && R.markFence[i] == fence && R.markEpoch[i] == e ->
			R.done[i] = R.done[i] | BIT(R.markT[i]);
			end_mark(i)
		:: else
		fi
	}
}

#ifdef PROMOTE
/* free ends the mark of an item that the node does not run. If it has not heard of the
   token, nobody has: the item waits for whoever takes it over. */
inline free(i, upto) {
	best = R.markT[i];
	if
#ifndef NO_RETURN
	:: R.markFence[i] > upto ->
		R.failover[i] = best;
		if
		:: debt[i] < best -> debt[i] = best
		:: else
		fi
#endif
	:: else -> R.done[i] = R.done[i] | BIT(best)
	fi
	end_mark(i)
}

/* seize takes an item that a node runs out of what the server has stored, which is older. */
inline seize(i) {
	if
	:: R.markNode[i] != 0 ->
		assert(R.markFence[i] < runF[i]); /* I3: the later token is the truth */
		end_mark(i)
	:: else
	fi
	R.failover[i] = 0
}

/* mark_again marks an item that the node runs. */
inline mark_again(n, i, e) {
#ifndef NO_SEIZURE
	seize(i);
#endif
	assert(R.markNode[i] == 0 && R.failover[i] == 0); /* one: an item is in at most one mark or waits for failover */
	/* What had been decided is lost too, and that a flag was taken. */
#ifndef NO_UNFLAGGING
	if
	:: R.missed[i] <= runT[i] -> R.missed[i] = 0
	:: else
	fi
#endif
#ifndef NO_DECISION
	if
	:: R.floor[i] < runT[i] -> R.floor[i] = runT[i]
	:: else
	fi
#endif
	if
	:: debt[i] <= runT[i] -> debt[i] = 0
	:: else
	fi
	seen = false;
	for (k : 0 .. ITEMS - 1) {
		if
		:: R.markNode[k] != 0 && R.markFence[k] == runF[i] -> seen = true; best = k
		:: else
		fi
	}
	R.markNode[i] = n + 1; R.markFence[i] = runF[i]; R.markEpoch[i] = e; R.markT[i] = runT[i];
	if
	:: seen -> R.markGen[i] = R.markGen[best]; R.markId[i] = R.markId[best]
	:: else -> R.x++
	fi
}

/* reassert makes the marks of a session those of what its node runs. */
inline reassert(n, e, upto) {
	EACH(i) {
		if
#ifndef NO_ABANDONMENT
		:: IS_MINE(n, i) && R.markEpoch[i] == e && R.markFence[i] != runF[i] -> free(i, upto)
#endif
		:: else
		fi
	}
#ifndef NO_REASSERTION
	EACH(i) {
		if
		:: runF[i] != 0 && !(IS_MINE(n, i) && R.markEpoch[i] == e && R.markFence[i] == runF[i]) -> mark_again(n, i, e)
		:: else
		fi
	}
#endif
	skip
}
#else
#define reassert(n, e, upto) skip
#endif

#ifdef NO_GENERATION
#define IS_CURRENT(g) true
#else
#define IS_CURRENT(g) ((g) == R.gen)
#endif
#ifdef NO_ORDER
#define IS_REPEATED(n, id) false
#else
#define IS_REPEATED(n, id) ((id) <= R.last[n])
#endif
#ifdef STALE_REASSERTION
#define IS_OLD(n, id) false
#else
#define IS_OLD(n, id) IS_REPEATED(n, id)
#endif

/* serve runs a script; what it answers is in oCode, oFence, oItems and oT. */
inline serve(n, kind, e, t, g, id, fence, items) {
	oCode = 0; oFence = 0; oItems = 0; oT = t;
	count_marks(true, best);
	assert(best == R.x); /* I8: what is stored twice never differs */
	EACH(i) {
		if
		:: IS_MINE(n, i) && R.markEpoch[i] == e && R.markId[i] == id && kind < COMPLETE ->
			oFence = R.markFence[i]; oT = R.markT[i]; oItems = oItems | BIT(i)
		:: else
		fi
	}
	if
	:: kind < COMPLETE && quarantine -> oCode = QUARANTINED; oFence = 0; oItems = 0
	:: else ->
		if
		:: !SERVED(n, e) -> oCode = LOST; oFence = 0; oItems = 0
		:: else ->
			if
			:: kind == COMPLETE -> complete(n, e, fence, items); oCode = OK
			:: kind == REASSERT && !IS_OLD(n, id) -> R.last[n] = id; reassert(n, e, fence); oCode = OK
			:: kind == REASSERT && IS_OLD(n, id)
			:: kind < COMPLETE && oItems != 0 -> oCode = OK
			:: kind == FAILOVER && oItems == 0 && !IS_REPEATED(n, id) -> R.last[n] = id; claim(n, e, items, id)
			:: kind == FAILOVER && oItems == 0 && IS_REPEATED(n, id)
			:: kind <= MISFIRE && oItems == 0 && !IS_CURRENT(g) -> oCode = STALE
			:: kind == NORMAL && oItems == 0 && IS_CURRENT(g) && t <= R.hw[n]
			:: kind == NORMAL && oItems == 0 && IS_CURRENT(g) && t > R.hw[n] -> begin_normal(n, e, t, g, id)
			:: kind == MISFIRE && oItems == 0 && IS_CURRENT(g) && !IS_REPEATED(n, id) -> R.last[n] = id; begin_misfire(n, e, g, id)
			:: kind == MISFIRE && oItems == 0 && IS_CURRENT(g) && IS_REPEATED(n, id)
			fi;
			if
			:: oCode == 0 && oItems == 0 -> oCode = NOTHING; oFence = 0
			:: oCode == 0 && oItems != 0 -> oCode = OK; R.tok = oFence
			:: else
			fi
		fi
	fi
}

/* commit gives items owners. Their floors are what the former ones have decided. */
inline commit(a, b) {
	EACH(i) {
#ifdef NO_FLOORS
		R.floor[i] = 0;
#else
#ifndef NO_HW
		if
		:: R.hw[R.owner[i]] > R.floor[i] -> R.floor[i] = R.hw[R.owner[i]]
		:: else
		fi
#else
		skip
#endif
#endif
	}
	for (k : 0 .. NODES - 1) { R.hw[k] = 0 }
	R.owner[0] = a;
	R.owner[1] = b;
	R.tok++;
	R.gen = R.tok;
	count_marks(false, total);
	R.x = total
}

/* drain takes the marks of a session that has ended away. */
inline drain(n, e) {
	EACH(i) {
		if
		:: IS_MINE(n, i) && R.markEpoch[i] == e ->
			assert(R.failover[i] == 0); /* one: an item is in at most one mark or waits for failover */
			R.failover[i] = R.markT[i];
			if
			:: debt[i] < R.markT[i] -> debt[i] = R.markT[i]
			:: else
			fi
			end_mark(i)
		:: else
		fi
	}
	R.dead[n] = R.dead[n] & ~BIT(e)
}

/* register opens a session; what the former one left is drained. Code of that one may be
   stopping until it can be reaped. */
#define IS_OUT(n) (up[n] == AWAKE && loc[n] == NONE)
#ifdef EARLY_REGISTER
#define IS_FREE(n) (R.sess[n] == 0 || R.lease[n] != LEASED)
#else
#define IS_FREE(n) (R.sess[n] == 0 || R.lease[n] == REAPABLE)
#endif
#define MAY_REGISTER(n) (CAN_WRITE && IS_OUT(n) && IS_FREE(n))
inline register(n) {
	if
	:: R.sess[n] != 0 -> R.dead[n] = R.dead[n] | BIT(R.sess[n])
	:: else
	fi
	epochs++;
	R.sess[n] = epochs;
	R.lease[n] = LEASED;
	fresh[n] = true
}

#ifdef PROMOTE
#define COPY(to, from) \
	to.tok = from.tok; to.gen = from.gen; to.x = from.x; \
	EACH(i) { \
		to.owner[i] = from.owner[i]; to.floor[i] = from.floor[i]; to.missed[i] = from.missed[i]; \
		to.failover[i] = from.failover[i]; to.done[i] = from.done[i]; to.markNode[i] = from.markNode[i]; \
		to.markFence[i] = from.markFence[i]; to.markEpoch[i] = from.markEpoch[i]; to.markGen[i] = from.markGen[i]; \
		to.markT[i] = from.markT[i]; to.markId[i] = from.markId[i] \
	} \
	for (k : 0 .. NODES - 1) { \
		to.hw[k] = from.hw[k]; to.last[k] = from.last[k]; to.sess[k] = from.sess[k]; to.lease[k] = from.lease[k]; to.dead[k] = from.dead[k] \
	}

/* promote goes back to what the replica has. Tokens follow the clock, so they rise all
   the same. What was only stored in the lost writes nobody owes any more. */
inline promote() {
	best = R.tok;
	COPY(R, Z);
#ifndef NO_CLOCK
	R.tok = best;
#endif
	EACH(i) { debt[i] = (R.missed[i] > R.failover[i] -> R.missed[i] : R.failover[i]) }
	for (k : 0 .. NODES - 1) { fresh[k] = false; unsure[k] = false; reFormer[k] = reCode[k] != 0 }
	forget_copy();
#ifndef NO_QUARANTINE
	quarantine = true;
#endif
	skip
}

#define HAS_ANSWER(n) (reCode[n] != 0)
#endif
