package store

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/store/db"
)

const (
	// MaxCodes is how many codes one file may have.
	MaxCodes = 20_000_000
	// MaxCode is how long an imported code may be, in bytes.
	MaxCode = 128
	// importBatch is how many codes one transaction stores.
	importBatch = 10_000
	// maxImportLine bounds a line of the file: a code, and what may stand behind it.
	maxImportLine = 64 << 10
	// toldDuplicates is of how many duplicates the lines are told.
	toldDuplicates = 20
)

// Imported says what became of a file of codes. Codes are told of by their lines alone.
type Imported struct {
	Codes      int64   `json:"codes" doc:"How many codes the file has"`
	Imported   int64   `json:"imported" doc:"How many were new, and can be given now"`
	Duplicates int64   `json:"duplicates" doc:"How many are known already, or stand in the file twice; they change nothing"`
	Lines      []int64 `json:"duplicate_lines" doc:"The lines of the first of these"`
	Left       int64   `json:"left" doc:"How many codes the pool has now"`
}

// ImportCoupons reads codes into the pool of a reward: the first column of a CSV file, one
// code a line, whose first line may be a heading. It keeps a batch of them in memory and
// stores each in a transaction of its own, so a file may be handed in again after it broke off,
// or with more codes behind the old ones: a code is known again. onBatch, if there is one,
// is told after each batch.
func (s *Store) ImportCoupons(ctx context.Context, name, reward string, file io.Reader, onBatch func()) (out Imported, err error) {
	out.Lines = []int64{}
	current, err := s.CurrentVersion(ctx, name)
	if err != nil {
		return out, err
	}
	r, ok := current.Definition.Reward(reward)
	switch {
	case !ok:
		return out, campaign.Errorf(campaign.CodeNotFound, "campaign %s has no reward %q", name, reward)
	case r.Coupon == nil || r.Coupon.Codes != campaign.CodesPool:
		return out, campaign.Errorf(campaign.CodeConflict, "reward %s of campaign %s gives no coupons from a pool", reward, name)
	}
	have, err := s.sealer(ctx)
	if err != nil {
		return out, err
	}
	in := &codeFile{lines: bufio.NewScanner(file)}
	in.lines.Buffer(nil, maxImportLine)
	for {
		batch, lines, err := in.next(importBatch)
		if err != nil {
			return out, campaign.Errorf(campaign.CodeOf(err), "%w; %d codes before it were read, and %d of them are new", err, out.Codes, out.Imported)
		}
		if len(batch) == 0 {
			break
		}
		if out.Codes += int64(len(batch)); out.Codes > MaxCodes {
			return out, campaign.Errorf(campaign.CodeTooLarge, "a file has at most %d codes; the first %d are stored", MaxCodes, MaxCodes-MaxCodes%importBatch)
		}
		old, err := s.importCodes(ctx, have, name, reward, batch)
		if err != nil {
			return out, translate(err, "store codes")
		}
		for i := range batch {
			if old[i] {
				if out.Duplicates++; len(out.Lines) < toldDuplicates {
					out.Lines = append(out.Lines, lines[i])
				}
			}
		}
		out.Imported = out.Codes - out.Duplicates
		if onBatch != nil {
			onBatch()
		}
	}
	pool, err := s.queries.PoolOf(ctx, name, reward)
	out.Left = pool.Available
	return out, translate(err, "count the codes of a pool")
}

// codeFile reads codes line by line.
type codeFile struct {
	lines *bufio.Scanner
	line  int64
}

func (f *codeFile) next(most int) (batch []string, lines []int64, err error) {
	for len(batch) < most && f.lines.Scan() {
		f.line++
		code, err := codeOf(f.lines.Bytes(), f.line == 1)
		if err != nil {
			return nil, nil, campaign.Errorf(campaign.CodeInvalid, "line %d: %w", f.line, err)
		}
		if code != "" {
			batch, lines = append(batch, code), append(lines, f.line)
		}
	}
	switch err := f.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, nil, campaign.Errorf(campaign.CodeInvalid, "line %d: it has more than %d bytes; write one code a line", f.line+1, maxImportLine)
	case err != nil:
		return nil, nil, campaign.Errorf(campaign.CodeInvalid, "the file broke off after line %d: hand it in again, codes are known again", f.line)
	}
	return batch, lines, nil
}

// headings are what the first column of a file may be called.
var headings = []string{"code", "codes", "coupon", "券码", "兑换码"}

// codeOf is the first column of a line; empty: there is none.
func codeOf(line []byte, first bool) (string, error) {
	if first {
		line = bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	if !utf8.Valid(line) {
		return "", errors.New("it is not UTF-8")
	}
	text := strings.TrimSpace(string(line))
	if rest, quoted := strings.CutPrefix(text, `"`); quoted {
		inside, behind, closed := strings.Cut(rest, `"`)
		if !closed || behind != "" && !strings.HasPrefix(strings.TrimSpace(behind), ",") {
			return "", errors.New(`a code in quotes ends with one, and holds none`)
		}
		text = inside
	} else {
		text, _, _ = strings.Cut(text, ",")
	}
	text = trimCode(text)
	if first {
		for _, h := range headings {
			if strings.EqualFold(text, h) {
				return "", nil
			}
		}
	}
	switch {
	case text == "" && len(bytes.TrimSpace(line)) > 0:
		return "", errors.New("its first column is empty")
	case len(text) > MaxCode:
		return "", fmt.Errorf("a code has at most %d bytes", MaxCode)
	case strings.ContainsFunc(text, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) || c == '/' }):
		return "", errors.New("a code has no blanks, slashes or characters that cannot be seen")
	}
	return text, nil
}

// trimCode takes away what is around a code.
func trimCode(text string) string { return strings.TrimSpace(text) }

const (
	batchTableSQL = `create temporary table if not exists coupon_batch (n int not null, hash bytea not null, plain bytea not null, code bytea not null, sealed boolean not null) on commit delete rows`

	// What was stored before there was a key, and is not sealed yet, is known all the same.
	knownPlainSQL = `delete from coupon_batch b using coupons c where c.hash = b.plain and not c.sealed`

	// In the order of their hashes, as everybody stores codes who stores several.
	storeBatchSQL = `
with fresh as (
	insert into coupons (campaign, reward, hash, code, sealed, pooled, state)
	select $1, $2, hash, code, sealed, true, 'free' from (select distinct on (hash) * from coupon_batch order by hash, n) b
	on conflict (hash) do nothing
	returning hash
)
select coalesce(array_agg(b.n), '{}') from (select distinct on (hash) hash, n from coupon_batch order by hash, n) b join fresh f on f.hash = b.hash`
)

// importCodes stores a batch and says which of it were known before.
func (s *Store) importCodes(ctx context.Context, have *sealer, name, reward string, batch []string) (old []bool, err error) {
	rows := make([][]any, len(batch))
	for i, code := range batch {
		stored, sealed := have.sealCode(name, reward, code)
		rows[i] = []any{int32(i), have.hashOfCode(code), codeHash([]byte(plainKey), code), stored, sealed}
	}
	err = s.inTx(ctx, func(tx pgx.Tx, q *db.Queries) error {
		old = make([]bool, len(batch))
		for i := range old {
			old[i] = true
		}
		if _, err := tx.Exec(ctx, batchTableSQL); err != nil {
			return err
		}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"coupon_batch"}, []string{"n", "hash", "plain", "code", "sealed"}, pgx.CopyFromRows(rows)); err != nil {
			return err
		}
		if have.aead != nil {
			plain, err := q.HasPlainCoupons(ctx)
			if err == nil && plain {
				_, err = tx.Exec(ctx, knownPlainSQL)
			}
			if err != nil {
				return err
			}
		}
		var fresh []int32
		if err := tx.QueryRow(ctx, storeBatchSQL, name, reward).Scan(&fresh); err != nil {
			return err
		}
		for _, i := range fresh {
			old[i] = false
		}
		if len(fresh) == 0 {
			return nil
		}
		pool, err := q.Pool(ctx, name, reward)
		if err != nil {
			return err
		}
		if err := q.CountImported(ctx, int64(len(fresh)), pool.ID); err != nil {
			return err
		}
		return q.FillPool(ctx, pool.ID, int64(len(fresh)))
	})
	return old, err
}

// paidWith reads from an event's properties which coupon an order was paid with.
func paidWith(properties json.RawMessage) (order, code string) {
	var p struct {
		Order  string `json:"order"`
		Coupon string `json:"coupon"`
	}
	if err := json.Unmarshal(properties, &p); err != nil || len(p.Coupon) > MaxCode {
		return "", ""
	}
	return p.Order, trimCode(p.Coupon)
}
