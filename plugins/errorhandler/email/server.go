package email

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// sendTimeout bounds the sending of a mail, from dialling to the last answer.
const sendTimeout = 10 * time.Second

var errTooSlow = errors.New("the server takes longer than " + sendTimeout.String())

// server is how an SMTP server is reached. It is only read after newServer.
type server struct {
	host               string
	port               int
	username, password string
	implicitTLS        bool
	startTLS           mail.TLSPolicy
	tls                *tls.Config
	debug              bool
}

func newServer(values props.Values) server {
	host := values.String(PropHost)
	s := server{
		host: host, port: int(values.Int(PropPort)),
		username: values.String(PropUsername), password: values.String(PropPassword),
		implicitTLS: values.Bool(PropUseSSL),
		tls: &tls.Config{
			ServerName: host, MinVersion: tls.VersionTLS12,
			InsecureSkipVerify: isTrusted(host, values.String(PropSSLTrust)), //nolint:gosec // the operator named this server
		},
		debug: values.Bool(PropDebug),
	}
	switch values.String(PropStartTLS) {
	case StartTLSRequired:
		s.startTLS = mail.TLSMandatory
	case StartTLSNever:
		s.startTLS = mail.NoTLS
	default:
		s.startTLS = mail.TLSOpportunistic
	}
	return s
}

// isTrusted says that the host is one of those whose certificates JavaMail's
// property mail.smtp.ssl.trust lets pass unchecked.
func isTrusted(host, trusted string) bool {
	names := strings.FieldsFunc(trusted, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	return slices.ContainsFunc(names, func(name string) bool { return name == "*" || strings.EqualFold(name, host) })
}

// message returns the mail that holds the text.
func (h *handler) message(text string) *mail.Msg {
	m := mail.NewMsg()
	m.FromMailAddress(h.from)
	m.ToMailAddress(h.to...)
	m.CcMailAddress(h.cc...)
	m.BccMailAddress(h.bcc...)
	m.Subject(h.subject)
	m.SetDate()
	m.SetMessageID()
	m.SetUserAgent("elasticjob")
	// What sends by itself says so, and no out-of-office note answers it.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetBodyString(mail.TypeTextHTML, page(text))
	return m
}

// send delivers one mail in a session of its own. It ends soon after ctx, as it
// closes the connection then, and within sendTimeout.
func (s server) send(ctx context.Context, services spi.Services, m *mail.Msg) error {
	ctx, cancel := context.WithTimeoutCause(ctx, sendTimeout, errTooSlow)
	defer cancel()
	connection := &connection{tls: s.tls, implicitTLS: s.implicitTLS}
	defer connection.close()
	defer context.AfterFunc(ctx, connection.close)()
	client, err := mail.NewClient(s.host, s.options(ctx, services, connection)...)
	if err != nil {
		return s.failure(ctx, "preparing the session", err)
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return s.failure(ctx, "opening the session", err)
	}
	if err := client.SendWithSMTPClient(session, m); err != nil {
		return s.failure(ctx, "sending", err)
	}
	// The server has taken the mail: how the session ends changes nothing.
	_ = client.CloseWithSMTPClient(session)
	return nil
}

func (s server) options(ctx context.Context, services spi.Services, connection *connection) []mail.Option {
	options := []mail.Option{
		mail.WithPort(s.port), mail.WithTimeout(sendTimeout), mail.WithDialContextFunc(connection.dial),
		mail.WithTLSConfig(s.tls), mail.WithTLSPolicy(s.startTLS), mail.WithoutNoop(), mail.WithoutRset(),
	}
	if s.implicitTLS {
		options = append(options, mail.WithSSL())
	}
	if s.username != "" {
		// In order of preference. The client itself refuses those that show the
		// password when the connection is neither encrypted nor local.
		options = append(options, mail.WithUsername(s.username), mail.WithPassword(s.password), mail.WithOpportunisticSMTPAuth(
			mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
		))
	}
	if s.debug {
		options = append(options, mail.WithDebugLog(), mail.WithLogger(dialogue{log: func(line string) {
			services.Log(ctx, spi.LogRecord{Level: spi.LevelDebug, Line: line})
		}}))
	}
	return options
}

// failure tells what went wrong, and whether the same mail may get through
// later.
func (s server) failure(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return spi.NewError(spi.CodeUnavailable, doing+": "+context.Cause(ctx).Error())
	}
	code := spi.CodeFailed
	answer, answered := errors.AsType[*textproto.Error](err)
	refused, isRefused := errors.AsType[*mail.SendError](err)
	_, isNetwork := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, smtp.ErrUnencrypted):
		return spi.NewError(code, doing+": the server offers no encryption, without which a password is sent to localhost only")
	case answered && answer.Code >= 400 && answer.Code < 500, isRefused && refused.IsTemp(), isNetwork, errors.Is(err, io.EOF):
		code = spi.CodeUnavailable
	}
	text := err.Error()
	if s.password != "" {
		text = strings.ReplaceAll(text, s.password, "***")
	}
	return spi.NewError(code, doing+": "+text)
}
