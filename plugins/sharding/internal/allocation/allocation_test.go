package allocation_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/elasticjob-go/elasticjob/plugins/sharding/internal/allocation"
)

func TestJavaHash(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "sharding.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Hashes map[string]int32 `json:"java_string_hash"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Hashes) < 20 {
		t.Fatalf("there are %d hashes, want at least 20", len(file.Hashes))
	}
	for text, want := range file.Hashes {
		if got := allocation.JavaHash(text); got != want {
			t.Errorf("JavaHash(%q) = %d, want %d", text, got, want)
		}
	}
}
