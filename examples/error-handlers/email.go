//go:build !wasip1

package main

import (
	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/email"
	"github.com/elasticjob-go/elasticjob/sdk"
)

// EMAIL opens connections itself, which a module cannot.
var _ = sdk.Register(own(email.Plugin()))
