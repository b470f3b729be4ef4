package devstack

// Home is the data folder of a Config that names none: BANYAN_HOME, or else `.banyan`
// next to Banyan's go.mod, or else `.banyan` in the current folder.
func Home() string { return thisMachine().home() }
