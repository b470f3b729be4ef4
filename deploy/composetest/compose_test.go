package composetest

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const root = "../.."

// secrets are the variables without which nothing starts, with a value for each that
// can be recognised again.
func secrets() map[string]string {
	return map[string]string{
		"POSTGRES_PASSWORD":          "given-postgres-password",
		"BANYAN_POSTGRES_PASSWORD":   "given-banyan-password",
		"TEMPORAL_POSTGRES_PASSWORD": "given-temporal-password",
		"BANYAN_ADMIN_KEY":           "given-admin-key-of-24-characters",
		"BANYAN_WEBHOOK_SECRET":      "given-webhook-secret",
		"BANYAN_WEBHOOK_URL":         "https://shop.example.com/banyan",
	}
}

// tasks do one thing and end; every other service runs on.
func tasks() []string { return []string{"migrate", "temporal-namespace", "temporal-schema"} }

// banyans are the services of our own binary.
func banyans() []string { return []string{"migrate", "serve", "worker"} }

// load reads docker-compose.yml as Compose does, with nothing in the environment but env.
func load(ctx context.Context, env map[string]string) (*types.Project, error) {
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	options, err := cli.NewProjectOptions(
		[]string{filepath.Join(root, "docker-compose.yml")},
		cli.WithWorkingDirectory(root),
		cli.WithEnv(list),
	)
	if err != nil {
		return nil, err
	}
	return options.LoadProject(ctx)
}

func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t.Context(), secrets())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestServices(t *testing.T) {
	t.Parallel()
	want := []string{
		"migrate", "postgresql", "serve", "temporal", "temporal-namespace", "temporal-schema", "temporal-ui", "worker",
	}
	if got := project(t).ServiceNames(); !slices.Equal(got, want) {
		t.Errorf("the services are %v", got)
	}
}

func TestNothingStartsWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	for name := range secrets() {
		for how, change := range map[string]func(map[string]string){
			"unset": func(env map[string]string) { delete(env, name) },
			"empty": func(env map[string]string) { env[name] = "" },
		} {
			env := secrets()
			change(env)
			if _, err := load(t.Context(), env); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("with %s %s: %v", name, how, err)
			}
		}
	}
}

// TestNoSecretHasADefault looks at each mention, because one that insists would hide
// another that does not.
func TestNoSecretHasADefault(t *testing.T) {
	t.Parallel()
	for _, match := range regexp.MustCompile(`\$\{?([A-Z_]+)(:\?.)?`).FindAllStringSubmatch(read(t, "docker-compose.yml"), -1) {
		if _, isSecret := secrets()[match[1]]; isSecret && match[2] == "" {
			t.Errorf("%s is used without insisting on it: %s", match[1], match[0])
		}
	}
}

// TestNoSecretIsWrittenDown holds every variable that names a secret to be nothing but
// what was given, or nothing where it may be left out.
func TestNoSecretIsWrittenDown(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`(PASSWORD|_PWD|SECRET|_KEY|TOKEN)$`)
	credentials := regexp.MustCompile(`://[^:/@]+:([^@]*)@`)
	for name, service := range project(t).Services {
		for key, value := range service.Environment {
			if value == nil {
				t.Errorf("%s takes %s from whoever starts it, unseen", name, key)
				continue
			}
			if secret.MatchString(key) && *value != "" && !strings.HasPrefix(*value, "given-") {
				t.Errorf("%s has its own value for %s", name, key)
			}
			if match := credentials.FindStringSubmatch(*value); match != nil && !strings.HasPrefix(match[1], "given-") {
				t.Errorf("%s has its own password in %s", name, key)
			}
		}
	}
}

func TestImagesArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+`)
	for name, service := range project(t).Services {
		if slices.Contains(banyans(), name) {
			if service.Image != "banyan:local" || service.Build == nil {
				t.Errorf("%s is not built here: %q", name, service.Image)
			}
			continue
		}
		if !pinned.MatchString(service.Image) {
			t.Errorf("%s uses %q", name, service.Image)
		}
	}
	text, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^FROM (\S+)`).FindAllStringSubmatch(string(text), -1) {
		if match[1] != "scratch" && !regexp.MustCompile(`:\d+\.\d+\.\d+`).MatchString(match[1]) {
			t.Errorf("the Dockerfile uses %q", match[1])
		}
	}
}

func TestHealthRestartsAndOrder(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, service := range p.Services {
		if slices.Contains(tasks(), name) {
			if !strings.HasPrefix(service.Restart, "on-failure:") {
				t.Errorf("task %s restarts %q", name, service.Restart)
			}
			continue
		}
		if service.HealthCheck == nil || len(service.HealthCheck.Test) < 2 || service.HealthCheck.Disable {
			t.Errorf("%s has no health check", name)
		}
		if service.Restart != "unless-stopped" {
			t.Errorf("%s restarts %q", name, service.Restart)
		}
	}
	// Waiting for a start alone would be a race; each wait names what it waits for.
	for name, service := range p.Services {
		for on, how := range service.DependsOn {
			want := types.ServiceConditionHealthy
			if slices.Contains(tasks(), on) {
				want = types.ServiceConditionCompletedSuccessfully
			}
			if how.Condition != want {
				t.Errorf("%s waits for %s to be %s", name, on, how.Condition)
			}
		}
	}
	for _, name := range []string{"serve", "worker"} {
		for _, on := range []string{"postgresql", "temporal", "temporal-namespace", "migrate"} {
			if _, ok := p.Services[name].DependsOn[on]; !ok {
				t.Errorf("%s does not wait for %s", name, on)
			}
		}
	}
}

func TestVolumesAreDeclaredAndFilesAreThere(t *testing.T) {
	t.Parallel()
	p := project(t)
	for name, service := range p.Services {
		for _, volume := range service.Volumes {
			switch volume.Type {
			case types.VolumeTypeVolume:
				if _, ok := p.Volumes[volume.Source]; !ok {
					t.Errorf("%s uses volume %s, which is not declared", name, volume.Source)
				}
			case types.VolumeTypeBind:
				if _, err := os.Stat(volume.Source); err != nil {
					t.Errorf("%s mounts what is not there: %v", name, err)
				}
				if !volume.ReadOnly {
					t.Errorf("%s may write to %s", name, volume.Source)
				}
			default:
				t.Errorf("%s has a volume of type %s", name, volume.Type)
			}
		}
	}
	if volumes := p.Services["postgresql"].Volumes; len(volumes) == 0 || volumes[0].Type != types.VolumeTypeVolume {
		t.Error("PostgreSQL's data is not on a volume")
	}
}

func TestPortsAreOnLoopback(t *testing.T) {
	t.Parallel()
	p := project(t)
	published := map[string]bool{}
	for name, service := range p.Services {
		for _, port := range service.Ports {
			published[name] = true
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s on %q", name, port.Published, port.HostIP)
			}
		}
	}
	// PostgreSQL and Temporal, which asks nobody for a password, are for the others alone.
	if len(published) != 2 || !published["serve"] || !published["temporal-ui"] {
		t.Errorf("published are %v", published)
	}
}

func TestOurContainersHaveNoRights(t *testing.T) {
	t.Parallel()
	for _, name := range banyans() {
		service := project(t).Services[name]
		user, _, _ := strings.Cut(service.User, ":")
		if user == "" || user == "0" || user == "root" {
			t.Errorf("%s runs as %q", name, service.User)
		}
		if !service.ReadOnly || !slices.Contains(service.CapDrop, "ALL") ||
			!slices.Contains(service.SecurityOpt, "no-new-privileges:true") || service.Privileged {
			t.Errorf("%s may more than it must", name)
		}
	}
}

// TestEnvironmentIsTheDocumentedOne is the list of what our binary is told in containers.
// A new variable belongs here, in docker-compose.yml and in deploy/.env.example.
func TestEnvironmentIsTheDocumentedOne(t *testing.T) {
	t.Parallel()
	both := []string{
		"BANYAN_CALL_ALLOW", "BANYAN_CALL_SECRET", "BANYAN_CHANNEL", "BANYAN_DATABASE_URL", "BANYAN_LISTEN", "BANYAN_METRICS_LISTEN",
		"BANYAN_REFUND_ALLOW_PRIVATE", "BANYAN_REFUND_SECRET", "BANYAN_REFUND_URL", "BANYAN_WEBHOOK_ALLOW_PRIVATE", "BANYAN_WEBHOOK_SECRET",
		"BANYAN_WEBHOOK_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE",
	}
	want := map[string][]string{
		"migrate": {"BANYAN_DATABASE_URL"},
		"serve":   append([]string{"BANYAN_ADMIN_KEY"}, both...),
		"worker":  both,
	}
	for name, variables := range want {
		var got []string
		for key := range project(t).Services[name].Environment {
			got = append(got, key)
		}
		slices.Sort(got)
		if !slices.Equal(got, variables) {
			t.Errorf("%s is told %v, want %v", name, got, variables)
		}
	}
}

// TestExampleNamesEveryVariable compares deploy/.env.example with what docker-compose.yml
// asks for: secrets without a value, the rest commented out with its default.
func TestExampleNamesEveryVariable(t *testing.T) {
	t.Parallel()
	compose, err := os.ReadFile(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]string{} // with the default after :-
	for _, match := range regexp.MustCompile(`\$\{([A-Z_]+)(:-([^}]*))?`).FindAllStringSubmatch(string(compose), -1) {
		asked[match[1]] = match[3]
	}
	example, err := os.Open(filepath.Join(root, "deploy", ".env.example"))
	if err != nil {
		t.Fatal(err)
	}
	defer example.Close() //nolint:errcheck // only read
	line := regexp.MustCompile(`^(#?)([A-Z_]+)=(\S*)`)
	for lines := bufio.NewScanner(example); lines.Scan(); {
		match := line.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		commented, name, value := match[1] != "", match[2], match[3]
		standard, ok := asked[name]
		delete(asked, name)
		_, isSecret := secrets()[name]
		switch {
		case !ok:
			t.Errorf("%s is not used", name)
		case isSecret && (commented || value != ""):
			t.Errorf("%s must be there without a value", name)
		case !isSecret && (!commented || value != standard):
			t.Errorf("%s must be commented out with its default %q", name, standard)
		}
	}
	for name := range asked {
		t.Errorf("%s is not in deploy/.env.example", name)
	}
}
