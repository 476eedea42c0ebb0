package cli

import (
	"fmt"
	"io"
	"os"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/internal/cost"
)

// pricesBytesMax bounds a price table.
const pricesBytesMax = 1 << 20

// PricesFlag names a price table.
func PricesFlag() ucli.Flag {
	return &ucli.StringFlag{Name: "prices", Usage: "price table in YAML, `FILE`"}
}

// Prices reads the table of --prices, or gives the one that comes with the
// program.
func (c *Call) Prices() (*cost.Prices, error) {
	file := c.String("prices")
	if file == "" {
		return cost.ListPrices()
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, Usagef("--prices: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, pricesBytesMax))
	if err != nil {
		return nil, fmt.Errorf("read price table: %w", err)
	}
	p, err := cost.ParsePrices(data)
	if err != nil {
		return nil, Usagef("%s: %w", file, err)
	}
	return p, nil
}
