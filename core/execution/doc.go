// Package execution runs the firings of the jobs that a node hosts.
//
// The flow of one firing on one node:
//
//  1. The timer calls [Job.Fire] with the instant. Fire notes it and returns;
//     the job's step goroutine, of which there is at most one a job, takes it
//     from there.
//  2. With monitorExecution the step asks the registry to begin: the answer
//     names the items that may go and the fencing token, and the items that
//     are held because they still run. Without it the items of the assignment
//     in force go, but for those that still run here.
//  3. Every item that may go becomes a task. A task runs when the job's pool
//     and the node's workers ([Config.MaxRunningItems]) have room; until then
//     it waits, and the wait counts as lateness.
//     The items of a job with listeners wait for their BeforeJob first; AfterJob
//     follows their end and holds up nothing.
//  4. The code of a job type with the dataflow capability is not one call: the
//     engine fetches and processes in turn.
//  5. A finished item is reported to the registry by the step goroutine: all
//     items of a run in one call, or those that are done 200 ms after the
//     first, or before the job's next begin.
//  6. An item that was held is caught up once when it is free again, if the
//     job has misfire on.
//  7. Failures go to the job's error handlers off the workers, through a bounded
//     queue of each job, so that slow handlers delay nothing of other jobs. Those
//     that send messages are told of failures that are alike together, and again
//     when what they send to was away.
//
// What happens is published on [Events]; [Record] writes it to the log.
package execution
