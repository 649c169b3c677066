// Command dashboards writes the Grafana dashboards of Voltgate.
//
//	go run . FOLDER
//
// Each one is built, then read back by the same SDK in its strict mode: an unknown field, a missing one, or a value
// of the wrong type is an error. What the dashboards show is in dashboards.go, how a panel looks in panels.go.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: dashboards FOLDER"))
	}
	plugins.RegisterDefaultPlugins()
	for _, board := range boards {
		text, err := board.json()
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Args[1], board.uid+".json"), text, 0o644)
		}
		if err != nil {
			fail(fmt.Errorf("%s: %w", board.title, err))
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// json is the dashboard as Grafana reads it.
func (board board) json() ([]byte, error) {
	built, err := board.build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(built, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), check(text)
}

// check reads a dashboard strictly, and as Grafana does: nothing of it may get lost.
func check(text []byte) error {
	var strict, read dashboard.Dashboard
	if err := faults(strict.UnmarshalJSONStrict(text)); err != nil {
		return fmt.Errorf("not sound: %w", err)
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	if err := faults(read.Validate()); err != nil {
		return fmt.Errorf("not valid: %w", err)
	}
	again, err := json.Marshal(read)
	if err != nil {
		return err
	}
	var first, second any
	if err := errors.Join(json.Unmarshal(text, &first), json.Unmarshal(again, &second)); err != nil {
		return err
	}
	if !reflect.DeepEqual(first, second) {
		return errors.New("read back as something else")
	}
	return nil
}

// faults drops an error without content: where nothing is wrong the SDK's strict reader returns an empty list.
func faults(err error) error {
	var found cog.BuildErrors
	if errors.As(err, &found) && len(found) == 0 {
		return nil
	}
	return err
}
