package script

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		line string
		want []string
	}{
		{"echo hello", []string{"echo", "hello"}},
		{"  echo \t hello\r\n world\n", []string{"echo", "hello", "world"}},
		{`echo "SCRIPT Job: " 'a b'`, []string{"echo", "SCRIPT Job: ", "a b"}},
		{`a"b c"'d e'f`, []string{"ab cd ef"}},
		{`echo "" ''`, []string{"echo", "", ""}},
		{`echo "it's" 'say "x"'`, []string{"echo", "it's", `say "x"`}},
		{`echo \"x\" \'y\' a\ b \\`, []string{"echo", `"x"`, "'y'", "a b", `\`}},
		{`echo "a\"b\\c\n"`, []string{"echo", `a"b\c\n`}},
		{`echo 'a\'`, []string{"echo", `a\`}},
		{`C:\jobs\run.bat C:\new\`, []string{`C:\jobs\run.bat`, `C:\new\`}},
		{`echo $HOME ${HOME} *.txt ~ a|b; c && d # e`, []string{"echo", "$HOME", "${HOME}", "*.txt", "~", "a|b;", "c", "&&", "d", "#", "e"}},
		{"北京 '上 海'", []string{"北京", "上 海"}},
	} {
		got, err := split(test.line)
		if err != nil || !cmp.Equal(got, test.want) {
			t.Errorf("split(%q) = %q, %v, want %q", test.line, got, err, test.want)
		}
	}
	for _, line := range []string{"", " \n", `echo "a`, "echo 'a", `echo "a\"`} {
		if got, err := split(line); err == nil {
			t.Errorf("split(%q) = %q, nil, want an error", line, got)
		}
	}
}

// quote writes a word so that split reads it back.
func quote(word string) string { return `'` + strings.ReplaceAll(word, `'`, `'\''`) + `'` }

func FuzzSplit(f *testing.F) {
	f.Add("echo hello")
	f.Add(`a"b c"'d e'f \" \\ "\"\x" ''`)
	f.Add("\"\\")
	f.Add("北京\t\xff\x00 '")
	f.Fuzz(func(t *testing.T, line string) {
		words, err := split(line)
		if err != nil {
			if len(words) > 0 {
				t.Errorf("split(%q) = %q and %v, want no words with an error", line, words, err)
			}
			return
		}
		if len(words) == 0 {
			t.Fatalf("split(%q) = no words, want one or an error", line)
		}
		length := 0
		quoted := make([]string, len(words))
		for i, word := range words {
			length += len(word)
			quoted[i] = quote(word)
		}
		if length > len(line) {
			t.Errorf("split(%q) = %q, which is longer", line, words)
		}
		again, err := split(strings.Join(quoted, " "))
		if err != nil || !cmp.Equal(words, again) {
			t.Errorf("split of the quoted words of %q = %q, %v, want %q", line, again, err, words)
		}
	})
}
