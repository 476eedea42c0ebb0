package servertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	_ "gocloud.dev/blob/azureblob"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/archive/archivetest"
)

// startAzure starts Azurite for the test and gives a function that opens a store
// in a fresh container of it. Without the npm package the test is left out, and
// says how to get it; continuous integration installs it.
func startAzure(t *testing.T) (*Server, func(t *testing.T) archive.Store) {
	t.Helper()
	node, script, err := FindAzurite()
	if err != nil {
		t.Skip(err)
	}
	s, key, err := StartAzure(t.Context(), node, script, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	t.Setenv("AZURE_STORAGE_ACCOUNT", AzureAccount)
	t.Setenv("AZURE_STORAGE_KEY", key)
	cred, err := azblob.NewSharedKeyCredential(AzureAccount, key)
	if err != nil {
		t.Fatal(err)
	}
	client, err := azblob.NewClientWithSharedKeyCredential(s.Endpoint+"/"+AzureAccount, cred, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	return s, func(t *testing.T) archive.Store {
		n++
		name := fmt.Sprintf("container-%d", n)
		if _, err := client.CreateContainer(t.Context(), name, nil); err != nil {
			t.Fatal(err)
		}
		host := strings.TrimPrefix(s.Endpoint, "http://")
		return open(t, "azblob://"+name+"/some/prefix?protocol=http&localemu=true&domain="+host)
	}
}

// One server serves both: the driver keeps the first credentials that it saw.
func TestAzure(t *testing.T) {
	s, fresh := startAzure(t)
	archivetest.Run(t, fresh)
	t.Run("node", func(t *testing.T) {
		// Azurite writes its tables every few seconds: what it acknowledged
		// before a SIGKILL would be gone.
		wholeLife(t, s, s.Stop, fresh(t))
	})
}
