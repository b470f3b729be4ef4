package e2e

import (
	"regexp"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
)

// drives are both ways of turning the members of a journey. What a campaign means must
// not depend on it, so every test of meaning runs over both.
var drives = []campaign.Drive{campaign.DriveMembers, campaign.DriveSlices}

// overDrives runs a test over both drives.
func overDrives(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Parallel()
	for _, drive := range drives {
		t.Run(string(drive), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t)
			f.drive = drive
			test(t, f)
			if n := f.count(`select count(*) from journeys where (slice is not null) <> $1`, f.sliced()); n != 0 {
				t.Errorf("%d journeys are not driven by %s", n, drive)
			}
		})
	}
}

var journeyStart = regexp.MustCompile(`(?m)^    (start|steps):`)

// driven writes the drive into every journey of a campaign.
func driven(source string, drive campaign.Drive) string {
	if drive != campaign.DriveSlices {
		return source
	}
	head, journeys, found := strings.Cut(source, "\njourneys:\n")
	if !found {
		panic("a campaign without journeys")
	}
	return head + "\njourneys:\n" + journeyStart.ReplaceAllStringFunc(journeys, func(key string) string {
		if strings.Contains(key, "start") {
			return "    drive: slices\n" + key
		}
		return key
	})
}

// sliced reports whether this fleet's journeys are driven by slices.
func (f *fleet) sliced() bool { return f.drive == campaign.DriveSlices }

// driver is the workflow that turns a member's journey.
func (f *fleet) driver(member string) string {
	f.t.Helper()
	return f.text(`select coalesce(s.workflow_id, j.workflow_id) from journeys j left join slices s on s.id = j.slice where j.member = $1`, member)
}
