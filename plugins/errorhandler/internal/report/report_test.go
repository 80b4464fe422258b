package report_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/elasticjob-go/elasticjob/plugins/errorhandler/internal/report"
	"github.com/elasticjob-go/elasticjob/spi"
)

func failure(message, stack string) spi.HandleErrorRequest {
	return spi.HandleErrorRequest{
		Context: spi.ShardingContext{JobName: "orders"},
		Error:   &spi.Error{Code: spi.CodeFailed, Message: message, Stack: stack},
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	const head = "Job 'orders' exception occur in job processing, caused by "
	tests := []struct {
		name, message, stack string
		most                 int
		want                 string
	}{
		{"message alone", "no such table", "", 1000, head + "no such table"},
		{"with its stack", "no such table", "main.run\n\tmain.go:7", 1000, head + "no such table\nmain.run\n\tmain.go:7"},
		{"just fits", "12345", "", len(head) + 5, head + "12345"},
		{"one byte too long", "123456", "", len(head) + 5, head + "12…"},
		{"cut within a character", "12订单", "", len(head) + 7, head + "12…"},
		{"cut between characters", "1订单x", "", len(head) + 7, head + "1订…"},
		{"no UTF-8", "a\xff\xfeb", "", 1000, head + "a\uFFFDb"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := report.Text(failure(test.message, test.stack), test.most); got != test.want {
				t.Errorf("Text(%q, %q, %d) = %q, want %q", test.message, test.stack, test.most, got, test.want)
			}
		})
	}
}

func TestTextOfSeveralFailures(t *testing.T) {
	t.Parallel()
	req := failure("no such table", "main.run")
	req.Count, req.Items = 7, []int{0, 1, 2, 5, 7, 8}
	req.First = time.Date(2026, 11, 21, 10, 4, 25, 120e6, time.UTC)
	req.Last = req.First.Add(time.Minute)
	const head = "Job 'orders' exception occur in job processing, caused by "
	const several = "\nThis is the last of 7 failures from 2026-11-21T10:04:25Z to 2026-11-21T10:05:25Z, of the items 0-2,5,7-8."
	for most, want := range map[int]string{
		1000:                       head + "no such table" + several + "\nmain.run",
		len(head+several) + 13:     head + "no such table" + several,
		len(head+several) + 8:      head + "no su…" + several,
		len(head+several) + 13 + 6: head + "no such table" + several + "\nma…",
	} {
		if got := report.Text(req, most); got != want {
			t.Errorf("Text of several failures in %d bytes = %q, want %q", most, got, want)
		}
	}
	req.Items = nil
	if got, want := report.Several(req), "\nThis is the last of 7 failures from 2026-11-21T10:04:25Z to 2026-11-21T10:05:25Z."; got != want {
		t.Errorf("Several() of whole runs = %q, want %q", got, want)
	}
	for most := range 200 {
		if got := report.Text(req, most); len(got) > most {
			t.Errorf("Text of several failures in %d bytes has %d", most, len(got))
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("订单 failed", 5)
	f.Add("\xff\xff\xff", 3)
	f.Add("abc", 0)
	f.Fuzz(func(t *testing.T, text string, most int) {
		got := report.Cut(text, most)
		if !utf8.ValidString(got) || len(got) > max(0, most) {
			t.Errorf("Cut(%q, %d) = %q, want valid UTF-8 of at most %d bytes", text, most, got, most)
		}
		if utf8.ValidString(text) && len(text) <= most && got != text {
			t.Errorf("Cut(%q, %d) = %q, want it unchanged", text, most, got)
		}
	})
}

func TestNotSentHasACodeThatEveryPluginMaySend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cause *spi.Error
		want  spi.Error
	}{
		{spi.NewError(spi.CodeDenied, "not granted"), spi.Error{Code: spi.CodeDenied}},
		{spi.NewError(spi.CodeRateLimited, "too fast"), spi.Error{Code: spi.CodeRateLimited, Retryable: true}},
		{spi.NewError(spi.CodeTimeout, "too slow"), spi.Error{Code: spi.CodeUnavailable, Retryable: true}},
		{spi.NewError(spi.CodeInternal, "a fault"), spi.Error{Code: spi.CodeFailed}},
		{&spi.Error{Code: 1042, Message: "own", Retryable: true}, spi.Error{Code: 1042, Retryable: true}},
	}
	for _, test := range tests {
		got := report.NotSent(failure("no such table", ""), "wechat", test.cause)
		test.want.Message = "An exception has occurred in Job 'orders' but failed to send wechat because of: " + test.cause.Message
		if diff := cmp.Diff(error(&test.want), got); diff != "" {
			t.Errorf("NotSent(%v) differs (-want +got):\n%s", test.cause.Code, diff)
		}
	}
}

func TestNotSentIsBounded(t *testing.T) {
	t.Parallel()
	got := report.NotSent(failure("", ""), "email", spi.NewError(spi.CodeFailed, strings.Repeat("x", 10_000)))
	if len(got.Error()) != 2048 {
		t.Errorf("NotSent() has a message of %d bytes, want 2048", len(got.Error()))
	}
}

type services struct {
	spi.Services

	records []spi.LogRecord
}

func (s *services) Log(_ context.Context, record spi.LogRecord) {
	s.records = append(s.records, record)
}

func TestSent(t *testing.T) {
	t.Parallel()
	var s services
	req := failure("no such table", "")
	req.Services = &s
	report.Sent(t.Context(), req, "an email has been sent successfully.")
	want := []spi.LogRecord{{Level: spi.LevelInfo, Line: "An exception has occurred in Job 'orders', an email has been sent successfully."}}
	if diff := cmp.Diff(want, s.records); diff != "" {
		t.Errorf("Sent() logs (-want +got):\n%s", diff)
	}
}
