package wire

// AppendText adds text as a JSON string, for authors whose data are texts.
func AppendText(b []byte, text string) []byte { return appendString(b, text) }

// DecodeText reads a JSON string.
func DecodeText(data []byte) (string, error) {
	value, bad := parse(data)
	var decoded string
	if bad == nil {
		bad = text(&decoded)(value)
	}
	if bad != nil {
		return "", bad.protocolError("text")
	}
	return decoded, nil
}
