// Package routes holds the data of the quickstart, 5,366 air routes with the
// flights on them in 2008, and sums up a part of it. Both modules embed it, so
// that they need no file and no network. Where the data is from is told in
// SOURCE.md.
package routes

import (
	_ "embed" // the data is part of each module
	"errors"
	"strconv"
	"strings"
)

//go:embed flights-airport.csv
var table string

// Total sums up routes.
type Total struct {
	Routes  int
	Flights int
}

// Departures sums up the routes with at least least flights whose airport of
// origin begins with a letter of the part, such as "A-C".
func Departures(part string, least int) (Total, error) {
	return sum(part, least, func(origin, _ string) string { return origin })
}

// Arrivals sums up the routes whose airport of destination begins with a
// letter of the part, such as "A-C".
func Arrivals(part string) (Total, error) {
	return sum(part, 0, func(_, destination string) string { return destination })
}

func sum(part string, least int, airport func(origin, destination string) string) (Total, error) {
	if len(part) != 3 || part[1] != '-' || part[0] > part[2] {
		return Total{}, errors.New("the part " + strconv.Quote(part) + " is not of the form A-C: set shardingItemParameters")
	}
	var total Total
	number := 0
	for line := range strings.Lines(table) {
		number++
		if number == 1 {
			continue // the names of the columns
		}
		origin, rest, _ := strings.Cut(strings.TrimSpace(line), ",")
		destination, count, _ := strings.Cut(rest, ",")
		flights, err := strconv.Atoi(count)
		if err != nil || origin == "" || destination == "" {
			return Total{}, errors.New("line " + strconv.Itoa(number) + " of the data is no route")
		}
		if letter := airport(origin, destination)[0]; letter >= part[0] && letter <= part[2] && flights >= least {
			total.Routes++
			total.Flights += flights
		}
	}
	return total, nil
}
