// Package hostcall runs the host operations http.request and secret.get of
// plugins, within what the operator has granted. It is the one place where
// these grants are read, so that they mean the same for modules and programs.
//
// A [Host] is made once for a node. [Host.Door] opens it for one plugin on its
// [Terms]; the services of a call pass operations on to [Door.Call]. What the
// text of a grant means is said by [CheckHTTPGrant].
//
// # What is checked, and when
//
// The method, scheme, host and port of every request are compared with the
// grants, those of the first one and of each that a redirect leads to. The
// address is checked when a connection is made, after names were resolved: a
// name that is granted and leads to an address that is not public is refused
// unless the address is granted too. A connection is used again only by the
// same plugin on the same terms.
//
// # What is sent
//
// A request carries what the plugin gave and nothing of the node: no proxy of
// the environment, no cookies, no credentials. It is refused when it has user
// information in its URL or header fields that belong to the connection. At
// most 10 redirects are followed. On the way to another origin, which is a
// scheme, host and port, all header fields are dropped but Accept,
// Accept-Language, Content-Type and User-Agent; http and https of one host on
// their default ports count as one when the way leads to https.
//
// # Bounds
//
// A request ends with its own timeout, 30 s unless it says otherwise, or with
// the call. A response has at most 64 KiB of header and [MaxBody] bytes after
// it is unpacked. One plugin has at most 256 requests under way; more wait
// within their time. HTTP/1.1 is spoken.
//
// # Errors
//
// All are an [*spi.Error]:
//
//   - [spi.CodeProtocol]: the request is not the JSON of its operation.
//   - [spi.CodeFailed]: it is, but what it asks for cannot be sent, such as a
//     URL of another scheme.
//   - [spi.CodeDenied]: a grant is missing; the message says which.
//   - [spi.CodeNotFound]: the secret is granted, but the node has none of that
//     name.
//   - [spi.CodeTooLarge]: the request or the response is above its bound.
//   - [spi.CodeTimeout]: there was no whole response in time.
//   - [spi.CodeUnavailable]: the server could not be reached, or broke off.
//   - [spi.CodeUnsupported]: there is no such operation here.
//   - The code of the cause when the call has ended: see [spi.AsError].
//
// Messages name hosts. They never hold a path, a query, a header or a secret,
// and nothing is logged here.
package hostcall
