// Command http-job is the service that the job of this example calls: it makes a
// report for each city, once for each run.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"sync"
	"time"
)

func main() {
	server := &http.Server{Addr: "127.0.0.1:8090", Handler: newService("open sesame"), ReadHeaderTimeout: 5 * time.Second}
	log.Println("waiting for jobs at", server.Addr)
	log.Fatal(server.ListenAndServe())
}

// service makes reports.
type service struct {
	token string

	mu   sync.Mutex
	made map[string]bool // city and run
}

// newService returns the service, for those who have the token.
func newService(token string) http.Handler {
	s := &service{token: token, made: make(map[string]bool)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /reports/{city}", s.report)
	return mux
}

func (s *service) report(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	// The context tells more than what the job puts into address and body.
	var context struct {
		JobName      string `json:"jobName"`
		FencingToken string `json:"fencingToken"`
	}
	var order struct {
		Item int `json:"item"`
		Of   int `json:"of"`
	}
	if json.Unmarshal([]byte(r.Header.Get("shardingContext")), &context) != nil || json.NewDecoder(r.Body).Decode(&order) != nil {
		http.Error(w, "this is no order of a job", http.StatusBadRequest)
		return
	}
	// Items run at least once. The run id lets a second time do no harm.
	key := r.PathValue("city") + " " + r.FormValue("run")
	s.mu.Lock()
	again := s.made[key]
	s.made[key] = true
	s.mu.Unlock()
	if again {
		http.Error(w, "there is a report already", http.StatusConflict)
		return
	}
	log.Printf("report for %s, part %d of %d, for %s with token %s", r.PathValue("city"), order.Item+1, order.Of, context.JobName, context.FencingToken)
	_, _ = fmt.Fprintf(w, "report for %s\n", r.PathValue("city"))
}
