package slack

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzEscape(f *testing.F) {
	f.Add("a & b <c>", 10)
	f.Add("订单", 4)
	f.Add("\xff&", 6)
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = min(max(3, most), 1000)
		got := escape(text, most)
		if len(got) > most || !utf8.ValidString(got) || strings.ContainsAny(got, "<>") {
			t.Errorf("escape(%q, %d) = %q, want at most so many bytes without < and >", text, most, got)
		}
		plain := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(strings.TrimSuffix(got, "…"))
		if !strings.HasPrefix(strings.ToValidUTF8(text, "\uFFFD")+"…", plain) && utf8.ValidString(text) {
			t.Errorf("escape(%q, %d) = %q, want a beginning of the text", text, most, got)
		}
	})
}
