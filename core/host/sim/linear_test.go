package sim_test

import (
	"fmt"
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// linearTimeout bounds the search for one item. A search that is not over then is a
// violation: it has shown nothing.
const linearTimeout = 10 * time.Second

// answer is what the writer knows of a write.
type answer int

const (
	unknown answer = iota // its answer got lost
	refused
	accepted
)

// resourceModel is a register that takes what has at least the token of what it has.
func resourceModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return int64(0) },
		Step: func(state, input, output any) (bool, any) {
			highest, token := state.(int64), input.(int64)
			result, next := refused, highest
			if token >= highest {
				result, next = accepted, token
			}
			return output == unknown || output == result, next
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("write(%d) = %d", input, output) },
	}
}

// linear looks for an order of the writes to each item, as their writers saw them,
// in which each has the answer that a resource which checks tokens gives.
func linear(h *history) (all []violation) {
	by := map[place][]porcupine.Operation{}
	clients := map[string]int{}
	for _, e := range h.effects {
		if _, known := clients[e.node]; !known {
			clients[e.node] = len(clients)
		}
		o := porcupine.Operation{ClientId: clients[e.node], Input: e.token, Call: int64(e.sent), Output: unknown, Return: math.MaxInt64}
		if e.back > 0 {
			o.Return, o.Output = int64(e.back), refused
			if e.accept {
				o.Output = accepted
			}
		}
		by[e.place] = append(by[e.place], o)
	}
	for p, operations := range by {
		if result := porcupine.CheckOperationsTimeout(resourceModel(), operations, linearTimeout); result != porcupine.Ok {
			all = append(all, violation{at: h.concluded, text: fmt.Sprintf("the writes to %s have no order: %s", p, result)})
		}
	}
	return all
}
