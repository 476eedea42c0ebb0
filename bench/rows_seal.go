package main

import "strconv"

const (
	sealRow      = "archive pipeline (hash, compress, encrypt) against zstd fastest alone"
	sealRatioRow = "archive pipeline: content over stored bytes against zstd fastest"
	sealBusyRow  = "archive pipeline against zstd fastest alone, 4 segments at a time"
)

var sealGroup = group{rows: []string{sealRow, sealRatioRow, sealBusyRow}, run: runSealGroup}

func runSealGroup(b *bench, want func(string) bool) ([]Row, error) {
	size := map[string]string{"mib": strconv.Itoa(64)}
	speed := measure{"MiB/s", sample.rate}
	ratio := measure{"ratio", func(s sample) float64 { return float64(s.Content) / float64(s.Stored) }}
	var theirs []candidate
	for _, cores := range []string{"1", "all"} {
		theirs = append(theirs, candidates("zstd", map[string]string{"mib": size["mib"], "cores": cores})...)
	}
	var rows []Row
	for _, clients := range []int{1, 4} {
		if clients == 1 && !want(sealRow) && !want(sealRatioRow) || clients > 1 && !want(sealBusyRow) {
			continue
		}
		c := call{Op: "seal", Clients: clients}
		their, err := b.best(theirs, c)
		if err != nil {
			return rows, err
		}
		our, err := b.best(candidates("pipeline", size), c)
		if err != nil {
			return rows, err
		}
		c.Seconds = 2 * b.slice
		b.logf("seal, %d at a time: %s against %s", clients, our.label(), their.label())
		pairs, err := b.slices(our, their, c)
		if err != nil {
			return rows, err
		}
		if clients > 1 {
			row := compare(sealBusyRow, speed, goal{}, our.label(), their.label(), pairs)
			row.Note = "with every CPU busy, what the pipeline does besides shows in full; an archiver has its cores to itself only when nothing else runs"
			rows = append(rows, row)
			continue
		}
		rows = append(rows,
			compare(sealRow, speed, atLeast(0.9), our.label(), their.label(), pairs),
			compare(sealRatioRow, ratio, atLeast(1), our.label(), their.label(), pairs))
	}
	return rows, nil
}
