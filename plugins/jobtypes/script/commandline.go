package script

import (
	"errors"
	"strings"
)

// white are the characters between words.
const white = " \t\r\n"

// split cuts a command line into words, of which there is at least one. White
// space separates words. What stands in single or double quotes belongs to one
// word. A backslash takes the next character as it is if that is a quote, white
// space or a backslash, in double quotes if it is a double quote or a backslash,
// and in single quotes never; before anything else it is a character like any
// other. Nothing else has a meaning.
func split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(line) && escapes(line[i+1], quote):
			i++
			word.WriteByte(line[i])
			inWord = true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case strings.IndexByte(white, c) >= 0:
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("has a quote " + string(quote) + " without its end")
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("is empty")
	}
	return words, nil
}

// escapes says whether a backslash before c takes it as it is.
func escapes(c, quote byte) bool {
	if quote == '"' {
		return c == '"' || c == '\\'
	}
	return c == '\'' || c == '"' || c == '\\' || strings.IndexByte(white, c) >= 0
}
