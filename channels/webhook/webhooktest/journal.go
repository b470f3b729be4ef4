package webhooktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// journal is a file of records as JSON lines; a later line of a key replaces the former.
// It outlives the death of the process, not that of the machine: no test kills that.
// A nil journal keeps nothing.
type journal struct{ file *os.File }

// openJournal reads what is there and opens the file for more. A last line that was
// cut off by a kill is no delivery, because it was never answered; it is removed, or the
// next line would be glued to it.
func openJournal(path string) (*journal, map[string]Record, error) {
	records := map[string]Record{}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	for line := range bytes.Lines(text[:whole]) {
		var record Record
		if err := json.Unmarshal(line, &record); err != nil {
			return nil, nil, fmt.Errorf("the receiver's journal is damaged: %w", err)
		}
		records[record.Key] = record
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Truncate(int64(whole)); err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return &journal{file: file}, records, nil
}

func (j *journal) append(record Record) error {
	if j == nil {
		return nil
	}
	line, err := json.Marshal(record)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}

func (j *journal) close() error {
	if j == nil {
		return nil
	}
	return j.file.Close()
}
