package wire

import (
	"strconv"

	"github.com/elasticjob-go/elasticjob/spi"
)

// AppendShouldStopResponse adds the response of the host operation
// should_stop. The reason is empty unless stop is true.
func AppendShouldStopResponse(b []byte, stop bool, reason string) []byte {
	b = append(b, '{')
	b = appendBool(b, "stop", stop)
	b = appendText(b, "reason", reason)
	return append(b, '}')
}

// DecodeShouldStopResponse reads the response of the host operation
// should_stop. An absent reason counts as empty.
func DecodeShouldStopResponse(data []byte) (stop bool, reason string, err error) {
	err = decode(data, "should_stop response",
		must("stop", boolean(&stop)),
		may("reason", text(&reason)),
	)
	if err != nil {
		return false, "", err
	}
	return stop, reason, nil
}

// AppendSecretGetRequest adds the request of the host operation secret.get.
func AppendSecretGetRequest(b []byte, name string) []byte {
	return append(appendText(append(b, '{'), "name", name), '}')
}

// DecodeSecretGetRequest reads the request of the host operation secret.get.
func DecodeSecretGetRequest(data []byte) (name string, err error) {
	if err := decode(data, "secret.get request", must("name", text(&name))); err != nil {
		return "", err
	}
	return name, nil
}

// AppendSecretGetResponse adds the response of the host operation secret.get.
func AppendSecretGetResponse(b []byte, value string) []byte {
	return append(appendText(append(b, '{'), "value", value), '}')
}

// DecodeSecretGetResponse reads the response of the host operation secret.get.
// Its errors do not hold the value.
func DecodeSecretGetResponse(data []byte) (value string, err error) {
	if err := decode(data, "secret.get response", must("value", text(&value))); err != nil {
		return "", err
	}
	return value, nil
}

// AppendCheckpointSaveRequest adds the request of the host operation
// checkpoint.save.
func AppendCheckpointSaveRequest(b, checkpoint []byte) []byte {
	return append(appendBytes(append(b, '{'), "data", checkpoint), '}')
}

// DecodeCheckpointSaveRequest reads the request of the host operation
// checkpoint.save. It fails with [spi.CodeTooLarge] above [MaxCheckpoint]. The
// checkpoint is never nil.
func DecodeCheckpointSaveRequest(data []byte) (checkpoint []byte, err error) {
	if err := decode(data, "checkpoint.save request", must("data", base64Bytes(MaxMessage, &checkpoint))); err != nil {
		return nil, err
	}
	if err := CheckCheckpoint(checkpoint); err != nil {
		return nil, err
	}
	return checkpoint, nil
}

// CheckCheckpoint fails with [spi.CodeTooLarge] if the checkpoint is longer
// than [MaxCheckpoint].
func CheckCheckpoint(checkpoint []byte) error {
	if len(checkpoint) <= MaxCheckpoint {
		return nil
	}
	return spi.NewError(spi.CodeTooLarge, "a checkpoint has at most "+strconv.Itoa(MaxCheckpoint)+" bytes, not "+strconv.Itoa(len(checkpoint)))
}

// Progress is the request of the host operation progress.report: how much of
// an item is done, in any unit.
type Progress struct {
	Done int64
	// Total is 0 if not known.
	Total int64
	// Message says it to a person, in at most [MaxText] bytes.
	Message string
}

// AppendProgressReportRequest adds the request of the host operation
// progress.report. Numbers are bounded to those from 0 to 2^53-1, and a longer
// message is cut.
func AppendProgressReportRequest(b []byte, p Progress) []byte {
	b = appendInt(append(b, '{'), "done", min(max(p.Done, 0), maxInteger))
	b = appendInt(b, "total", min(max(p.Total, 0), maxInteger))
	b = appendText(b, "message", Cut(p.Message, MaxText))
	return append(b, '}')
}

// DecodeProgressReportRequest reads the request of the host operation
// progress.report. It fails with [spi.CodeTooLarge] if the message is longer than
// [MaxText]. Absent numbers count as 0 and an absent message as empty.
func DecodeProgressReportRequest(data []byte) (Progress, error) {
	var p Progress
	err := decode(data, "progress.report request",
		may("done", integer(&p.Done, 0, maxInteger)),
		may("total", integer(&p.Total, 0, maxInteger)),
		may("message", text(&p.Message)),
	)
	if err != nil {
		return Progress{}, err
	}
	if len(p.Message) > MaxText {
		return Progress{}, spi.NewError(spi.CodeTooLarge, "the message of a progress has at most "+strconv.Itoa(MaxText)+" bytes, not "+strconv.Itoa(len(p.Message)))
	}
	return p, nil
}

// AppendNothing adds the response of host operations that have nothing to say:
// checkpoint.save and progress.report.
func AppendNothing(b []byte) []byte { return append(b, '{', '}') }
