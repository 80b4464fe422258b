package wasm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/wire"
)

// file is a module file as it was read: what is hashed is what is compiled.
type file struct {
	path string
	data []byte
	sha  string
}

// readFile reads the file once and checks that it is a core module with the
// expected checksum.
func readFile(path, wantSHA string) (file, error) {
	data, err := readBounded(path)
	if err != nil {
		return file{}, err
	}
	if err := sniff(data); err != nil {
		return file{}, fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(data)
	f := file{path: path, data: data, sha: hex.EncodeToString(sum[:])}
	if wantSHA != "" && !strings.EqualFold(wantSHA, f.sha) {
		return file{}, fmt.Errorf("%s: %w", path, spi.NewError(spi.CodeDenied,
			"sha256 is "+f.sha+", but "+strings.ToLower(wantSHA)+" is expected"))
	}
	return f, nil
}

func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the module: %w", path, err)
	}
	// Before opening, because opening a pipe would wait for its other end.
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, spi.NewError(spi.CodeProtocol, "is not a regular file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: reading the module: %w", path, err)
	}
	defer func() { _ = f.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(f, wire.MaxModuleFile+1))
	if err != nil {
		return nil, fmt.Errorf("%s: reading the module: %w", path, err)
	}
	if len(data) > wire.MaxModuleFile {
		return nil, fmt.Errorf("%s: %w", path, spi.NewError(spi.CodeTooLarge,
			fmt.Sprintf("is larger than %d MiB, the most a module may have", wire.MaxModuleFile>>20)))
	}
	return data, nil
}

// The first eight bytes: magic, version and, in components, a layer.
const (
	magic        = "\x00asm"
	coreVersion  = "\x01\x00\x00\x00"
	headerLength = len(magic) + len(coreVersion)
)

// sniff tells a core module from everything else by the first bytes.
func sniff(data []byte) error {
	if !bytes.HasPrefix(data, []byte(magic)) || len(data) < headerLength {
		return spi.NewError(spi.CodeProtocol, "is not a WebAssembly module: "+looksLike(data))
	}
	version := data[len(magic):headerLength]
	switch {
	case string(version) == coreVersion:
		return nil
	case version[2] == 1 && version[3] == 0:
		return spi.NewError(spi.CodeProtocol, "is a WebAssembly component; only core modules on WASI preview 1 run here: "+
			"build for the target wasm32-wasip1 (GOOS=wasip1 GOARCH=wasm in Go), without the step that makes a component of the module (wasm-tools component new)")
	default:
		return spi.NewError(spi.CodeProtocol, fmt.Sprintf("is a WebAssembly file of the unknown version %x; only version 1 of core modules runs here", version))
	}
}

// looksLike describes a file that is no module, so that a wrong path is found
// at a glance.
func looksLike(data []byte) string {
	for _, kind := range []struct{ prefix, text string }{
		{"\x7fELF", "it looks like an ELF program, built for this machine instead of wasm"},
		{"MZ", "it looks like a Windows program, built for that system instead of wasm"},
		{"\xcf\xfa\xed\xfe", "it looks like a macOS program, built for that system instead of wasm"},
		{"\xca\xfe\xba\xbe", "it looks like a Java class or a macOS program"},
		{"\x1f\x8b", "it looks like gzip; unpack it first"},
		{"PK\x03\x04", "it looks like a zip or jar archive; unpack it first"},
		{"(module", "it looks like WebAssembly text; translate it to the binary format first (wat2wasm)"},
		{"!<arch>", "it looks like an archive of objects, as go build makes for a package that is not main"},
		{"#!", "it looks like a script"},
	} {
		if bytes.HasPrefix(data, []byte(kind.prefix)) {
			return kind.text
		}
	}
	switch {
	case len(data) == 0:
		return "it is empty"
	case bytes.HasPrefix([]byte(magic+coreVersion), data):
		return "it ends within the header"
	case isText(data[:min(len(data), 512)]):
		return "it looks like text"
	default:
		return fmt.Sprintf("it begins with % x", data[:min(len(data), 4)])
	}
}

func isText(head []byte) bool {
	for len(head) > 0 {
		r, n := utf8.DecodeRune(head)
		if r == utf8.RuneError && len(head) >= utf8.UTFMax || r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		head = head[n:]
	}
	return true
}
