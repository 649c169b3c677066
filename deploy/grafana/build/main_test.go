package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
)

// What the check must find, made of a dashboard that is sound.
func TestCheckFindsFaults(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	sound, err := boards[0].json()
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown field of the dashboard": {`"uid": "voltgate-fleet"`, `"uuid": "voltgate-fleet"`},
		"unknown field of a panel":       {`"gridPos"`, `"gridpos"`},
		"unknown field of a query":       {`"legendFormat"`, `"legend"`},
		"unknown field of its options":   {`"graphMode"`, `"graphmode"`},
		"a value of the wrong type":      {`"w": 6`, `"w": "6"`},
	} {
		text := bytes.Replace(sound, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(text, sound) {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := check(text); err == nil {
			t.Errorf("%s: not found", name)
		} else if strings.TrimSpace(err.Error()) == "" {
			t.Errorf("%s: no text", name)
		}
	}
}
