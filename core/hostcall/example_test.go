package hostcall_test

import (
	"context"
	"fmt"

	"github.com/elasticjob-go/elasticjob/core/hostcall"
	"github.com/elasticjob-go/elasticjob/spi"
)

// A plugin gets a secret that the operator has granted, and is told what to ask
// the operator for.
func ExampleHost() {
	host := hostcall.New(hostcall.Config{Secret: func(name string) (string, bool, error) { return "s3cr3t", name == "api-key", nil }})
	defer host.Close()
	door := host.Door("ORDERS", hostcall.Terms{Grants: spi.Grants{
		HTTP:    []string{"GET https://api.example.com"},
		Secrets: []string{"api-key"},
	}})
	ctx := context.Background()

	response, err := door.Call(ctx, spi.OpSecretGet, []byte(`{"name":"api-key"}`))
	fmt.Println(string(response), err)
	_, err = door.Call(ctx, spi.OpHTTPRequest, []byte(`{"method":"POST","url":"https://api.example.com/orders"}`))
	fmt.Println(err)

	// Output:
	// {"value":"s3cr3t"} <nil>
	// http.request to POST api.example.com is not granted: add it to grants.http of plugin ORDERS
}
