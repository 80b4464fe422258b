package wire

import (
	"github.com/elasticjob-go/elasticjob/spi"
	"github.com/elasticjob-go/elasticjob/spi/props"
)

// maxElements bounds the lists inside a description, before
// [spi.Descriptor.Check] applies the exact bounds.
const maxElements = 256

// AppendDescribeRequest adds the request of elasticjob_describe.
func AppendDescribeRequest(b []byte) []byte {
	return append(appendRequest(b, TypeDescribe), '}')
}

// appendRequest adds the members that every request begins with and leaves
// the object open.
func appendRequest(b []byte, requestType string) []byte {
	b = append(b, '{')
	b = appendInt(b, "abi", Version)
	return appendText(b, "type", requestType)
}

// requestFields are the members that every request begins with.
func requestFields(requestType string, rest ...field) []field {
	var version int
	return append([]field{
		must("abi", integer(&version, Version, Version)),
		must("type", constant(requestType)),
	}, rest...)
}

// AppendDescribeResponse adds the response of elasticjob_describe.
func AppendDescribeResponse(b []byte, plugins []spi.Descriptor) []byte {
	b = appendName(append(b, '{'), "plugins")
	b = appendList(b, plugins, appendDescriptor)
	return append(b, '}')
}

// DecodeDescribeResponse reads the response of elasticjob_describe. It checks
// the form only: the caller asks [spi.Descriptor.Check] about the content.
func DecodeDescribeResponse(data []byte) ([]spi.Descriptor, error) {
	var plugins []spi.Descriptor
	err := decode(data, "describe response", must("plugins", objects(MaxPlugins, &plugins, descriptorFields)))
	if err != nil {
		return nil, err
	}
	return plugins, nil
}

func appendDescriptor(b []byte, d spi.Descriptor) []byte {
	b = append(b, '{')
	b = appendText(b, "kind", string(d.Kind))
	b = appendText(b, "type", d.Type)
	b = appendText(b, "version", d.Version)
	b = appendText(b, "description", d.Description)
	b = appendList(appendName(b, "props"), d.Props, appendProperty)
	b = appendTexts(b, "capabilities", d.Capabilities)
	if len(d.Wants) > 0 {
		b = appendList(appendName(b, "wants"), d.Wants, appendWant)
	}
	return append(b, '}')
}

func descriptorFields(d *spi.Descriptor) []field {
	return []field{
		must("kind", text(&d.Kind)),
		must("type", text(&d.Type)),
		must("version", text(&d.Version)),
		must("description", text(&d.Description)),
		must("props", objects(props.MaxFields, (*[]props.Field)(&d.Props), propertyFields)),
		must("capabilities", texts(maxElements, &d.Capabilities)),
		may("wants", objects(maxElements, &d.Wants, wantFields)),
	}
}

func appendProperty(b []byte, f props.Field) []byte {
	b = append(b, '{')
	b = appendText(b, "name", f.Name)
	b = appendText(b, "type", string(f.Type))
	b = appendText(b, "description", f.Description)
	b = appendGiven(b, "default", f.Default)
	b = appendBool(b, "required", f.Required)
	if len(f.Enum) > 0 {
		b = appendTexts(b, "enum", f.Enum)
	}
	b = appendGiven(b, "min", f.Min)
	b = appendGiven(b, "max", f.Max)
	b = appendGiven(b, "pattern", f.Pattern)
	b = appendBool(b, "secret", f.Secret)
	b = appendGiven(b, "example", f.Example)
	b = appendGiven(b, "deprecated", f.Deprecated)
	return append(b, '}')
}

func propertyFields(f *props.Field) []field {
	return []field{
		must("name", text(&f.Name)),
		must("type", text(&f.Type)),
		must("description", text(&f.Description)),
		may("default", text(&f.Default)),
		may("required", boolean(&f.Required)),
		may("enum", texts(props.MaxFields, &f.Enum)),
		may("min", text(&f.Min)),
		may("max", text(&f.Max)),
		may("pattern", text(&f.Pattern)),
		may("secret", boolean(&f.Secret)),
		may("example", text(&f.Example)),
		may("deprecated", text(&f.Deprecated)),
	}
}

func appendWant(b []byte, w spi.Want) []byte {
	b = append(b, '{')
	b = appendText(b, "op", w.Op)
	b = appendText(b, "value", w.Value)
	b = appendText(b, "why", w.Why)
	return append(b, '}')
}

func wantFields(w *spi.Want) []field {
	return []field{
		must("op", text(&w.Op)),
		must("value", text(&w.Value)),
		may("why", text(&w.Why)),
	}
}
