package process

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"

	"github.com/elasticjob-go/elasticjob/spi/pluginpb"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// checkHandshake says what is wrong with the first line of a program. go-plugin
// would say it too, but not to a person who sees the program for the first time.
//
// The line is CORE|VERSION|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE.
func checkHandshake(line string) error {
	parts := strings.Split(line, "|")
	if _, err := strconv.Atoi(parts[0]); err != nil || len(parts) < 4 {
		return errors.New("it wrote " + strconv.Quote(wire.Cut(line, 200)) + " instead of a handshake")
	}
	if parts[0] != strconv.Itoa(goplugin.CoreProtocolVersion) {
		return fmt.Errorf("it speaks version %s of go-plugin's handshake, this host version %d", strconv.Quote(wire.Cut(parts[0], 20)), goplugin.CoreProtocolVersion)
	}
	if parts[1] != strconv.Itoa(pluginpb.ProtocolVersion) {
		return fmt.Errorf("it speaks version %s of the plugin protocol, this host version %d", strconv.Quote(wire.Cut(parts[1], 20)), pluginpb.ProtocolVersion)
	}
	if parts[2] != "unix" && parts[2] != "tcp" {
		return fmt.Errorf("it listens on the network %s, which is neither unix nor tcp", strconv.Quote(wire.Cut(parts[2], 20)))
	}
	if len(parts) < 5 || parts[4] != string(goplugin.ProtocolGRPC) {
		return errors.New("it does not speak gRPC")
	}
	if len(parts) < 6 || parts[5] == "" {
		return errors.New("it offers no certificate: the plugin must answer the one in PLUGIN_CLIENT_CERT with its own (AutoMTLS)")
	}
	if _, err := base64.RawStdEncoding.DecodeString(parts[5]); err != nil {
		return errors.New("its certificate is not base64 without padding")
	}
	return nil
}
