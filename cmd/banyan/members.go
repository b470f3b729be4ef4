package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/starter"
)

type membersCommand struct {
	Import importCommand `cmd:"" help:"Import members from a CSV file: id, joined_at, source, inviter, tags (separated by ;), and attributes."`
}

type importCommand struct {
	File string `arg:"" help:"The CSV file; - is the standard input."`
}

// batchSize is how many lines go with one call: as many as the API takes.
const batchSize = 1_000

// Run imports members in batches. A line that is refused stops it; what came before is
// stored, and importing the file again changes nothing of it.
func (c *importCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	file, done, err := open(e, c.File)
	if err != nil {
		return err
	}
	defer done()
	var total starter.MemberBatch
	err = batches(newMemberReader(file), func(first int, lines []byte) error {
		var answer starter.MemberBatch
		err := api.call(ctx, http.MethodPost, "/v1/members/batch", "application/x-ndjson", lines, &answer)
		total.Members += answer.Members
		total.Changed += answer.Changed
		return atLine(err, "members", first)
	})
	if err != nil {
		return fmt.Errorf("%s: %d members were imported before: %w", c.File, total.Members, err)
	}
	return output(e, g, total, func(p *printer) { p.line("%d members, %d of them new or changed", total.Members, total.Changed) })
}

func open(e *env, name string) (io.Reader, func(), error) {
	if name == "-" {
		return e.Stdin, func() {}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}

// source gives one JSON line after the other, with its place in the file, then io.EOF.
type source interface {
	next() (line []byte, place int, err error)
}

// batches hands the lines of a source on in batches.
func batches(s source, send func(first int, lines []byte) error) error {
	var buffer bytes.Buffer
	first, count := 0, 0
	for {
		line, place, err := s.next()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		end := errors.Is(err, io.EOF)
		if count > 0 && (end || count == batchSize) {
			if err := send(first, buffer.Bytes()); err != nil {
				return err
			}
			buffer.Reset()
			count = 0
		}
		if end {
			return nil
		}
		if count == 0 {
			first = place
		}
		buffer.Write(line)
		buffer.WriteByte('\n')
		count++
	}
}

// atLine says to which line of the file the server's places belong.
func atLine(err error, list string, first int) error {
	var refusal *problemError
	if !errors.As(err, &refusal) {
		return err
	}
	for i := range refusal.Errors {
		d := &refusal.Errors[i]
		var n int
		if _, scan := fmt.Sscanf(d.Path, list+"[%d]", &n); scan == nil {
			_, field, _ := strings.Cut(d.Path, "].")
			d.Path = fmt.Sprintf("line %d, %s", first+n, field)
		}
	}
	return refusal
}

// memberReader reads members from CSV.
type memberReader struct {
	csv    *csv.Reader
	header []string
}

func newMemberReader(r io.Reader) *memberReader {
	c := csv.NewReader(r)
	c.ReuseRecord = true
	return &memberReader{csv: c}
}

func (m *memberReader) next() ([]byte, int, error) {
	if m.header == nil {
		record, err := m.csv.Read()
		if err != nil {
			return nil, 0, err
		}
		m.header = slices.Clone(record)
		// Spreadsheets put a byte order mark before the first name.
		m.header[0] = strings.TrimPrefix(m.header[0], "\ufeff")
		if !slices.Contains(m.header, "id") {
			return nil, 0, campaign.Errorf(campaign.CodeInvalid, "the first line names no column id; it names %s", strings.Join(m.header, ", "))
		}
	}
	record, err := m.csv.Read()
	if err != nil {
		return nil, 0, err
	}
	place, _ := m.csv.FieldPos(0)
	line, err := json.Marshal(m.member(record))
	return line, place, err
}

func (m *memberReader) member(record []string) starter.MemberLine {
	var out starter.MemberLine
	out.Attributes = make(map[string]json.RawMessage)
	for i, value := range record {
		if value == "" {
			continue // an empty cell tells nothing
		}
		switch m.header[i] {
		case "id":
			out.ID = value
		case "joined_at":
			out.JoinedAt = value
		case "source":
			out.Source = value
		case "inviter":
			out.Inviter = value
		case "tags":
			for tag := range strings.SplitSeq(value, ";") {
				if tag = strings.TrimSpace(tag); tag != "" {
					out.Tags = append(out.Tags, tag)
				}
			}
		default:
			text, err := json.Marshal(value)
			if err == nil {
				out.Attributes[m.header[i]] = text
			}
		}
	}
	return out
}
