package simulate

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// ReadEvents reads events as the API takes them: one JSON object a line, or CSV whose
// first line names the columns id, type, member, time, and properties. arrives may say
// when an event was told; without it that is its own time.
func (p *Plan) ReadEvents(file string, r io.Reader) ([]PastEvent, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if first, err := in.Peek(512); len(bytes.TrimSpace(first)) == 0 {
		if errors.Is(err, io.EOF) {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%s holds no events", file)
		}
		return nil, err
	} else if !bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(first, []byte("\ufeff"))), []byte("{")) {
		return p.eventsCSV(file, in)
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	var out []PastEvent
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(bytes.TrimPrefix(lines.Bytes(), []byte("\ufeff")))
		if len(line) == 0 {
			continue
		}
		var e struct {
			ID, Type, Member string
			Time, Arrives    string
			Properties       json.RawMessage
		}
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: this is no event: %v", file, n, err)
		}
		event, err := p.pastEvent(e.ID, e.Type, e.Member, e.Time, e.Arrives, slices.Clone(e.Properties))
		if err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: %v", file, n, err)
		}
		event.Line = n
		out = append(out, event)
	}
	if err := lines.Err(); err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s: %v; a line has at most 1 MiB", file, err)
	}
	return out, nil
}

func (p *Plan) pastEvent(id, typ, member, at, arrives string, properties json.RawMessage) (PastEvent, error) {
	e := PastEvent{Event: campaign.Event{ID: id, Type: typ, Member: member}}
	for name, v := range map[string]string{"id": id, "type": typ, "member": member, "time": at} {
		if v == "" {
			return e, campaign.Errorf(campaign.CodeInvalid, "the event has no %s", name)
		}
	}
	var err error
	if e.Time, err = time.Parse(time.RFC3339, at); err != nil {
		return e, campaign.Errorf(campaign.CodeInvalid, `%q is not a time: write RFC 3339 with an offset, such as "2026-12-01T20:00:00+08:00"`, at)
	}
	e.Stored = e.Time
	if arrives != "" {
		if e.Stored, err = time.Parse(time.RFC3339, arrives); err != nil {
			return e, campaign.Errorf(campaign.CodeInvalid, `%q is not a time: write RFC 3339 with an offset, such as "2026-12-01T20:00:00+08:00"`, arrives)
		}
	}
	e.Stored = latest(e.Stored, e.Time)
	e.Properties, err = p.keep(typ, properties)
	return e, err
}

// keep brings properties to the form in which the API stores them.
func (p *Plan) keep(typ string, properties json.RawMessage) (json.RawMessage, error) {
	declared, ok := p.def.Hears(typ)
	if !ok || len(properties) == 0 || string(properties) == "null" {
		return json.RawMessage("{}"), nil
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(properties, &all); err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "the properties are no object")
	}
	changed := false
	for _, d := range declared.Properties {
		var text string
		if d.Type != campaign.TypeMoney || json.Unmarshal(all[d.Name], &text) != nil {
			continue
		}
		m, err := campaign.ParseMoney(strings.TrimSpace(text), p.def.Currency)
		if err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "property %s: %v", d.Name, err)
		}
		data, err := json.Marshal(m)
		if err != nil {
			return nil, err
		}
		all[d.Name], changed = data, true
	}
	if !changed {
		return properties, nil
	}
	return json.Marshal(all)
}

func (p *Plan) eventsCSV(file string, in io.Reader) ([]PastEvent, error) {
	rows, header, err := csvRows(file, in, "id", "type", "member", "time")
	if err != nil {
		return nil, err
	}
	var out []PastEvent
	for {
		record, line, err := rows()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		cells, properties := map[string]string{}, map[string]json.RawMessage{}
		declared, known := p.def.Hears(record[slices.Index(header, "type")])
		for i, v := range record {
			switch name := header[i]; name {
			case "id", "type", "member", "time", "arrives":
				cells[name] = v
			default:
				if v == "" || !known {
					continue
				}
				property, ok := declared.Property(name)
				if !ok {
					property = campaign.Property{Name: name, Type: campaign.TypeString}
				}
				if properties[name], err = p.cell(v, property); err != nil {
					return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: column %s: %v", file, line, name, err)
				}
			}
		}
		data, err := json.Marshal(properties)
		if err != nil {
			return nil, err
		}
		e, err := p.pastEvent(cells["id"], cells["type"], cells["member"], cells["time"], cells["arrives"], data)
		if err != nil {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: %v", file, line, err)
		}
		e.Line = line
		out = append(out, e)
	}
}

// csvRows reads the first line of a CSV file, which names the columns, and gives the
// others one by one.
func csvRows(file string, in io.Reader, needs ...string) (next func() ([]string, int, error), header []string, err error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	record, err := r.Read()
	if err != nil {
		return nil, nil, campaign.Errorf(campaign.CodeInvalid, "%s: the first line, which names the columns, cannot be read: %v", file, err)
	}
	header = slices.Clone(record)
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // spreadsheets put it there
	for _, name := range needs {
		if !slices.Contains(header, name) {
			return nil, nil, campaign.Errorf(campaign.CodeInvalid, "%s: the first line names no column %s; it names %s", file, name, strings.Join(header, ", "))
		}
	}
	return func() ([]string, int, error) {
		record, err := r.Read()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, campaign.Errorf(campaign.CodeInvalid, "%s: %v", file, err)
		}
		if err != nil {
			return nil, 0, err
		}
		line, _ := r.FieldPos(0)
		return record, line, nil
	}, header, nil
}

// cell reads a cell of a spreadsheet as a value of a type.
func (p *Plan) cell(text string, d campaign.Property) (json.RawMessage, error) {
	text = strings.TrimSpace(text)
	bad := func(want string) error {
		return campaign.Errorf(campaign.CodeInvalid, "%q is not %s", text, want)
	}
	var value any = text
	switch d.Type {
	case campaign.TypeInt:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, bad("a whole number")
		}
		value = n
	case campaign.TypeNumber:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || f != f || f-f != 0 {
			return nil, bad("a number")
		}
		value = f
	case campaign.TypeBool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil {
			return nil, bad("true or false")
		}
		value = b
	case campaign.TypeMoney:
		m, err := campaign.ParseMoney(text, p.def.Currency)
		if err != nil {
			return nil, err
		}
		value = m
	case campaign.TypeString:
		if len(d.OneOf) > 0 && !slices.Contains(d.OneOf, text) {
			return nil, bad("one of " + strings.Join(d.OneOf, ", "))
		}
	case campaign.TypeTime:
		if _, err := time.Parse(time.RFC3339, text); err != nil {
			return nil, bad("a time such as 2026-12-01T20:00:00+08:00")
		}
	}
	return json.Marshal(value)
}

// ReadMembers reads members as `banyan members import` does: CSV with the columns id,
// joined_at, source, inviter, tags (separated by ;), and attributes.
func (p *Plan) ReadMembers(file string, r io.Reader, from time.Time) ([]campaign.Member, error) {
	rows, header, err := csvRows(file, r, "id")
	if err != nil {
		return nil, err
	}
	var out []campaign.Member
	seen := map[string]int{}
	for {
		record, line, err := rows()
		if errors.Is(err, io.EOF) {
			if len(out) == 0 {
				return nil, campaign.Errorf(campaign.CodeInvalid, "%s holds no members", file)
			}
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		m := campaign.Member{JoinedAt: from}
		for i, v := range record {
			if v == "" {
				continue
			}
			if err := p.column(&m, header[i], v); err != nil {
				return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: column %s: %v", file, line, header[i], err)
			}
		}
		if m.ID == "" {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: the member has no id", file, line)
		}
		if first, again := seen[m.ID]; again {
			return nil, campaign.Errorf(campaign.CodeInvalid, "%s:%d: member %s stands in line %d already", file, line, m.ID, first)
		}
		seen[m.ID] = line
		out = append(out, m)
	}
}

func (p *Plan) column(m *campaign.Member, name, v string) (err error) {
	switch name {
	case "id":
		m.ID = strings.Clone(v)
	case "joined_at":
		if m.JoinedAt, err = time.Parse(time.RFC3339, v); err != nil {
			return fmt.Errorf("%q is not a time: write RFC 3339 with an offset, such as 2026-12-01T20:00:00+08:00", v)
		}
	case "source":
		m.Source = strings.Clone(v)
	case "inviter":
		m.Inviter = strings.Clone(v)
	case "tags":
		for tag := range strings.SplitSeq(v, ";") {
			if tag = strings.TrimSpace(tag); tag != "" {
				m.Tags = append(m.Tags, strings.Clone(tag))
			}
		}
		slices.Sort(m.Tags)
		m.Tags = slices.Compact(m.Tags)
	default:
		d := campaign.Property{Name: name, Type: campaign.TypeString}
		for _, known := range p.def.Member {
			if known.Name == name {
				d = known
			}
		}
		if m.Attributes == nil {
			m.Attributes = map[string]json.RawMessage{}
		}
		if m.Attributes[name], err = p.cell(v, d); err != nil {
			return err
		}
		if name == "level" {
			m.Level = strings.Clone(v)
		}
	}
	return nil
}
