// Package config reads the configuration file of a node: YAML in the layout of
// the ElasticJob Spring Boot starter, into a struct, with every problem of the
// file at once and each at its place.
//
// # Layout
//
// Everything stands under the key elasticjob. Known keys are written in
// camelCase or kebab-case (sharding-total-count), nested or with dots
// (elasticjob.jobs.orders.cron). Job names, labels and the keys of props are
// taken literally. A key given in two forms is a conflict. Below props, nested
// mappings are joined with dots, lists with commas, and scalars are the text as
// written: 007 stays 007. Other top-level keys are left alone, with one note;
// they are a place for anchors, which may be used as aliases and merge keys.
//
// Under jobs, a key with a mapping is a job of that name, dots included. In a
// key that goes on to a setting (jobs.a.b.cron), the name ends before the first
// part that is a known setting.
//
// In values, ${NAME} is the environment variable NAME, ${NAME:text} the same
// with a default, and $${ is a literal ${. The value of a variable never adds
// structure and never appears in a message. Neither does a password, however it
// is written.
//
// # Rules
//
// The rule of a problem is one of these, and stays what it is:
//
//	file             the file cannot be read
//	syntax           it is not UTF-8, not YAML, or YAML that has no place here
//	size             a bound on size, depth or number is exceeded
//	unknown-key      a key that nobody knows
//	duplicate-key    a key that its mapping has twice
//	conflict         one setting in two forms, or two settings that contradict
//	java-only        a key that makes sense in Java or with ZooKeeper alone
//	not-available    a known key or value that this version does not offer
//	placeholder      a placeholder that is malformed or has no value
//	required         a key or value that is missing
//	type             a value of the wrong form
//	range            a number, size, duration or count that is out of bounds
//	name             a malformed name
//	schedule         more than one of cron, every, at and dependsOn; (notes) schedules
//	                 whose runs a job waits for, and which differ
//	cron             a malformed cron expression
//	zone             an unknown time zone
//	unknown-name     a name that the file does not define
//	item-parameters  malformed shardingItemParameters
//	ignored-key      (notes only) a top-level key that is left alone
//
// # Use
//
// [Load] and [Parse] return the configuration together with its problems; it is
// to be used only when there is none. Those who know more, such as which job
// types exist, add problems of their own with [Config.Problem]. A program that
// embeds the engine fills a [Config] in Go, beginning with [Defaults], and calls
// [Config.Validate]. Nothing here reads the environment but through the function
// that is passed in, nothing logs, and nothing is kept between calls: all
// functions are safe for concurrent use, and a Config may be shared as long as
// nobody changes it.
package config
