// Command bench measures elasticjob beside robfig/cron, gocron and asynq.
//
//	go run . [flags]
//
// Every measurement runs in a process of its own, one after the other, so that
// none sees the heap, the timers or the goroutines of another. The results
// come as one table, or as JSON with -json. They are printed and never
// compared with a bound: what a number is worth depends on the machine. What
// each row means is in README.md.
package main
