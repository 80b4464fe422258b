package pluginpb

// What host and plugin agree on before they speak gRPC. The first two are an
// environment variable and its value, by which a program knows that a host has
// started it; they are no secret.
const (
	CookieKey   = "ELASTICJOB_PLUGIN"
	CookieValue = "4c1d7f0a9e5b4b66a6f1e7f3d0c2b8915e6a7d34"
	// ProtocolVersion is the version of plugin.proto, which go-plugin agrees on.
	ProtocolVersion = 1
	// Name is the name of the one entry in go-plugin's set of plugins.
	Name = "elasticjob"
)

// EnvPath is the environment variable that holds the path of the file that was
// loaded, of which the running program is a copy.
const EnvPath = "ELASTICJOB_PLUGIN_PATH"

// MaxFrame is the most bytes of one gRPC message in either direction: a message
// of the ABI, which has 16 MiB at most, and what the protocol puts around it.
const MaxFrame = 17 << 20
