package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

type couponsCommand struct {
	Import importCodesCommand `cmd:"" help:"Import codes into the pool of a reward: the first column of a CSV file."`
}

type importCodesCommand struct {
	Campaign string `arg:"" help:"The campaign's name."`
	Reward   string `arg:"" help:"The name of a reward whose codes come from a pool."`
	File     string `arg:"" help:"The CSV file; - is the standard input."`
}

// Run hands the file to the server as it reads it. Importing a file again changes nothing:
// codes are known again.
func (c *importCodesCommand) Run(ctx context.Context, e *env, g *Globals) error {
	api, err := newClient(g)
	if err != nil {
		return err
	}
	file, done, err := open(e, c.File)
	if err != nil {
		return err
	}
	defer done()
	var answer store.Imported
	if err := api.stream(ctx, campaignPath(c.Campaign, "rewards", c.Reward, "coupons"), "text/csv", file, &answer); err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	return output(e, g, answer, func(p *printer) {
		p.line("%d codes read, %d imported, %d known already; the pool has %d", answer.Codes, answer.Imported, answer.Duplicates, answer.Left)
		if len(answer.Lines) > 0 {
			lines := make([]string, len(answer.Lines))
			for i, n := range answer.Lines {
				lines[i] = strconv.FormatInt(n, 10)
			}
			more := ""
			if answer.Duplicates > int64(len(lines)) {
				more = " …"
			}
			p.line("known already: lines %s%s", strings.Join(lines, ", "), more)
		}
	})
}

// stream posts a body of any size as it is read, once: what broke off is for the caller to
// repeat, who may not have it any more.
func (c *client) stream(ctx context.Context, path, contentType string, body io.Reader, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server.String()+path, bufio.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("User-Agent", "banyan/"+version)
	request.Header.Set("Content-Type", contentType)
	// No timeout of the whole: the server lets go of who sends nothing.
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		return fmt.Errorf("cannot reach the server at %s, or it broke off: import the file again, codes are known again: %w", c.server.Redacted(), unwrapURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("the server broke off its answer: %w", err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		refusal := &problemError{starter.Problem{Status: response.StatusCode, Detail: response.Status}}
		_ = json.Unmarshal(answer, &refusal.Problem) // a proxy's page is no problem document: its status will do
		return refusal
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("the server's answer cannot be read: %w", err)
	}
	return nil
}
