package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"go.temporal.io/api/enums/v1"

	"github.com/banyanhq/banyan/channels/webhook/webhooktest"
	"github.com/banyanhq/banyan/devstack/devtest"
)

// pgTool finds one of PostgreSQL's client programs.
func pgTool(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		t.Skipf("%s is not on this machine", name)
	}
	return found[len(found)-1]
}

// Banyan's database is dumped, lost, and restored as docs/operate.md says, while Temporal
// has gone on: every journey that was saved comes to its end, what was told after the
// backup is told again, and nobody gets a message or points twice.
func TestBackUpAndRestore(t *testing.T) {
	t.Parallel()
	dump, restore := pgTool(t, "pg_dump"), pgTool(t, "pg_restore")
	s := newSite(t, webhooktest.Options{})
	s.begin(ward, 1)
	s.client = devtest.Client(t, s.stack.TemporalAddress, "default")
	s.admit("m-1", "m-2", "m-3")
	file := filepath.Join(t.TempDir(), "banyan.dump")
	tool := func(path string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Env = os.Environ()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", filepath.Base(path), err, out)
		}
	}
	tool(dump, "--format=custom", "--file="+file, s.dsn)

	// What happens after the backup: m-1 buys, and two others come.
	s.converts("m-1")
	s.admit("m-4", "m-5")
	s.worker.terminate()
	s.serve.terminate()
	s.store.Close()
	tool(restore, "--clean", "--if-exists", "--dbname="+s.dsn, file)
	if n := s.count(`select count(*) from journeys`); n != 3 {
		t.Fatalf("%d journeys were restored, want 3", n)
	}

	if out, status := s.run("doctor"); status != 1 {
		t.Errorf("the doctor finds nothing:\n%s", out)
	}
	t.Log(s.must("doctor", "--repair", "--restored"))
	s.open()
	s.serve.start()
	s.worker.start()
	s.api.ready(t)
	for _, gone := range []string{"m-4", "m-5"} {
		d, err := s.client.DescribeWorkflowExecution(s.ctx, ofWard(gone), "")
		if err != nil || d.GetWorkflowExecutionInfo().GetStatus() != enums.WORKFLOW_EXECUTION_STATUS_TERMINATED {
			t.Errorf("the workflow of %s, whom the database does not know, is %v %v", gone, d.GetWorkflowExecutionInfo().GetStatus(), err)
		}
	}
	s.converts("m-1", "m-2", "m-3") // the shop tells again what it told after the backup
	if n := s.count(`select count(*) from grants`); n != 3 {
		t.Errorf("%d grants, want 3", n)
	}
	for key, r := range s.receiver.Delivered() {
		if r.Times != 1 {
			t.Errorf("%s was delivered %d times", key, r.Times)
		}
	}
	// The ids of those who came after the backup stay taken by their terminated workflows
	// until the namespace forgets them; the doctor starts them where the router may not.
	for _, m := range []string{"m-4", "m-5"} {
		s.tell(paid("trial-"+m, m, "trial", "9.90", time.Now()))
	}
	s.until("they are in again", func() bool { return s.count(`select count(*) from journeys where member in ('m-4', 'm-5')`) == 2 })
	s.until("the router has done its part", func() bool { return s.count(`select count(*) from intents`) == 0 })
	s.must("doctor", "--repair")
	s.until("they have their offers", func() bool { return s.count(`select count(*) from offers where state = 'open'`) == 2 })
	s.until("the doctor has nothing to say", func() bool { _, status := s.run("doctor"); return status == 0 })
}
