package callbacks

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Bounds of what a payload may hold: the deepest has four levels, the widest a list of the
// members of a group.
const (
	maxDepth  = 8
	maxFields = 4_000
)

var errPayload = errors.New("the payload cannot be read")

// fields are a payload's, by the vendor's names: a text, a list, or fields again. Numbers of
// JSON are texts too, as they are written.
type fields map[string]any

// parse reads a payload, in XML or JSON. Either is read to its end.
func parse(payload []byte) (fields, error) {
	trimmed := bytes.TrimSpace(payload)
	if bytes.HasPrefix(trimmed, []byte("{")) {
		return parseJSON(trimmed)
	}
	return parseXML(trimmed)
}

func parseJSON(text []byte) (fields, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var in map[string]any
	if d.Decode(&in) != nil {
		return nil, errPayload
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errPayload
	}
	left := maxFields
	out, ok := plain(in, 0, &left).(fields)
	if !ok || left < 0 {
		return nil, errPayload
	}
	return out, nil
}

func plain(v any, depth int, left *int) any {
	if *left--; *left < 0 || depth > maxDepth {
		*left = -1
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		out := fields{}
		for k, each := range v {
			out[clean(k)] = plain(each, depth+1, left)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, each := range v {
			out[i] = plain(each, depth+1, left)
		}
		return out
	case string:
		return clean(v)
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return ""
}

// clean leaves out the one character that PostgreSQL keeps in no text.
func clean(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "") }

func parseXML(text []byte) (fields, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	left := maxFields
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errPayload
		}
		if _, ok := token.(xml.StartElement); ok {
			break
		}
	}
	v, err := element(d, 0, &left)
	out, ok := v.(fields)
	if err != nil || !ok {
		return nil, errPayload
	}
	return out, nil
}

// element reads what stands in an element, to its end.
func element(d *xml.Decoder, depth int, left *int) (any, error) {
	if *left--; *left < 0 || depth > maxDepth {
		return nil, errPayload
	}
	var (
		text strings.Builder
		in   fields
	)
	for {
		token, err := d.Token()
		if err != nil {
			return nil, errPayload
		}
		switch t := token.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			v, err := element(d, depth+1, left)
			if err != nil {
				return nil, err
			}
			if in == nil {
				in = fields{}
			}
			name := clean(t.Name.Local)
			switch known := in[name].(type) {
			case nil:
				in[name] = v
			case []any:
				in[name] = append(known, v)
			default:
				in[name] = []any{known, v}
			}
		case xml.EndElement:
			if in != nil {
				return in, nil
			}
			return clean(strings.TrimSpace(text.String())), nil
		}
	}
}

// text is a field that is a text; empty where it is none.
func (f fields) text(path ...string) string {
	v := f.at(path...)
	s, _ := v.(string)
	return s
}

func (f fields) at(path ...string) any {
	var v any = f
	for _, name := range path {
		in, ok := v.(fields)
		if !ok {
			return nil
		}
		v = in[name]
	}
	return v
}

// items are what stands in a list, which one item alone need not look like.
func (f fields) items(path ...string) []any {
	switch v := f.at(path...).(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		return []any{v}
	}
}
