package main

import (
	"encoding/json"
	"os"
	"testing"
)

func TestVectors(t *testing.T) {
	file, err := os.ReadFile("../vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Tokens []struct{ Identity, Token string }
		Texts  []struct{ Header, Text string }
		Keys   []struct {
			Parts []string
			Key   string
		}
	}
	if err := json.Unmarshal(file, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors.Tokens {
		if got := token(v.Identity); got != v.Token {
			t.Errorf("token(%q) = %q, want %q", v.Identity, got, v.Token)
		}
	}
	for _, v := range vectors.Texts {
		if got, err := text(v.Header); err != nil || got != v.Text {
			t.Errorf("text(%q) = %q, %v, want %q", v.Header, got, err, v.Text)
		}
	}
	for _, v := range vectors.Keys {
		if got := key(v.Parts...); got != v.Key {
			t.Errorf("key(%q) = %q, want %q", v.Parts, got, v.Key)
		}
	}
}
