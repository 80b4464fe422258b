package dingtalk

import (
	"testing"
	"time"
)

// TestSignature compares with what openssl computes:
//
//	printf '%s\n%s' MILLISECONDS SECRET | openssl dgst -sha256 -hmac SECRET -binary | base64
func TestSignature(t *testing.T) {
	t.Parallel()
	tests := []struct {
		milliseconds int64
		secret, want string
	}{
		{1700000000123, "SEC+/=订单", "timestamp=1700000000123&sign=NPkZZNJgID4clfDsIiMRTi7WyquYByjwO90kokNA%2F3c%3D"},
		{1700000000121, "SECabc", "timestamp=1700000000121&sign=C%2BK5BVZ5MfDkQiltf7%2BfcyHvJQ%2FLPuUTLctZX7e3Afg%3D"},
	}
	for _, test := range tests {
		if got := signature(time.UnixMilli(test.milliseconds), test.secret); got != test.want {
			t.Errorf("signature(%d, %q) = %q, want %q", test.milliseconds, test.secret, got, test.want)
		}
	}
}
