package wire

// The standard alphabet of RFC 4648, section 4.
const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func appendBase64(b, data []byte) []byte {
	for len(data) >= 3 {
		n := uint(data[0])<<16 | uint(data[1])<<8 | uint(data[2])
		b = append(b, base64Alphabet[n>>18], base64Alphabet[n>>12&63], base64Alphabet[n>>6&63], base64Alphabet[n&63])
		data = data[3:]
	}
	switch len(data) {
	case 1:
		n := uint(data[0]) << 16
		b = append(b, base64Alphabet[n>>18], base64Alphabet[n>>12&63], '=', '=')
	case 2:
		n := uint(data[0])<<16 | uint(data[1])<<8
		b = append(b, base64Alphabet[n>>18], base64Alphabet[n>>12&63], base64Alphabet[n>>6&63], '=')
	}
	return b
}

// decodeBase64 wants full padding and no line breaks. Like most decoders it
// ignores bits beyond the last byte.
func decodeBase64(text string) (data []byte, ok bool) {
	if len(text)%4 != 0 {
		return nil, false
	}
	data = make([]byte, 0, len(text)/4*3)
	for ; len(text) > 0; text = text[4:] {
		chars := 4
		if len(text) == 4 {
			for chars > 2 && text[chars-1] == '=' {
				chars--
			}
		}
		var n uint
		for i := range chars {
			digit, valid := base64Digit(text[i])
			if !valid {
				return nil, false
			}
			n |= digit << (18 - 6*i)
		}
		group := [3]byte{byte(n >> 16), byte(n >> 8), byte(n)}
		data = append(data, group[:chars-1]...)
	}
	return data, true
}

func base64Digit(c byte) (digit uint, ok bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return uint(c - 'A'), true
	case c >= 'a' && c <= 'z':
		return uint(c-'a') + 26, true
	case isDigit(c):
		return uint(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	default:
		return 0, false
	}
}
