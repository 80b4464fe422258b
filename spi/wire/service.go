package wire

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
