package main

// CLI is the command line. Each command is a struct with a Run method in a file of its
// own kind; what it says goes to Stdout, what went wrong to Stderr.
type CLI struct {
	Globals

	Check      checkCommand      `cmd:"" help:"Check campaign files here, without a server."`
	Test       testCommand       `cmd:"" help:"Run the tests of campaign files here, without a server."`
	Simulate   simulateCommand   `cmd:"" help:"Rehearse a campaign with made-up or past members, without a server."`
	Fmt        fmtCommand        `cmd:"" help:"Write campaign files in one way: keys in order, comments kept."`
	Diff       diffCommand       `cmd:"" help:"Say what changes from one campaign file to another, and for whom."`
	Graph      graphCommand      `cmd:"" help:"Draw the journeys of a campaign file."`
	Examples   examplesCommand   `cmd:"" help:"List the campaigns that come with Banyan, print one, or make a copy to start from."`
	Schema     schemaCommand     `cmd:"" help:"Print the JSON Schema of campaign files, for editors."`
	Submit     submitCommand     `cmd:"" help:"Check a campaign file and store it as a new version."`
	Campaigns  campaignsCommand  `cmd:"" help:"List campaigns."`
	Segments   segmentsCommand   `cmd:"" help:"Say how many members the segments of a campaign hold, of a file too."`
	Migrations migrationsCommand `cmd:"" help:"Show how far members were brought to another version."`
	Start      startCommand      `cmd:"" help:"Let members into a campaign."`
	Pause      pauseCommand      `cmd:"" help:"Send and grant nothing for now; waits and price locks go on counting."`
	Resume     resumeCommand     `cmd:"" help:"Go on after a pause."`
	End        endCommand        `cmd:"" help:"Let nobody in any more; journeys in flight finish first."`
	Report     reportCommand     `cmd:"" help:"Say what a campaign did."`
	Explain    explainCommand    `cmd:"" help:"Tell a member's story: each decision, and why."`
	Enter      enterCommand      `cmd:"" help:"Enter a member into a journey that starts by API."`
	Members    membersCommand    `cmd:"" help:"Import members."`
	Events     eventsCommand     `cmd:"" help:"Tell events."`
	Coupons    couponsCommand    `cmd:"" help:"Import the codes of coupons."`
	Reviews    reviewsCommand    `cmd:"" help:"List and decide what waits for a person."`
	Referrals  referralsCommand  `cmd:"" help:"List who brought whom, and bind."`
	Keys       keysCommand       `cmd:"" help:"Make, list and revoke API keys."`

	Demo demoCommand `cmd:"" help:"Play the model campaign on servers of its own, and report." group:"Trying"`
	Dev  devCommand  `cmd:"" help:"Run everything on this machine, with data that is kept, until Ctrl-C." group:"Trying"`

	Serve       serveCommand       `cmd:"" help:"Run the API server and the router." group:"Operating"`
	Worker      workerCommand      `cmd:"" help:"Run a worker." group:"Operating"`
	Migrate     migrateCommand     `cmd:"" help:"Bring the database to this build's schema." group:"Operating"`
	Doctor      doctorCommand      `cmd:"" help:"Recompute what must be true, and look for what is stuck." group:"Operating"`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a server whether it is ready." group:"Operating"`
	Version     versionCommand     `cmd:"" help:"Say which build this is." group:"Operating"`
}

// Globals are the flags of every command.
type Globals struct {
	Server string `help:"The API's address; unless told BANYAN_SERVER, or this machine's, http://127.0.0.1:8080." placeholder:"URL"`
	Key    string `help:"The API key; BANYAN_KEY unless told." placeholder:"KEY"`
	JSON   bool   `help:"Write JSON, for programs." name:"json"`

	getenv func(string) string
}

// setting is what a flag says, else what the environment or a file that it names does.
func (g *Globals) setting(flag, name string) (string, error) {
	if flag != "" || g.getenv == nil {
		return flag, nil
	}
	r := reader{getenv: g.getenv}
	return r.setting(name), r.err
}

// OnDatabase is the flag of the commands that work on the database itself.
type OnDatabase struct {
	Database string `help:"The database's URL; BANYAN_DATABASE_URL unless told." placeholder:"URL"`
}

func (d OnDatabase) url(g *Globals) (string, error) {
	url, err := g.setting(d.Database, "BANYAN_DATABASE_URL")
	if err == nil && url == "" {
		err = usageError{"say which database: --database URL, or BANYAN_DATABASE_URL"}
	}
	return url, err
}

type versionCommand struct{}

// Run says which build this is.
func (versionCommand) Run(e *env, g *Globals) error {
	return output(e, g, map[string]string{"version": version}, func(w *printer) { w.line("banyan %s", version) })
}
