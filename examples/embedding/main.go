// Command embedding is a shop that runs jobs of its own inside its process: a
// function that counts stock, and a dataflow that ships orders. The lesson: a job
// may be code of your program, and see everything that the program has.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/elasticjob-go/elasticjob"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := elasticjob.Run(ctx, configuration(), append(newShop().functions(), elasticjob.WithLogger(logger))...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// cities are the items of both jobs.
const cities = "0=Beijing,1=Shanghai,2=Guangzhou"

// configuration is what would be a file otherwise. LoadFile reads one, and code
// may change what it says.
func configuration() elasticjob.Config {
	stock := elasticjob.NewJob("countStock")
	stock.Every, stock.ShardingTotalCount, stock.ShardingItemParameters = 2*time.Second, 3, cities

	ship := elasticjob.NewJob("shipOrders")
	ship.Type, ship.Every, ship.ShardingTotalCount, ship.ShardingItemParameters = "DATAFLOW", time.Second, 3, cities
	ship.Props["streaming.process"] = "true" // until no order is left

	config := elasticjob.Defaults()
	config.Jobs = []elasticjob.JobConfig{stock, ship}
	return config
}

// order is an order of a customer.
type order struct {
	ID   int
	City string
}

// shop is what the program is about. It is safe for concurrent use, as its
// functions are called for several items at once.
type shop struct {
	mu      sync.Mutex
	open    []order
	shipped []order
}

// newShop returns a shop with some orders.
func newShop() *shop {
	s := &shop{}
	for id := range 30 {
		s.open = append(s.open, order{id, []string{"Beijing", "Shanghai", "Guangzhou"}[id%3]})
	}
	return s
}

// functions hands the shop's methods to the node.
func (s *shop) functions() []elasticjob.Option {
	return []elasticjob.Option{
		elasticjob.WithFunc("countStock", s.countStock),
		elasticjob.WithDataflow("shipOrders", s.nextOrders, s.ship),
	}
}

// countStock works on one city. What it logs has the attributes of the item.
func (s *shop) countStock(_ context.Context, job *elasticjob.Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := 0
	for _, o := range s.open {
		if o.City == job.ShardingParameter {
			open++
		}
	}
	job.Info("counting", "city", job.ShardingParameter, "open", open)
	job.Result = fmt.Sprintf("%d orders are open in %s", open, job.ShardingParameter)
	return nil
}

// batch is how many orders are shipped at once.
const batch = 4

// nextOrders returns open orders of one city. They are found by what is open, so
// there is no use for the cursor.
func (s *shop) nextOrders(_ context.Context, job *elasticjob.Job, _ string) ([]order, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []order
	for _, o := range s.open {
		if o.City == job.ShardingParameter && len(found) < batch {
			found = append(found, o)
		}
	}
	return found, "", nil
}

// ship closes the orders that nextOrders found.
func (s *shop) ship(ctx context.Context, job *elasticjob.Job, orders []order) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open = slices.DeleteFunc(s.open, func(o order) bool { return slices.Contains(orders, o) })
	s.shipped = append(s.shipped, orders...)
	return job.ReportProgress(ctx, elasticjob.Progress{Done: int64(len(s.shipped)), Total: int64(len(s.shipped) + len(s.open))})
}
