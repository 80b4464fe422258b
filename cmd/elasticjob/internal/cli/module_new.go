package cli

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/elasticjob-go/elasticjob"
	"github.com/elasticjob-go/elasticjob/sdk/c"
	"github.com/elasticjob-go/elasticjob/spi"
)

//go:embed skeleton
var skeleton embed.FS

type moduleNewOptions struct {
	lang     string
	typeName string
	sdk      string
}

func (a *app) moduleNewCommand() *cobra.Command {
	var o moduleNewOptions
	cmd := &cobra.Command{
		Use:   "new DIR",
		Short: "Write the start of a module",
		Long: `Write a program in Go or C that is a job, with a configuration that runs it, into
a new or empty directory. Nothing is ever overwritten.

A program in C gets the header of the SDK. One in Go uses the SDK of the same
version with a release of elasticjob; built from source, it uses the SDK in the
source tree around the working directory or in the one that --sdk names.`,
		Example: `  elasticjob module new orders
  elasticjob module new orders --lang c`,
		Args: exactArgs("the directory"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.moduleNew(cmd, args[0], o) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.lang, "lang", "go", "programming `language`: go or c")
	flags.StringVar(&o.typeName, "type", "", "`name` of the job type (default: from the directory)")
	flags.StringVar(&o.sdk, "sdk", "", "source `directory` of elasticjob, to use its SDK")
	return cmd
}

// moduleNewResult is the document of module new.
type moduleNewResult struct {
	Dir   string   `json:"dir"`
	Type  string   `json:"type"`
	Files []string `json:"files"`
}

// skeletonData is what the files of a skeleton mention.
type skeletonData struct {
	Name string
	Type string
	SDK  string
	// Main is the file that the author changes.
	Main string
}

// The languages of skeletons.
const (
	langGo = "go"
	langC  = "c"
)

func (a *app) moduleNew(cmd *cobra.Command, dir string, o moduleNewOptions) error {
	if o.lang != langGo && o.lang != langC {
		return usagef(cmd, "--lang %q is not available in this version: write go or c; a WASI command in any language needs no skeleton", o.lang)
	}
	if o.lang == langC && o.sdk != "" {
		return usagef(cmd, "--sdk is for Go: a program in C gets the header of the SDK")
	}
	abs, err := absolute(dir)
	if err != nil {
		return err
	}
	data := skeletonData{Name: moduleName(filepath.Base(abs)), Type: o.typeName, SDK: modulePath, Main: "main." + o.lang}
	if data.Name == "" {
		return usagef(cmd, "no name can be made of %q: use a directory whose name has letters or digits", dir)
	}
	if data.Type == "" {
		data.Type = typeOf(data.Name)
	}
	if !spi.ValidType(data.Type) {
		return usagef(cmd, "--type %q is no type name: write a capital letter and then capital letters, digits and underscores, at most 64", data.Type)
	}
	files, err := renderSkeleton(o.lang, data)
	if err != nil {
		return err
	}
	var fetched bool
	if o.lang == langC {
		files["elasticjob.h"] = []byte(c.Header())
	} else if files["go.mod"], fetched, err = goMod(cmd, data.Name, o.sdk); err != nil {
		return err
	}
	names, err := writeNew(cmd, abs, files)
	if err != nil {
		return err
	}
	result := moduleNewResult{Dir: dir, Type: data.Type, Files: names}
	return a.print(result, func(w io.Writer) {
		for _, name := range names {
			_, _ = fmt.Fprintln(w, printable(filepath.Join(dir, name)))
		}
		if fetched {
			_, _ = fmt.Fprintf(w, "Next: run go mod tidy in %s, then elasticjob module build %[1]s\n", printable(dir))
			return
		}
		_, _ = fmt.Fprintf(w, "Next: elasticjob module build %s\n", printable(dir))
	})
}

// moduleName makes a plain name of the name of a directory: lower-case letters,
// digits and dashes.
func moduleName(base string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, base)
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' }), "-")
	return strings.TrimRight(name[:min(len(name), 50)], "-")
}

// typeOf makes a type name of a plain name.
func typeOf(name string) string {
	name = strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if name[0] < 'A' {
		name = "JOB_" + name
	}
	return name
}

// goMod returns the go.mod of a skeleton, and whether the SDK that it names is
// to be fetched.
func goMod(cmd *cobra.Command, name, sdk string) (content []byte, fetched bool, err error) {
	var b strings.Builder
	fmt.Fprintf(&b, "module example.com/%s\n\ngo 1.26.0\n\nrequire %s v%s\n", name, modulePath, elasticjob.Version)
	if sdk == "" && builtFromRelease() {
		return []byte(b.String()), true, nil
	}
	source, err := sourceTree(sdk)
	if err != nil {
		return nil, false, usagef(cmd, "%s", err)
	}
	fmt.Fprintf(&b, "\nreplace %s => %s\n", modulePath, quotePath(filepath.ToSlash(source)))
	return []byte(b.String()), false, nil
}

// quotePath quotes a path of go.mod if it needs quotes there.
func quotePath(path string) string {
	if strings.ContainsAny(path, " \t\"'`()[]{},") || strings.Contains(path, "//") {
		return strconv.Quote(path)
	}
	return path
}

// builtFromRelease says whether this program was built from a version of the
// module that the go command can fetch again.
func builtFromRelease() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && info.Main.Path == modulePath && info.Main.Version == "v"+elasticjob.Version
}

// sourceTree returns the source tree of elasticjob at dir, or, without one, at
// or above the working directory.
func sourceTree(dir string) (string, error) {
	if dir != "" {
		abs, err := absolute(dir)
		if err != nil {
			return "", err
		}
		if !isSourceTree(abs) {
			return "", fmt.Errorf("--sdk %q is not the source tree of elasticjob: there is no go.mod of %s", dir, modulePath)
		}
		return abs, nil
	}
	abs, err := absolute(".")
	if err != nil {
		return "", err
	}
	for at := abs; ; at = filepath.Dir(at) {
		if isSourceTree(at) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return "", errors.New("this program was built from source and cannot tell where its SDK is: add --sdk with the source tree of elasticjob")
		}
	}
}

func isSourceTree(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" {
			return strings.Trim(fields[1], `"`) == modulePath
		}
	}
	return false
}

// renderSkeleton returns the files of the skeleton of a language by name.
func renderSkeleton(lang string, data skeletonData) (map[string][]byte, error) {
	templates, err := template.ParseFS(skeleton, "skeleton/any/*.tmpl", "skeleton/"+lang+"/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("reading the skeleton: %w", err)
	}
	files := make(map[string][]byte)
	for _, t := range templates.Templates() {
		var b bytes.Buffer
		if err := t.Execute(&b, data); err != nil {
			return nil, fmt.Errorf("filling in the skeleton: %w", err)
		}
		name := strings.TrimSuffix(t.Name(), ".tmpl")
		if name == "gitignore" {
			name = ".gitignore"
		}
		files[name] = b.Bytes()
	}
	return files, nil
}

// writeNew writes files into dir, which must be empty or new.
func writeNew(cmd *cobra.Command, dir string, files map[string][]byte) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, usagef(cmd, "%s cannot be used as a directory: %s", dir, err)
	}
	if len(entries) > 0 {
		return nil, usagef(cmd, "%s is not empty, and nothing is overwritten: name a new directory", dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the directory: %w", err)
	}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := writeFile(filepath.Join(dir, name), files[name]); err != nil {
			return nil, fmt.Errorf("writing the skeleton: %w", err)
		}
	}
	return names, nil
}

// writeFile writes a file that must not exist.
func writeFile(path string, content []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.Write(content)
	return err
}
