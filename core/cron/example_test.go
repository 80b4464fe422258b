package cron_test

import (
	"fmt"
	"time"

	"github.com/elasticjob-go/elasticjob/core/cron"
)

func ExampleParse() {
	loc, err := cron.Zone("Asia/Shanghai")
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := cron.Parse("0 30 9 LW * ?", loc)
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 3 {
		at = e.Next(at)
		fmt.Println(at.Format(time.RFC1123Z))
	}
	// Output:
	// Fri, 30 Jan 2026 09:30:00 +0800
	// Fri, 27 Feb 2026 09:30:00 +0800
	// Tue, 31 Mar 2026 09:30:00 +0800
}

func ExampleSyntaxError() {
	_, err := cron.Parse("0 0 12 ? * 2,6L", time.UTC)
	fmt.Println(err)
	// Output:
	// cron expression "0 0 12 ? * 2,6L", column 15 (day-of-week): nL cannot be part of a list in day-of-week; allowed are 1-7 (1 is SUN) or SUN-SAT and , - * / ? L nL n#k
}

func ExampleEvery() {
	schedule, err := cron.Every(30 * time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	started := time.Date(2026, 1, 1, 8, 0, 17, 0, time.UTC)
	fmt.Println(schedule.Next(started).Format(time.TimeOnly))
	// Output:
	// 08:00:30
}

func ExampleAt() {
	launch := time.Date(2026, 1, 1, 8, 0, 0, 0, time.UTC)
	schedule := cron.At(launch)
	fmt.Println(schedule.Next(launch.Add(-time.Hour)).Format(time.TimeOnly))
	fmt.Println(schedule.Next(launch).IsZero())
	// Output:
	// 08:00:00
	// true
}

func ExampleZone() {
	loc, err := cron.Zone("GMT+8")
	fmt.Println(loc, err)
	_, err = cron.Zone("CST-8")
	fmt.Println(err)
	// Output:
	// GMT+08:00 <nil>
	// time zone "CST-8" is not known; write an IANA name such as Asia/Shanghai (upper and lower case count), or GMT+8 or GMT-03:30
}
