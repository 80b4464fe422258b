package hostcall

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// Config is what a [Host] is made of. The zero value has no secrets.
type Config struct {
	// Secret returns the value of a secret of the node, and false if there is
	// none of that name. Its error means that the secret cannot be read now; it
	// is not shown to the plugin. It is called for each secret.get, by many at
	// once. Nil means that the node has no secrets.
	Secret func(name string) (value string, known bool, err error)
	// HowToGrant ends the message "add it …" of what is not granted. It gets the
	// key under grants, "http" or "secrets", and the plugin. Nil stands for
	// "to grants.http of plugin ORDERS", as in the file of a node.
	HowToGrant func(key, plugin string) string
	// RootCAs are the authorities of servers; nil means those of the system.
	RootCAs *x509.CertPool
	// Resolver finds the addresses of names; nil means that of the system.
	Resolver *net.Resolver
}

// Host runs host operations. It is safe for concurrent use.
type Host struct {
	config Config

	mu      sync.Mutex
	clients map[clientKey]*client
	turn    uint64 // counts the uses of clients, to find the one unused longest
	closed  bool
}

// New returns a host.
func New(config Config) *Host {
	if config.HowToGrant == nil {
		config.HowToGrant = func(key, plugin string) string { return "to grants." + key + " of plugin " + plugin }
	}
	return &Host{config: config, clients: make(map[clientKey]*client)}
}

// Close closes the connections that wait for their next request. Operations
// fail from then on with [spi.CodeCancelled]; those under way are ended by
// their callers' contexts, and their connections with them. Close may be
// called more than once.
func (h *Host) Close() {
	h.mu.Lock()
	clients := h.clients
	h.clients, h.closed = nil, true
	h.mu.Unlock()
	for _, c := range clients {
		c.transport.CloseIdleConnections()
	}
}

// Terms are those on which a plugin runs.
type Terms struct {
	// Grants are the operator's. An entry of its HTTP that [CheckHTTPGrant]
	// refuses grants nothing.
	Grants spi.Grants
	// Trusted is set for plugins that are built in or come from the embedding
	// program: to them everything is granted.
	Trusted bool
}

// Door opens the host for a plugin on its terms. It is made once for a job and
// plugin.
func (h *Host) Door(plugin string, t Terms) *Door {
	d := &Door{host: h, plugin: plugin, trusted: t.Trusted, secrets: slices.Clone(t.Grants.Secrets)}
	for _, text := range t.Grants.HTTP {
		if g, err := parseHTTPGrant(text); err == nil {
			d.http = append(d.http, g)
		}
	}
	return d
}

// Door is the host as one plugin may use it. It holds nothing that must be
// freed, and is safe for concurrent use.
type Door struct {
	host    *Host
	plugin  string
	trusted bool
	http    []httpGrant
	secrets []string
}

// Call runs a host operation, http.request or secret.get, whose request and
// response are those of the ABI. All its errors are an [*spi.Error].
func (d *Door) Call(ctx context.Context, op string, request []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, spi.AsError(context.Cause(ctx))
	}
	if len(request) > wire.MaxMessage {
		return nil, spi.NewError(spi.CodeTooLarge, fmt.Sprintf("the request of %s has more than %d bytes", wire.Cut(op, 64), wire.MaxMessage))
	}
	switch op {
	case spi.OpHTTPRequest:
		return d.httpRequest(ctx, request)
	case spi.OpSecretGet:
		return d.secretGet(request)
	default:
		return nil, spi.NewError(spi.CodeUnsupported, fmt.Sprintf("operation %q is not available here", wire.Cut(op, 64)))
	}
}

func (d *Door) secretGet(request []byte) ([]byte, error) {
	name, err := wire.DecodeSecretGetRequest(request)
	if err != nil {
		return nil, err
	}
	shown := wire.Cut(name, 100)
	if !d.trusted && !slices.Contains(d.secrets, name) {
		return nil, spi.NewError(spi.CodeDenied, fmt.Sprintf("secret.get of %q is not granted: add it %s", shown, d.host.config.HowToGrant("secrets", d.plugin)))
	}
	if d.host.config.Secret != nil {
		switch value, known, err := d.host.config.Secret(name); {
		case err != nil:
			return nil, spi.NewError(spi.CodeUnavailable, fmt.Sprintf("secret %q could not be read", shown))
		case known:
			return wire.AppendSecretGetResponse(nil, value), nil
		}
	}
	return nil, spi.NewError(spi.CodeNotFound, fmt.Sprintf("this node has no secret %q: add it to secrets", shown))
}
