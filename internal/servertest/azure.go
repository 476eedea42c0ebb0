package servertest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// AzureAccount is the storage account of every Azurite that StartAzure starts.
const AzureAccount = "nodedbtest"

// azuriteEnv names the directory into which the npm package azurite is
// installed, the one that has node_modules.
const azuriteEnv = "NODEDB_TEST_AZURITE"

// errNoAzurite says why there is no Azure server, and how to get one.
var errNoAzurite = errors.New("no Azurite: run `npm install --prefix DIR azurite` and set " + azuriteEnv + "=DIR")

// FindAzurite gives the path of the script that node runs, errNoAzurite when
// there is no node or no package.
func FindAzurite() (node, script string, err error) {
	dir := os.Getenv(azuriteEnv)
	if dir == "" {
		return "", "", errNoAzurite
	}
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", fmt.Errorf("%w (and there is no node: %w)", errNoAzurite, err)
	}
	script = filepath.Join(dir, "node_modules", "azurite", "dist", "src", "blob", "main.js")
	if _, err := os.Stat(script); err != nil {
		return "", "", fmt.Errorf("%w (%w)", errNoAzurite, err)
	}
	return node, script, nil
}

// StartAzure runs Azurite, which speaks the protocol of Azure Blob Storage, and
// gives the key of its account, a new one each time.
func StartAzure(ctx context.Context, node, script, dir string) (*Server, string, error) {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	key := base64.StdEncoding.EncodeToString(secret)
	s, err := start(ctx, program{
		name: "Azurite", path: node, ready: "/" + AzureAccount + "?comp=list",
		args: func(addr, data string) []string {
			host, port, _ := net.SplitHostPort(addr)
			return []string{script, "--blobHost", host, "--blobPort", port, "--location", data,
				"--skipApiVersionCheck", "--disableTelemetry", "--silent"}
		},
		env: []string{"AZURITE_ACCOUNTS=" + AzureAccount + ":" + key},
	}, dir)
	return s, key, err
}
