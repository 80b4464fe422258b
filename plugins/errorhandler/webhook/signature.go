package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/hook"
	"github.com/elasticjob-go/elasticjob/spi"
)

// The header fields of signatures.
const (
	headerID        = "webhook-id"
	headerTimestamp = "webhook-timestamp"
	headerSignature = "webhook-signature"
	headerGitHub    = "x-hub-signature-256"
)

// signer signs requests.
type signer struct {
	key      []byte // nil for none
	isGitHub bool
}

// secretPrefix stands before the base64 of a key, as Standard Webhooks writes it.
const secretPrefix = "whsec_"

func newSigner(form, secret string) (signer, error) {
	if secret == "" {
		return signer{}, nil
	}
	s := signer{key: []byte(secret), isGitHub: form == SignatureGitHub}
	if encoded, found := strings.CutPrefix(secret, secretPrefix); found && !s.isGitHub {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) == 0 {
			return signer{}, hook.Refused(PropSecret, PropSecret+" begins with "+secretPrefix+", but the rest is not base64")
		}
		s.key = key
	}
	return s, nil
}

// sign adds the id of the message, which the tries of one message share, and the
// signature if there is a key. The form of Standard Webhooks is the HMAC with
// SHA-256 of the id, the time in seconds and the body, with dots between, in
// base64 (https://github.com/standard-webhooks/standard-webhooks, its
// specification). That of GitHub is the HMAC with SHA-256 of the body, in
// hexadecimal digits (its page on validating webhook deliveries).
func (s signer) sign(headers map[string][]string, id string, now time.Time, body []byte) {
	headers[headerID] = []string{id}
	if s.key == nil {
		return
	}
	mac := hmac.New(sha256.New, s.key)
	if s.isGitHub {
		mac.Write(body)
		headers[headerGitHub] = []string{"sha256=" + hex.EncodeToString(mac.Sum(nil))}
		return
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	headers[headerTimestamp] = []string{timestamp}
	headers[headerSignature] = []string{"v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}
}

// messageID names a message. It is the same for all tries, so that who has got it
// twice can tell.
func messageID(req spi.HandleErrorRequest) string {
	c := req.Context
	facts := strings.Join([]string{
		c.JobName, c.TaskID, c.RunID, strconv.Itoa(c.ShardingItem), strconv.Itoa(c.Attempt), strconv.Itoa(req.Count), instant(req.First), instant(req.Last),
		strconv.Itoa(int(req.Error.Code)), req.Error.Error(),
	}, "\x00")
	sum := sha256.Sum256([]byte(facts))
	return "msg_" + hex.EncodeToString(sum[:16])
}
